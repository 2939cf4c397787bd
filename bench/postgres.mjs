// postgres.mjs: a private PostgreSQL with the settings that Debian's package has, in a folder of its own, and its CPU
// beside the server's.
import { execFileSync } from "node:child_process";
import { chownSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { freePort, startProcess } from "./process.mjs";

const versions = "/usr/lib/postgresql";
const owner = process.getuid() === 0 ? "postgres" : null; // it refuses to run as root

function findPrograms() {
  const [newest] = readdirSync(versions).sort((a, b) => Number(b) - Number(a));
  return join(versions, newest, "bin");
}

const asOwner = (command, args) =>
  owner ? ["setpriv", `--reuid=${owner}`, `--regid=${owner}`, "--clear-groups", command, ...args] : [command, ...args];

const idOf = (flag) => Number(execFileSync("id", [flag, owner], { encoding: "utf8" }));

// On core 0 beside the server, so that the two share what one core can do; only address, port and socket are not as
// they come.
export async function startPostgres(parent, { cpu = "0" } = {}) {
  const programs = findPrograms();
  const folder = join(parent, "postgres");
  mkdirSync(folder);
  if (owner) {
    chownSync(folder, idOf("-u"), idOf("-g"));
    execFileSync("chmod", ["a+x", parent]);
  }
  const data = join(folder, "data");
  const port = await freePort();
  const initialise = ["-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"];
  const [first, ...rest] = asOwner(join(programs, "initdb"), initialise);
  execFileSync(first, rest, { stdio: ["ignore", "ignore", "inherit"] });
  const [command, ...args] = asOwner(join(programs, "postgres"), [
    "-D",
    data,
    "-c",
    `port=${port}`,
    "-c",
    "listen_addresses=127.0.0.1",
    "-c",
    `unix_socket_directories=${folder}`,
  ]);
  const server = await startProcess({ command, args, cpu, readyText: "ready to accept connections" });
  const urlOf = (database) => `postgres://bench@127.0.0.1:${port}/${database}`;
  return {
    ...server,
    urlOf,
    // `sql` may hold several statements; returns the rows as text.
    run: (database, sql) =>
      execFileSync("psql", ["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", urlOf(database)], {
        input: sql,
        encoding: "utf8",
      }).trim(),
    stop: () => server.stop("SIGINT"), // the fast way: it waits for no client
  };
}
