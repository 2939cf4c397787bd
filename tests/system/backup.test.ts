// backup and restore: copies taken while others write, what is refused as a backup, and what clients see of a restore.
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Client, signedIn } from "../client.ts";
import { onPostgres, runSql } from "../database.ts";
import {
  environment,
  makeFolder,
  program,
  removeFolder,
  run,
  type Server,
  startServer,
  until,
} from "../server.ts";

const skip = onPostgres; // the files are SQLite's; what the commands say there is a test of its own below
let folder: string;
let good: string; // a backup of the demo's data
const at = (name: string) => join(folder, name);
before(() => {
  folder = makeFolder();
  good = at("good.sqlite3");
  if (onPostgres) return;
  for (const command of ["migrate", "demo"]) run(folder, [command]);
  assert.match(run(folder, ["backup", good]), /^Wrote .*good\.sqlite3/);
});
after(() => removeFolder(folder));

const database = () => at("app.sqlite3");
const messages = (path: string) => Number(runSql(`sqlite:${path}`, "SELECT count(*) FROM message"));
const integrity = (path: string) => runSql(`sqlite:${path}`, "PRAGMA integrity_check");
function command(...args: string[]) {
  return spawnSync(program, args, { cwd: folder, env: environment(folder), encoding: "utf8" });
}
async function firstChat(client: Client): Promise<string> {
  return (await client.get("/api/chats/")).json.rows[0].id;
}
async function epochOf(server: Server): Promise<string> {
  const answer = await (await signedIn(server, "demo")).get("/api/chats/");
  return answer.json.position.split("-")[0];
}

test("a backup is one private file, readable by itself", { skip }, () => {
  assert.equal(statSync(good).mode & 0o777, 0o600);
  assert.equal(integrity(good), "ok");
  assert.equal(runSql(`sqlite:${good}`, "PRAGMA journal_mode"), "delete");
  assert.equal(messages(good), messages(database()));
  for (const end of ["-wal", "-shm", "-journal", ".partial"]) assert.ok(!existsSync(good + end), end);
});

test("a backup taken while others write without a pause holds one moment of them", { skip }, async () => {
  const server = await startServer({ folder });
  const writer = spawn("sqlite3", [database()], { stdio: ["pipe", "ignore", "inherit"] });
  const ended = new Promise((resolve) => writer.on("exit", resolve));
  writer.stdin.on("error", () => {}); // it is killed with work left
  const insert = (i: number) =>
    `INSERT INTO message (id, chat, sender, text, created_at) SELECT printf('00000000-0000-7000-8000-%012x', ${i}), chat, sender, 'word ${i}', ${i} FROM message LIMIT 1;`;
  writer.stdin.write(".timeout 20000\nPRAGMA synchronous = NORMAL;\n");
  writer.stdin.write(Array.from({ length: 200_000 }, (_, i) => insert(i)).join("\n"));
  const words = (path: string) =>
    Number(runSql(`sqlite:${path}`, "SELECT count(*) FROM message WHERE text GLOB 'word *'"));
  try {
    for (let round = 0; round < 3; round++) {
      const floor = words(database());
      const known = await until("writes under way", () => {
        const count = words(database());
        return count > floor + 500 ? count : 0;
      });
      const path = at(`busy-${round}.sqlite3`);
      const child = spawn(program, ["backup", path], { cwd: folder, env: environment(folder) });
      assert.equal(await new Promise((resolve) => child.on("close", resolve)), 0);
      assert.ok(words(database()) > words(path), "writing goes on meanwhile");
      assert.equal(integrity(path), "ok");
      assert.ok(words(path) >= known, "what was there when it began is in it");
      // A write and its row in the change log are there both, or neither; and none is missing in between.
      const unlogged = `SELECT count(*) FROM message WHERE text GLOB 'word *' AND id NOT IN (SELECT row FROM tims_change WHERE model = 'message')`;
      assert.equal(runSql(`sqlite:${path}`, unlogged), "0");
      const last = "SELECT max(created_at) + 1 FROM message WHERE text GLOB 'word *'";
      assert.equal(Number(runSql(`sqlite:${path}`, last)), words(path));
    }
  } finally {
    writer.kill("SIGKILL");
    await ended;
    await server.stop();
  }
});

