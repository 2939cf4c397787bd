// postgres.mjs: a private PostgreSQL with the settings it comes with (fsync and all), on the server's core, and the
// same data in it: for ours as copy-database has brought it, for the peers without the change log's triggers.
import { execFileSync, spawnSync } from "node:child_process";
import { Postgres } from "../tests/postgres.ts";
import { programs } from "./contenders.mjs";
import { processTree } from "./process.mjs";

let opened;

// One for the whole run; `ours` and `peers` are URLs, `fresh` makes a copy of one of them and gives its URL.
export async function openPostgres({ folder, data }) {
  opened ??= makePostgres(folder, data);
  return opened;
}

export async function closePostgres() {
  await (await opened)?.server.remove();
}

async function makePostgres(folder, data) {
  const server = await Postgres.open();
  pin(server.pid, "0");
  const ours = server.createDatabase("ours");
  const env = { PATH: process.env.PATH, CHEAP_PASSWORDS: "true" };
  execFileSync(programs.ours, ["copy-database", `sqlite:${data.file}`, ours], { cwd: folder, env });
  server.sql(`CREATE TABLE bench_session (token text COLLATE "C" PRIMARY KEY, "user" uuid NOT NULL)`, "ours");
  const sessions = data.sessions.map(({ user, token }) => `('${token}', '${user.id}')`);
  server.sql(`INSERT INTO bench_session VALUES ${sessions}`, "ours");
  server.sql("VACUUM ANALYZE", "ours");
  server.sql("CREATE DATABASE peers TEMPLATE ours STRATEGY file_copy");
  dropTriggers(server, "peers");
  let copies = 0;
  return {
    server,
    pid: server.pid,
    ours,
    peers: server.url("peers"),
    fresh: (name) => {
      const copy = `${name}_${copies++}`;
      server.sql(`CREATE DATABASE ${copy} TEMPLATE ${name} STRATEGY file_copy`);
      server.sql("CHECKPOINT"); // none of the last run's falls into this one
      return server.url(copy);
    },
  };
}

// With its children, of which some have ended by then.
function pin(pid, cpu) {
  for (const one of processTree(pid)) spawnSync("taskset", ["-cp", cpu, String(one)]);
}

function dropTriggers(server, database) {
  const triggers = server.sql(
    "SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM pg_trigger WHERE NOT tgisinternal",
    database,
  );
  server.sql(triggers.split("\n").join(";"), database);
}
