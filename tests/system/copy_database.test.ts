// copy-database: a running app's data from SQLite to PostgreSQL and back, and what a copy that fails leaves behind.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Client, signedIn } from "../client.ts";
import { runSql } from "../database.ts";
import { Postgres } from "../postgres.ts";
import { environment, makeFolder, program, removeFolder, run, startServer, until } from "../server.ts";

let postgres: Postgres;
let folder: string;
let copies = 0;
before(async () => {
  postgres = await Postgres.open();
  folder = makeFolder();
});
after(async () => {
  removeFolder(folder);
  await postgres.remove();
});

const sqliteUrl = (name: string) => `sqlite:${join(folder, `${name}.sqlite3`)}`;
const freshTarget = () => postgres.createDatabase(`target${copies++}`);
const messageCount = (url: string) => Number(runSql(url, "SELECT count(*) FROM message"));

// A SQLite database with the demo's users and chats.
function makeSource(name: string): string {
  const url = sqliteUrl(name);
  for (const command of ["migrate", "demo"]) run(folder, [command], { DATABASE_URL: url });
  return url;
}

function copy(...args: string[]) {
  return spawnSync(program, ["copy-database", ...args], {
    cwd: folder,
    env: environment(folder),
    encoding: "utf8",
  });
}

// "message  145 rows  checksum …" by table.
function tableLines(output: string): string[] {
  return output.split("\n").filter((line) => / rows {2}checksum [0-9a-f]{32}$/.test(line));
}

const TEXTS = [
  "ä日🐘 e\u0301",
  'it\'s "quoted" \\ and\nbroken\tup',
  "\u202eright to left",
  "NULL",
  "  spaces  ",
];

test("a running app's data moves to PostgreSQL, sessions included, and comes back the same", async () => {
  const source = makeSource("moved");
  const server = await startServer({ folder, env: { DATABASE_URL: source }, fresh: false });
  const client = await signedIn(server, "demo");
  const chat = (await client.get("/api/chats/")).json.rows[0].id;
  for (const text of TEXTS) assert.equal((await client.post("/api/messages/", { chat, text })).status, 201);
  const before = (await client.get(`/api/messages/?chat=${chat}&limit=10`)).json;
  const target = freshTarget();
  const there = copy(source, target);
  assert.equal(there.status, 0, there.stderr);
  assert.match(there.stdout, /Copied \d+ rows of \d+ tables in .* counts and checksums agree/);
  await server.stop();
  const back = copy(target, sqliteUrl("back"));
  assert.equal(back.status, 0, back.stderr);
  assert.ok(tableLines(there.stdout).length >= 8, there.stdout);
  assert.deepEqual(tableLines(back.stdout), tableLines(there.stdout));

  const moved = await startServer({ folder, env: { DATABASE_URL: target }, fresh: false });
  const same = new Client(moved);
  same.cookies = client.cookies; // nobody has to sign in again
  await same.refresh();
  assert.equal(same.user.username, "demo");
  const now = (await same.get(`/api/messages/?chat=${chat}&limit=10`)).json;
  assert.deepEqual(now.rows, before.rows);
  assert.equal(now.total, before.total);
  assert.notEqual(now.position.split("-")[0], before.position.split("-")[0], "another epoch");
  assert.equal((await same.post("/api/messages/", { chat, text: "here" })).status, 201);
  assert.equal((await same.get(`/api/messages/?chat=${chat}`)).json.total, before.total + 1);
  await moved.stop();
});

test("a target that is not empty is refused, and replaced when that is asked for", () => {
  const source = makeSource("again");
  const target = freshTarget();
  assert.equal(copy(source, target).status, 0);
  runSql(target, "UPDATE message SET text = 'changed since'");
  const refused = copy(source, target);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /the target: It is not empty: table user has \d+ rows.*--overwrite/);
  assert.notEqual(runSql(target, "SELECT count(*) FROM message WHERE text = 'changed since'"), "0");
  const replaced = copy(source, target, "--overwrite");
  assert.equal(replaced.status, 0, replaced.stderr);
  assert.equal(runSql(target, "SELECT count(*) FROM message WHERE text = 'changed since'"), "0");
  assert.equal(messageCount(target), messageCount(source));
});

test("what is wrong with either database is said before anything is copied", () => {
  const source = makeSource("right");
  const cases: [string[], number, RegExp][] = [
    [[], 2, /needs two databases/],
    [[source], 2, /needs two databases/],
    [[source, source], 2, /needs two databases/],
    [[sqliteUrl("absent"), freshTarget()], 1, /the source: There is no such file/],
    [[source, "mysql://somewhere/app"], 1, /the target: .*postgres/],
    [[source, "postgres://tims@127.0.0.1:1/app"], 1, /the target: /],
    [[source, postgres.url("nowhere")], 1, /the target: .*nowhere/],
  ];
  for (const [args, status, message] of cases) {
    const answer = copy(...args);
    assert.equal(answer.status, status, `${args}: ${answer.stderr}`);
    assert.match(answer.stderr, message);
  }
  const drifted = freshTarget();
  run(folder, ["migrate"], { DATABASE_URL: drifted });
  runSql(drifted, "ALTER TABLE message ADD COLUMN extra text");
  const answer = copy(source, drifted);
  assert.equal(answer.status, 1);
  assert.match(answer.stderr, /the target: .*message.*extra/);
  runSql(source, "ALTER TABLE message ADD COLUMN extra TEXT");
  assert.match(copy(source, freshTarget()).stderr, /the source: .*message.*extra/);
});

test("a value that the target cannot hold ends the copy, and nothing of it is there", () => {
  const source = makeSource("corrupt");
  const target = freshTarget();
  runSql(source, "UPDATE message SET text = CAST(x'fffe' AS TEXT) WHERE id = (SELECT max(id) FROM message)");
  const answer = copy(source, target);
  assert.equal(answer.status, 1);
  assert.match(answer.stderr, /nothing was copied/);
  assert.match(answer.stderr, /table message/);
  assert.equal(runSql(target, 'SELECT count(*) FROM "user"'), "0");
  runSql(source, "UPDATE message SET text = 'whole again' WHERE id = (SELECT max(id) FROM message)");
  assert.equal(copy(source, target).status, 0);
  assert.equal(messageCount(target), messageCount(source));
});

test("a connection that is lost in the middle leaves nothing, and the copy can be run again", async () => {
  const source = makeSource("long");
  const many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)";
  const id = "printf('00000000-0000-7000-8000-%012x', i)";
  runSql(
    source,
    `INSERT INTO message (id, chat, sender, text, created_at) ${many} SELECT ${id}, chat, sender, 'one of many', i FROM n, (SELECT chat, sender FROM message LIMIT 1)`,
  );
  const target = freshTarget();
  const child = spawn(program, ["copy-database", source, target], { cwd: folder, env: environment(folder) });
  let output = "";
  let errors = "";
  child.stdout.on("data", (text) => {
    output += text;
  });
  child.stderr.on("data", (text) => {
    errors += text;
  });
  const ended = new Promise((resolve) => child.on("close", resolve));
  await until("the table before the long one", () => output.includes("\nmember "));
  assert.ok(postgres.terminate(new URL(target).pathname.slice(1)) > 0);
  assert.equal(await ended, 1, output);
  assert.match(errors, /nothing was copied/);
  assert.equal(runSql(target, 'SELECT count(*) FROM "user"'), "0");
  const again = copy(source, target);
  assert.equal(again.status, 0, again.stderr);
  assert.equal(messageCount(target), messageCount(source));
});
