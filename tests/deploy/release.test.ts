// The archive for one server, as its README has it: unpacked into a folder of its own, started with what the unit says,
// behind nginx and under systemd's own way to hand over a socket. systemd itself does not run here; its tools read the units.
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { Client, signedIn } from "../client.ts";
import { welcomed } from "../live.ts";
import { environment, freePort, root, run, type Server, until } from "../server.ts";

let folder: string;
let place: string; // what was unpacked: /opt/tims-stack
let archive: string;
let settings: Record<string, string>; // the unit's, for this folder
const started: ChildProcess[] = [];

function release(): string {
  const said = execFileSync(join(root, "tools/release"), { encoding: "utf8", cwd: root });
  return join(root, said.trim().split("\n").at(-1) ?? "");
}
const digest = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const unit = (name: string) => readFileSync(join(place, "deploy", name), "utf8");

// The Environment= lines, with the places of the unit put where this test has them.
function settingsOf(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [, line] of text.matchAll(/^Environment=(.*)$/gm))
    for (const [, quoted, plain] of (line as string).matchAll(/"([^"]+)"|(\S+)/g)) {
      const word = (quoted ?? plain) as string;
      found[word.slice(0, word.indexOf("="))] = word.slice(word.indexOf("=") + 1);
    }
  found.DATABASE_URL = (found.DATABASE_URL ?? "").replace("/var/lib/tims-stack", join(folder, "state"));
  return found;
}

interface Program {
  child: ChildProcess;
  output: () => string;
}

// Starts a program that ends with its test.
function start(command: string, args: string[], env: NodeJS.ProcessEnv, cwd = place): Program {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", command, ...args], { cwd, env });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (bytes) => {
      text += bytes;
    });
  started.push(child);
  return { child, output: () => text };
}

const serverAt = (port: number) => ({ url: `http://127.0.0.1:${port}`, port, folder }) as Server;

async function answers(server: Server): Promise<void> {
  const client = new Client(server);
  await until(`${server.url} to answer`, () =>
    client.get("/readyz").then(
      (answer) => answer.status === 200,
      () => false,
    ),
  );
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), "tims-release-"));
  mkdirSync(join(folder, "state"));
  archive = release();
  execFileSync("tar", ["-xzf", archive, "-C", folder]);
  const name = readdirSync(folder).find((one) => one.startsWith("tims-stack-"));
  place = join(folder, name as string);
  settings = settingsOf(unit("tims-stack.service"));
  const words = { cwd: place, env: { PATH: process.env.PATH, HOME: folder, ...settings } };
  execFileSync(join(place, "bin/chat"), ["migrate"], words);
  execFileSync(join(place, "bin/chat"), ["demo"], words);
});
afterEach(async () => {
  for (const child of started) child.kill("SIGTERM");
  for (const child of started)
    await until("it to end", () => child.exitCode !== null || child.signalCode !== null);
  started.length = 0;
});
after(() => rmSync(folder, { recursive: true, force: true }));

test("the same sources give the same archive, which names no folder of this machine", () => {
  const first = digest(archive);
  assert.equal(digest(release()), first);
  assert.match(archive, /tims-stack-\d+\.\d+\.\d+-(amd64|arm64)\.tar\.gz$/);
  const listing = execFileSync("tar", ["-tzvf", archive], { encoding: "utf8", maxBuffer: 1 << 26 });
  for (const line of listing.trim().split("\n")) assert.match(line, /^.{10} 0\/0 /);
  assert.doesNotMatch(listing, /\.env|sqlite3|google-services/);
  assert.ok(
    !readFileSync(join(place, "bin/chat")).includes(root),
    "the program names the folder it was built in",
  );
});