test("what a backup may not be written to is refused, and stays", { skip }, () => {
  const text = at("text");
  writeFileSync(text, "not to be lost");
  mkdirSync(at("a-folder"));
  symlinkSync(database(), at("link"));
  run(folder, ["check"]); // leaves the lock file, if nothing did
  writeFileSync(`${database()}.lock`, "");
  const cases: [string[], number, RegExp][] = [
    [[], 2, /needs one file/],
    [["one", "two"], 2, /needs one file/],
    [[text], 1, /is there already; --overwrite replaces it/],
    [[good], 1, /is there already/],
    [[database()], 1, /is a file of the database itself/],
    [[database(), "--overwrite"], 1, /is a file of the database itself/],
    [[`${database()}.lock`, "--overwrite"], 1, /is a file of the database itself/],
    [[at("link"), "--overwrite"], 1, /is a file of the database itself/],
    [[at("a-folder"), "--overwrite"], 1, /is no file/],
    [[at("nowhere/b.sqlite3")], 1, /nowhere\/b\.sqlite3\.partial cannot be written: No such file/],
    [["/proc/b.sqlite3"], 1, /cannot be written/],
    [[`/${"x".repeat(5000)}`], 1, /too long/],
  ];
  for (const [args, status, message] of cases) {
    const answer = command("backup", ...args);
    assert.equal(answer.status, status, `${args}: ${answer.stderr}`);
    assert.match(answer.stderr, message);
  }
  assert.equal(readFileSync(text, "utf8"), "not to be lost");
  assert.equal(command("backup", text, "--overwrite").status, 0);
  assert.equal(integrity(text), "ok");
  const absent = spawnSync(program, ["backup", at("none")], {
    cwd: folder,
    env: environment(folder, { DATABASE_URL: `sqlite:${at("absent.sqlite3")}` }),
    encoding: "utf8",
  });
  assert.equal(absent.status, 1);
  assert.match(absent.stderr, /There is no database .*absent\.sqlite3/);
  assert.ok(!existsSync(at("absent.sqlite3")), "and none is made");
});

test("a full disk leaves no backup, and the one of yesterday", { skip }, () => {
  const small = at("small");
  mkdirSync(small);
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", small]).status === 0;
  if (!mounted) return console.log("a full disk cannot be tried: this user may not mount one");
  try {
    writeFileSync(join(small, "yesterday"), "yesterday's");
    const answer = command("backup", join(small, "yesterday"), "--overwrite");
    assert.equal(answer.status, 1);
    assert.match(answer.stderr, /disk is full/);
    assert.equal(readFileSync(join(small, "yesterday"), "utf8"), "yesterday's");
    assert.ok(!existsSync(join(small, "yesterday.partial")));
  } finally {
    spawnSync("umount", [small]);
  }
});

// Each makes a file that must not be taken for a backup of this app.
const bad: [string, RegExp, (path: string) => void][] = [
  ["an absent file", /There is no file/, () => {}],
  ["a text", /is no SQLite database/, (path) => writeFileSync(path, "this is no database ".repeat(500))],
  ["an empty file", /no database of this app/, (path) => writeFileSync(path, "")],
  [
    "a file cut off in the middle",
    /damaged or cut off/,
    (path) => {
      copyFileSync(good, path);
      truncateSync(path, Math.floor(statSync(good).size / 8192) * 4096);
    },
  ],
  [
    "a file cut off in its header",
    /is no SQLite database|damaged or cut off/,
    (path) => {
      copyFileSync(good, path);
      truncateSync(path, 60);
    },
  ],
  [
    "a file with a page of noise",
    /damaged or cut off/,
    (path) => {
      const bytes = readFileSync(good);
      const root = Number(
        runSql(`sqlite:${good}`, "SELECT rootpage FROM sqlite_schema WHERE name = 'message'"),
      );
      for (let i = 0; i < 4096; i++) bytes[(root - 1) * 4096 + i] = (i * 151) % 256;
      writeFileSync(path, bytes);
    },
  ],
  [
    "another program's database",
    /no database of this app/,
    (path) => {
      runSql(`sqlite:${path}`, "CREATE TABLE other (x); INSERT INTO other VALUES (1)");
    },
  ],
  [
    "another app of the stack",
    /no database of this app/,
    (path) => {
      copyFileSync(good, path);
      runSql(`sqlite:${path}`, "UPDATE tims_migration SET app = 'todo' WHERE app = 'chat'");
    },
  ],
  [
    "another app of the same name",
    /was edited after it had been applied/,
    (path) => {
      copyFileSync(good, path);
      runSql(`sqlite:${path}`, "UPDATE tims_migration SET checksum = 'other' WHERE app = 'chat'");
    },
  ],
  [
    "a newer program's database",
    /the program is older than the database/,
    (path) => {
      copyFileSync(good, path);
      runSql(
        `sqlite:${path}`,
        "UPDATE tims_migration SET name = '9999_later.sql' WHERE name = (SELECT max(name) FROM tims_migration WHERE app = 'chat') AND app = 'chat'",
      );
    },
  ],
];
for (const [name, message, make] of bad)
  test(`${name} is not restored, and the database is as it was`, { skip }, () => {
    const path = at(`bad-${bad.findIndex((row) => row[0] === name)}`);
    make(path);
    const [before, count] = [statSync(database()).ino, messages(database())];
    const answer = command("restore", path);
    assert.equal(answer.status, 1, answer.stderr + answer.stdout);
    assert.match(answer.stderr, message);
    assert.match(answer.stderr, /was not restored, the database is as it was/);
    assert.equal(statSync(database()).ino, before);
    assert.equal(messages(database()), count);
    assert.equal(integrity(database()), "ok");
    for (const end of ["-restore", "-restore-wal", "-restore-shm"])
      assert.ok(!existsSync(database() + end), end);
  });

