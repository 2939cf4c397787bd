// The command line, as a person would use it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Client } from "../client.ts";
import { onPostgres } from "../database.ts";
import { environment, makeFolder, program, removeFolder, run, startServer } from "../server.ts";

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
    cwd: join(import.meta.dirname, "../.."),
    env: environment(folder),
    encoding: "utf8",
  });
  assert.equal(answer.status, 0, answer.stderr);
  assert.ok(!/CREATE|ALTER|DROP/.test(answer.stdout), answer.stdout);
  assert.match(answer.stdout, /chat: no changes/);
});