test("systemd takes the units, and finds them hardened", () => {
  const system = join(folder, "system"); // as the README installs it
  mkdirSync(join(system, "etc/systemd/system"), { recursive: true });
  mkdirSync(join(system, "opt"), { recursive: true });
  mkdirSync(join(system, "bin"), { recursive: true });
  cpSync("/bin/kill", join(system, "bin/kill"));
  cpSync(place, join(system, "opt/tims-stack"), { recursive: true });
  for (const name of ["tims-stack.service", "tims-stack.socket"])
    cpSync(join(place, "deploy", name), join(system, "etc/systemd/system", name));
  const names = ["tims-stack.service", "tims-stack.socket"];
  const check = spawnSync(
    "systemd-analyze",
    ["verify", "--man=no", "--generators=no", `--root=${system}`, ...names],
    {
      encoding: "utf8",
    },
  );
  // Of a root that holds nothing but ours it misses its own units; of ours it must have nothing to say.
  const about = (check.stdout + check.stderr)
    .split("\n")
    .filter((line) => /tims-stack\.(service|socket)/.test(line));
  assert.deepEqual(
    about.filter(
      (line) =>
        !/Failed to (add|load|create).*(sysinit|basic|shutdown|network-online|sockets|-\.mount|\.slice|tmp\.mount)/.test(
          line,
        ),
    ),
    [],
  );
  const security = spawnSync(
    "systemd-analyze",
    ["security", "--offline=true", "--no-pager", "--threshold=20", join(place, "deploy/tims-stack.service")],
    { encoding: "utf8" },
  );
  assert.equal(security.status, 0, security.stdout + security.stderr);
  assert.match(security.stdout, /Overall exposure level/);
});

test("a unit with a mistake is found, so the check above can fail", () => {
  const wrong = join(folder, "wrong.service");
  writeFileSync(wrong, unit("tims-stack.service").replace("ProtectSystem=strict", "ProtectSystem=sometimes"));
  const { stdout, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", wrong], {
    encoding: "utf8",
  });
  assert.match(stdout + stderr, /Failed to parse protect system value/);
});

test("the packages it names have the libraries it is linked with", () => {
  const packages = unit("packages").trim().split("\n");
  for (const name of ["libsqlite3-0", "libpq5", "libuv1", "libssl3", "ca-certificates"])
    assert.ok(packages.includes(name), name);
  for (const name of packages) execFileSync("dpkg-query", ["-W", name]);
});

test("Caddy and nginx take their files; through nginx go pages, writes and the socket", async () => {
  const caddy = spawnSync(
    "caddy",
    ["adapt", "--validate", "--adapter", "caddyfile", "--config", join(place, "deploy/Caddyfile")],
    {
      encoding: "utf8",
      env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    },
  );
  assert.equal(caddy.status, 0, caddy.stderr);
  assert.match(caddy.stdout, /"dial":"127\.0\.0\.1:8000"/);

  const [ours, theirs] = [await freePort(), await freePort()];
  start(join(place, "bin/chat"), ["serve"], {
    PATH: process.env.PATH,
    HOME: folder,
    ...settings,
    HOST: "127.0.0.1",
    PORT: `${ours}`,
  });
  const direct = serverAt(ours);
  await answers(direct);
  const file = unit("nginx.conf")
    .replace("listen 80;", `listen 127.0.0.1:${theirs};`)
    .replaceAll("127.0.0.1:8000", `127.0.0.1:${ours}`);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (one) => `${one}_temp_path ${folder}/${one};`,
  );
  const whole = join(folder, "nginx.conf");
  writeFileSync(
    whole,
    `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log;
events { worker_connections 256; }
http { access_log off; ${temporary.join(" ")}
${file}
}
`,
  );
  const checked = spawnSync("nginx", ["-t", "-c", whole, "-g", "user root;"], { encoding: "utf8" });
  assert.equal(checked.status, 0, checked.stderr);
  start("nginx", ["-c", whole, "-g", "user root;"], { PATH: process.env.PATH });
  const through = serverAt(theirs);
  await answers(through);

  const page = await until("a rendered page", async () => {
    const answer = await new Client(through).get("/login");
    return answer.body.includes('"__NEXT_DATA__"') && (await rendersOf(direct)) > 0 ? answer : undefined;
  });
  assert.equal(page.status, 200);
  const demo = await signedIn(through, "demo");
  const socket = await welcomed(demo);
  socket.close();
});

async function metric(server: Server, name: string): Promise<number> {
  const { body } = await new Client(server).get("/metrics");
  const values = [...body.matchAll(new RegExp(`^${name}\\S* (\\d+)`, "gm"))].map((one) => Number(one[1]));
  return values.reduce((sum, value) => sum + value, 0);
}
const rendersOf = (server: Server) => metric(server, "tims_pages_renders_total");

