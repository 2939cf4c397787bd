// Rows that nobody should have written, and what is too much: each has its answer, and no worker stops at it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { databaseUrlOf, nowSql, onPostgres, runSql } from "../database.ts";
import { JobApp, type Program } from "../job_app.ts";
import { until } from "../server.ts";

let jobs: JobApp;
let server: Program;
before(async () => {
  jobs = new JobApp();
  server = await jobs.serve();
});
after(() => jobs?.close());

interface Row {
  task?: string;
  version?: number;
  arguments?: string;
  attempt?: number;
}

// A row as another program might write it; its id.
function insert({ task = "effective", version = 0, arguments: given = "{}", attempt = 0 }: Row): string {
  const id = randomUUID();
  const values = [`'${id}', '${task}', 'default', ${version}, '${given}', 0, ${attempt}, 0, 0`];
  values.push(nowSql(), nowSql(), "0, 0, '', false, false");
  jobs.sql(
    "insert into tims_job (id, task, queue, version, arguments, priority, attempt, crashes, state, run_at, " +
      `enqueued_at, unique_while, group_index, trace, tracked, cancelled) values (${values})`,
  );
  return id;
}

const dead = (id: string) =>
  until("it to be in the dead list", () =>
    jobs.sql(`select attempt, code, error from tims_job_dead where id = '${id}'`),
  );
const later = (id: string) =>
  until("it to wait for another attempt", () =>
    jobs.sql(`select attempt from tims_job where id = '${id}' and state = 1`),
  );
const logged = (id: string, what: string) =>
  until(`a line ${what} of it`, () => new RegExp(`event=${what} .*job=${id} `).test(server.output()));
const effectsOf = (id: string) => jobs.number(`select count(*) from effect where job = '${id}'`);

for (const [name, given, why] of [
  ["a field of another type", '{"number": "many"}', /number/],
  ["a field that is not there", '{"number": 1, "colour": "red"}', /colour/],
  ["no object", "[1, 2]", /./],
  ["no JSON", "nonsense", /./],
] as const)
  test(`stored arguments with ${name} go to the dead list at once`, async () => {
    const id = insert({ arguments: given });
    const [attempt, code, error] = (await dead(id)).split("|");
    assert.deepEqual([attempt, code], ["1", "invalid_arguments"]);
    assert.match(error ?? "", why);
    await logged(id, "dead");
    assert.equal(effectsOf(id), 0);
  });

test("arguments of an older version that nobody can upgrade go to the dead list at once", async () => {
  const id = insert({ version: -1 });
  assert.match(await dead(id), /^1\|arguments_version\|.*-1/);
  await logged(id, "dead");
});

test("arguments of a newer version wait for a newer worker, at last in the dead list", async () => {
  const id = insert({ version: 7 });
  assert.match(await later(id), /^\d$/);
  await logged(id, "failed");
  assert.match(await dead(insert({ version: 7, attempt: 9 })), /^10\|arguments_version\|/);
});

test("a task that is not known here waits for a worker that knows it, at last in the dead list", async () => {
  const id = insert({ task: "nowhere" });
  assert.match(await later(id), /^\d$/);
  await logged(id, "failed");
  const last = insert({ task: "nowhere", attempt: 9 });
  assert.match(await dead(last), /^10\|unknown_task\|/);
  await logged(last, "dead");
});

test("a task that is not known is refused where it is asked for", async () => {
  assert.equal(await jobs.many(server, { task: "nowhere", count: 1 }), 404);
  assert.throws(() => jobs.run("enqueue", "nowhere"), /nowhere/);
});

test("a negative delay and arguments that are too large are refused, and nothing is enqueued", async () => {
  const asked = { task: "slow", number: 600_000, count: 1 };
  assert.equal(await jobs.many(server, { ...asked, delay_ms: -1 }), 422);
  assert.equal(await jobs.many(server, { ...asked, label: "x".repeat(256 * 1024) }), 422);
  assert.equal(jobs.number("select count(*) from tims_job where task = 'slow'"), 0);
});

// The URL of a database on a small disk.
function databaseOn(disk: string): string {
  if (!onPostgres) return `sqlite:${join(disk, "app.sqlite3")}`;
  const [name, admin] = ["small disk of jobs", databaseUrlOf("postgres")];
  execFileSync("chmod", ["755", dirname(disk)]);
  execFileSync("chown", ["postgres:", disk]);
  runSql(admin, `create tablespace "${name}" location '${disk}'`);
  runSql(admin, `create database "${name}" tablespace "${name}"`);
  return databaseUrlOf(name);
}

test("a full disk refuses jobs and holds up those that are there; none is lost, and it heals", async () => {
  const small = join(jobs.folder, "small");
  mkdirSync(small);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=30m", "tmpfs", small]);
  let full: JobApp | null = null;
  try {
    full = new JobApp({ DATABASE_URL: databaseOn(small), WORKER_LEASE: "1s" });
    const one = await full.serve();
    const ballast = join(small, "ballast");
    const { bavail, bsize } = statfsSync(small);
    writeFileSync(ballast, Buffer.alloc(bavail * bsize - 2 ** 20));
    let accepted = 0;
    let refused = 0;
    for (let i = 0; i < 2000 && refused < 3; i++) {
      const asked = { task: "effective", label: `${i} ${"x".repeat(2000)}`, count: 20 };
      const status = await full.many(one, asked);
      if (status === 204) accepted += asked.count;
      else {
        assert.equal(status, 503);
        refused++;
      }
    }
    assert.equal(refused, 3, "the disk has become full");
    rmSync(ballast);
    await until("all to be done", () => full?.jobs() === 0, 90_000);
    assert.equal(full.number("select count(*) from effect"), accepted);
    assert.equal(full.number("select count(*) from tims_job_dead"), 0);
    assert.equal(await full.many(one, { task: "effective", label: "healed", count: 20 }), 204);
    await until("it to work as before", () => full?.effects("healed") === 20);
    assert.equal(one.process.exitCode, null);
    // PostgreSQL may have room again for the worker's small rows, since jobs that end make some.
    if (!onPostgres) assert.match(one.output(), /event=store_away doing=/);
  } finally {
    await full?.close();
    if (onPostgres) runSql(databaseUrlOf("postgres"), 'drop database "small disk of jobs" with (force)');
    if (onPostgres) runSql(databaseUrlOf("postgres"), 'drop tablespace "small disk of jobs"');
    execFileSync("umount", ["-l", small]);
  }
});