test("restore is called with one file, which is not the database", { skip }, () => {
  for (const args of [[], [good, good]]) assert.equal(command("restore", ...args).status, 2);
  assert.match(command("restore", database()).stderr, /is the database itself/);
});

test("while a server or a worker runs, or a shell is open, nothing is restored", { skip }, async () => {
  const count = messages(database());
  const server = await startServer({ folder });
  assert.match(command("restore", good).stderr, /Another process already serves .* Stop it/);
  await server.stop();
  const others: [string, string[], RegExp, string][] = [
    [program, ["worker"], /worker is ready/, ""],
    ["sqlite3", [database()], /open \d/, "BEGIN; SELECT 'open ' || count(*) FROM message;\n"],
  ];
  for (const [path, args, ready, input] of others) {
    const child: ChildProcess = spawn(path, args, { cwd: folder, env: environment(folder) });
    const exited = new Promise((resolve) => child.on("exit", resolve));
    let output = "";
    child.stdout?.on("data", (bytes) => {
      output += bytes;
    });
    if (input) child.stdin?.write(input);
    await until(`${path} to be at it`, () => ready.test(output));
    const answer = command("restore", good);
    assert.equal(answer.status, 1);
    assert.match(answer.stderr, /is open in another program \(a worker, a shell\)\. Stop it first/);
    if (input) child.stdin?.end();
    else child.kill("SIGTERM");
    await exited;
  }
  assert.equal(messages(database()), count);
});

test("a restore brings back what was, keeps what there was, and clients begin anew", { skip }, async () => {
  let server = await startServer({ folder });
  const former = await epochOf(server);
  const client = await signedIn(server, "demo");
  const chat = await firstChat(client);
  assert.equal((await client.post("/api/messages/", { chat, text: "said too late" })).status, 201);
  await server.stop();
  const count = messages(database());
  const answer = command("restore", good);
  assert.equal(answer.status, 0, answer.stderr);
  const kept = `${database()}-before-restore`;
  assert.match(answer.stdout, /What was there before is kept in .*app\.sqlite3-before-restore/);
  assert.equal(messages(kept), count);
  assert.equal(messages(database()), messages(good));
  assert.equal(statSync(database()).mode & 0o777, 0o600);
  server = await startServer({ folder });
  assert.notEqual(await epochOf(server), former);
  await server.stop();
  assert.equal(command("restore", kept).status, 0, "and the way back");
  assert.equal(messages(database()), count);
});

test("a database that was killed, with its WAL, or is damaged, is replaced", { skip }, async () => {
  const server = await startServer({ folder });
  const client = await signedIn(server, "demo");
  await client.post("/api/messages/", { chat: await firstChat(client), text: "in the WAL" });
  await server.kill();
  assert.ok(statSync(`${database()}-wal`).size > 0);
  assert.equal(command("restore", good).status, 0);
  assert.equal(messages(database()), messages(good));
  assert.equal(
    runSql(`sqlite:${database()}-before-restore`, "SELECT count(*) FROM message WHERE text = 'in the WAL'"),
    "1",
  );
  const bytes = readFileSync(database());
  bytes.fill(0x5a, 0, 8192);
  writeFileSync(database(), bytes);
  writeFileSync(`${database()}-wal`, "left over");
  const answer = command("restore", good);
  assert.equal(answer.status, 0, answer.stderr);
  assert.equal(messages(database()), messages(good));
  assert.ok(!existsSync(`${database()}-wal`), "or it would be played into the new one");
  rmSync(database());
  assert.equal(command("restore", good).status, 0, "and one that is not there at all");
  assert.equal(run(folder, ["check"]).includes("are right"), true);
});

test("an older program's backup is restored, and says that it must be migrated", { skip }, () => {
  const old = at("old.sqlite3");
  copyFileSync(good, old);
  runSql(`sqlite:${old}`, "DELETE FROM tims_migration WHERE app = 'chat' AND name > '0001_zzz'");
  const answer = command("restore", old);
  assert.equal(answer.status, 0, answer.stderr);
  assert.match(answer.stdout, /older than this program: run `chat migrate`/);
  assert.equal(command("restore", good).status, 0);
});

test("on PostgreSQL both name the program that does it", () => {
  for (const [name, other] of [
    ["backup", "pg_dump"],
    ["restore", "pg_restore"],
  ]) {
    const answer = spawnSync(program, [name, at("x")], {
      cwd: folder,
      env: environment(folder, { DATABASE_URL: "postgres://chat:secret@127.0.0.1:1/chat" }),
      encoding: "utf8",
    });
    assert.equal(answer.status, 1);
    assert.match(answer.stderr, new RegExp(`\`${other} `));
    assert.doesNotMatch(answer.stderr, /secret/);
  }
});