test("systemd's socket is taken over, kept over a restart in place, and asked before HOST and PORT", async () => {
  const port = await freePort();
  const env = {
    ...settings,
    RENDER_COMMAND: "",
    HOST: "127.0.0.1",
    PORT: "1",
    LOOPS: "2",
    LOG_FORMAT: "human",
    PATH: process.env.PATH ?? "",
    HOME: folder,
  };
  const words = [
    "--listen",
    `127.0.0.1:${port}`,
    ...Object.entries(env).flatMap(([name, value]) => ["-E", `${name}=${value}`]),
  ];
  const { child, output } = start("systemd-socket-activate", [...words, join(place, "bin/chat"), "serve"], {
    PATH: process.env.PATH,
  });
  const starts = () => output().split(`is ready: http://127.0.0.1:${port}`).length - 1;
  const server = serverAt(port);
  await answers(server);
  await until("it to say so", () => starts() === 1);
  child.kill("SIGHUP");
  await until("it to start anew", () => starts() === 2);
  await answers(server);
});

test("the README's line installs what renders, and a new version over the one that runs", async () => {
  const line = /^mkdir -p \/opt\/tims-stack .*$/m.exec(unit("README.md"))?.[0] ?? assert.fail("no such line");
  const opt = join(folder, "installed");
  const install = () => {
    const words = ["-euc", line.replaceAll("/opt/tims-stack", opt)];
    const { status, stderr } = spawnSync("bash", words, { cwd: place, encoding: "utf8" });
    assert.equal(status, 0, stderr);
  };
  install();
  const port = await freePort();
  const env = { PATH: "/usr/bin:/bin", HOME: folder, ...settings, HOST: "127.0.0.1", PORT: `${port}` };
  const { child, output } = start(join(opt, "bin/chat"), ["serve"], env, opt);
  const server = serverAt(port);
  await answers(server);
  const rendered = () =>
    until("a rendered page", async () => {
      await new Client(server).get("/login");
      return (await rendersOf(server)) > 0;
    });
  await rendered();
  install();
  child.kill("SIGHUP"); // systemctl reload
  await until("it to start anew", () => output().split("is ready: http").length > 2);
  await rendered();
});

// A front end that was built before must not go out with a program of today.
test("what is newer than the built front end is built anew", () => {
  const source = join(root, "front/pages/index.tsx");
  const stamp = join(root, "front/dist/.built");
  const now = new Date();
  utimesSync(source, now, now);
  release();
  assert.ok(statSync(stamp).mtimeMs >= now.getTime(), "the front end is the one of before");
});

test("what is no socket is refused with a sentence", () => {
  const env = environment(folder, { DATABASE_URL: settings.DATABASE_URL ?? "", LISTEN_FDS: "1" });
  const script = 'LISTEN_PID=$$ exec "$0" serve 3</dev/null';
  const { status, stderr, stdout } = spawnSync(
    "sh",
    ["-c", `export LISTEN_PID=$$; ${script}`, join(place, "bin/chat")],
    {
      env,
      cwd: place,
      encoding: "utf8",
      timeout: 60_000,
    },
  );
  assert.notEqual(status, 0);
  assert.match(stdout + stderr, /Descriptor 3 of LISTEN_FDS is no socket that listens/);
});

test("a backup of the running server, as the README has it", async () => {
  // systemd-run looks for a program from where it is called.
  assert.match(
    unit("README.md"),
    / \/opt\/tims-stack\/bin\/chat backup \/var\/lib\/tims-stack\/backup\.sqlite3/,
  );
  const port = await freePort();
  const env = { PATH: process.env.PATH, HOME: folder, ...settings, RENDER_COMMAND: "", PORT: `${port}` };
  start(join(place, "bin/chat"), ["serve"], env);
  await answers(serverAt(port));
  const file = join(folder, "state/backup.sqlite3");
  run(place, ["backup", file], settings, "", join(place, "bin/chat"));
  assert.ok(existsSync(file));
});
