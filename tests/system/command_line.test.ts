// The command line, as a person would use it.
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Client } from "../client.ts";
import { onPostgres } from "../database.ts";
import { environment, makeFolder, program, removeFolder, root, run, startServer } from "../server.ts";

let folder: string;
before(() => {
  folder = makeFolder();
});
after(() => removeFolder(folder));

function attempt(args: string[], input = "") {
  return spawnSync(program, args, { cwd: folder, env: environment(folder), input, encoding: "utf8" });
}

test("help lists every command, and each explains itself", () => {
  const help = run(folder, ["--help"]);
  const names = [...help.matchAll(/^ {2}([a-z-]+) /gm)].map((match) => match[1]);
  assert.ok(names.length >= 8, help);
  for (const name of names) assert.match(run(folder, [name, "--help"]), new RegExp(`chat ${name}`));
});

test("an unknown command and no command exit with 2 and say what to do", () => {
  for (const args of [["frobnicate"], []]) {
    const answer = attempt(args);
    assert.equal(answer.status, 2);
    assert.match(answer.stderr, /--help/);
  }
});

test("migrate applies everything once", () => {
  assert.match(attempt(["migrate", "--check"]).stderr, /migrate/);
  assert.match(run(folder, ["migrate"]), /0001/);
  assert.match(run(folder, ["migrate"]), /up to date/);
  assert.equal(attempt(["migrate", "--check"]).status, 0);
  if (!onPostgres) assert.ok(existsSync(join(folder, "app.sqlite3")));
});

test("ten programs that migrate at once migrate once", async () => {
  const fresh = makeFolder();
  const migrate = () =>
    new Promise<string>((resolve, reject) => {
      execFile(program, ["migrate"], { cwd: fresh, env: environment(fresh) }, (error, stdout, stderr) =>
        error ? reject(new Error(stderr)) : resolve(stdout),
      );
    });
  const told = (await Promise.all(Array.from({ length: 10 }, migrate))).join("");
  const applied = told.match(/^\w+\/\d{4}_\w+\.sql$/gm) ?? [];
  assert.ok(applied.length >= 5, told);
  assert.equal(new Set(applied).size, applied.length, told);
  removeFolder(fresh);
});

test("check is content, and lists the settings without their secrets", () => {
  const text = run(folder, ["check", "--settings"]);
  assert.match(text, /PORT/);
  assert.match(text, /are right/);
});

test("routes lists what is served", () => {
  const text = run(folder, ["routes"]);
  for (const path of ["/api/messages/", "/live", "/chat/{chat:id}", "/api/auth/login/"])
    assert.ok(text.includes(path), path);
});

test("createadmin makes staff, and refuses weak passwords", async () => {
  assert.notEqual(attempt(["createadmin", "boss"], "short\n").status, 0);
  run(folder, ["createadmin", "boss"], {}, "correct horse battery\n");
  const server = await startServer({ folder, fresh: false });
  const boss = await new Client(server).signIn("boss", "correct horse battery");
  assert.equal(boss.user.staff, true);
  await server.stop();
});

test("demo can be run twice", () => {
  run(folder, ["demo"]);
  const count = run(folder, ["shell", "select count(*) from message"]).trim();
  run(folder, ["demo"]);
  assert.equal(run(folder, ["shell", "select count(*) from message"]).trim(), count);
});

test("makemigrations finds no changes in what is committed", () => {
  const answer = spawnSync(program, ["makemigrations", "--dry-run"], {
    cwd: root,
    env: environment(folder),
    encoding: "utf8",
  });
  assert.equal(answer.status, 0, answer.stderr);
  assert.ok(!/CREATE|ALTER|DROP/.test(answer.stdout), answer.stdout);
  assert.match(answer.stdout, /chat: no changes/);
});

test("makemigrations writes a file for each database, and the snapshot", () => {
  const checkout = mkdtempSync(join(tmpdir(), "tims-test-"));
  mkdirSync(join(checkout, "back/chat"), { recursive: true });
  const answer = spawnSync(program, ["makemigrations", "--name", "whole"], {
    cwd: checkout,
    env: environment(folder),
    encoding: "utf8",
  });
  assert.equal(answer.status, 0, answer.stderr);
  const migrations = join(checkout, "back/chat/migrations");
  const [postgres, sqlite, snapshot, ...others] = readdirSync(migrations).sort();
  assert.match(postgres ?? "", /^\d{4}_whole\.postgres\.sql$/);
  assert.match(sqlite ?? "", /^\d{4}_whole\.sql$/);
  assert.deepEqual([snapshot, others], ["snapshot.json", []]);
  const text = (name: string | undefined) => readFileSync(join(migrations, name ?? ""), "utf8");
  assert.match(text(postgres), /CREATE TABLE "message" \(\n {4}"id" uuid PRIMARY KEY/);
  assert.match(text(sqlite), /CREATE TABLE "message" \(\n {4}"id" TEXT PRIMARY KEY/);
  assert.equal(text(snapshot), readFileSync(join(root, "back/chat/migrations/snapshot.json"), "utf8"));
  rmSync(checkout, { recursive: true });
});
