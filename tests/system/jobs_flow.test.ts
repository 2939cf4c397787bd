// Chains, groups, limits, pauses and schedules on the real program, with two workers that may be killed.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { onPostgres } from "../database.ts";
import { JobApp, type Program } from "../job_app.ts";
import { type Environment, until } from "../server.ts";

const MEMBERS = 1000;
const SUM = (MEMBERS * (MEMBERS - 1)) / 2;
const PATIENCE_MS = 60_000;

let app: JobApp | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

const environment = { WORKER_LEASE: "1s", WORKER_CONCURRENCY: "10" };

function open(env: Environment = {}): JobApp {
  app = new JobApp({ ...environment, ...env });
  return app;
}

async function ask(server: Program, path: string, body: object): Promise<void> {
  const answer = await fetch(`${server.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.equal(answer.status, 200, await answer.text());
}

const numberOf = (jobs: JobApp, label: string) =>
  jobs.number(`select coalesce(max(number), -1) from effect where label = '${label}'`);

async function expectNothingLeft(jobs: JobApp): Promise<void> {
  await until("all jobs to be done", () => jobs.jobs() === 0, PATIENCE_MS);
  for (const table of ["tims_job_group", "tims_job_group_result", "tims_job_dead"])
    assert.equal(jobs.number(`select count(*) from ${table}`), 0, table);
}

test("a chain adds up, one step after the other", async () => {
  const jobs = open();
  const server = await jobs.serve();
  await ask(server, "/chain/", { task: "adding", count: 3, label: "chain" });
  await until("the last step", () => numberOf(jobs, "chain") === 111, PATIENCE_MS);
  assert.equal(jobs.effects("chain"), 3);
  await expectNothingLeft(jobs);
});

test("a group of a thousand on two workers, one of them killed: the last step runs once, with all results", async () => {
  const jobs = open({ WORKER_CONCURRENCY: "2" });
  const server = await jobs.serve({ WORKER: "false" });
  const workers = [await jobs.worker(), await jobs.worker()];
  await ask(server, "/group/", { task: "adding", count: MEMBERS, label: "group" });
  await until("a few members", () => jobs.effects("group") > 50, PATIENCE_MS);
  await workers[0]?.kill();
  assert.ok(jobs.jobs() > 0, "it was in the middle");
  await jobs.worker();
  await until("the last step", () => jobs.effects("last") > 0, PATIENCE_MS);
  assert.equal(numberOf(jobs, "last"), SUM);
  await expectNothingLeft(jobs);
  assert.equal(jobs.effects("group"), MEMBERS);
  assert.equal(jobs.effects("last"), 1);
});

test("no more of a queue run at once than it allows, on two workers", async () => {
  const jobs = open();
  const server = await jobs.serve({ WORKER: "false" });
  await jobs.worker();
  await jobs.worker();
  assert.equal(
    await jobs.many(server, { task: "slow", queue: "narrow", number: 20, count: 40, label: "narrow" }),
    204,
  );
  let most = 0;
  await until(
    "all to be done",
    () => {
      most = Math.max(
        most,
        jobs.number("select count(*) from tims_job where state = 2 and queue = 'narrow'"),
      );
      return jobs.effects("narrow") === 40;
    },
    PATIENCE_MS,
  );
  assert.ok(most >= 1 && most <= 2, `${most} at once`);
});

// Ten at once, and then ten a second: the last of thirty cannot begin within two seconds of the first.
test("no more of a queue are begun in a time than it allows, on two workers", async () => {
  const jobs = open();
  const server = await jobs.serve({ WORKER: "false" });
  assert.equal(await jobs.many(server, { task: "effective", queue: "slow", count: 30, label: "slow" }), 204);
  const before = Date.now();
  await jobs.worker();
  await jobs.worker();
  await until("all to be done", () => jobs.effects("slow") === 30, PATIENCE_MS);
  assert.ok(Date.now() - before >= 2000, "that was too fast");
  assert.equal(jobs.number("select max(attempt) from effect"), 1);
});

test("one of a key runs at once, and others' keys do not wait for it", async () => {
  const jobs = open();
  const server = await jobs.serve({ WORKER: "false" });
  await jobs.worker();
  await jobs.worker();
  const asked = { task: "keyed", number: 5, count: 30 };
  for (const key of ["a", "b"])
    assert.equal(await jobs.many(server, { ...asked, key, label: `key ${key}` }), 204);
  let most = 0;
  await until(
    "all to be done",
    () => {
      most = Math.max(
        most,
        jobs.number(
          "select coalesce(max(n), 0) from (select count(*) n from tims_job where state = 2 group by limit_key) x",
        ),
      );
      return jobs.effects("key a") === 30 && jobs.effects("key b") === 30;
    },
    PATIENCE_MS,
  );
  assert.ok(most <= 1, `${most} at once`);
  await expectNothingLeft(jobs);
});

test("a paused queue keeps its jobs until it goes on", async () => {
  const jobs = open();
  const server = await jobs.serve();
  await until(
    "the queue's row",
    () => jobs.number("select count(*) from tims_queue where name = 'narrow'") === 1,
  );
  const pause = (paused: boolean) =>
    jobs.sql(`update tims_queue set paused = ${onPostgres ? paused : Number(paused)} where name = 'narrow'`);
  pause(true);
  await jobs.many(server, { task: "effective", queue: "narrow", count: 5, label: "paused" });
  await jobs.many(server, { task: "effective", count: 5, label: "others" });
  await until("the others", () => jobs.effects("others") === 5, PATIENCE_MS);
  assert.equal(jobs.effects("paused"), 0);
  pause(false);
  await until("the paused ones", () => jobs.effects("paused") === 5, PATIENCE_MS);
});

// The row is there before the workers, so that the first due time is known: from there to the last one, each second
// has one job, and one effect.
test("a schedule for every second on two workers that are killed: each second has one job", async () => {
  const jobs = open({ JOBS_SCHEDULES: "yes" });
  const first = Math.floor(Date.now() / 1000) + 1;
  const [no, due] = onPostgres ? [false, `to_timestamp(${first})`] : [0, `${first}000000`];
  jobs.sql(
    `insert into tims_schedule (id, name, task, spec, zone, paused, next_due) values
     ('00000000-0000-4000-8000-000000000001', 'tick', 'effective', 'every 1 s', 'UTC', ${no}, ${due})`,
  );
  const lastDue = () =>
    jobs.number(
      onPostgres
        ? "select coalesce(max(extract(epoch from last_due)), 0)::int8 from tims_schedule"
        : "select coalesce(max(last_due), 0) / 1000000 from tims_schedule",
    );
  let workers = [await jobs.worker(), await jobs.worker()];
  await until("three ticks", () => lastDue() >= first + 2, PATIENCE_MS);
  await workers[0]?.kill();
  workers = [workers[1] as Program, await jobs.worker()];
  const seen = lastDue();
  await until("two more", () => lastDue() >= seen + 2, PATIENCE_MS);
  await Promise.all(workers.map((one) => one.kill()));
  const killed = lastDue();
  workers = [await jobs.worker(), await jobs.worker()];
  await until("ticks after all were killed", () => lastDue() >= killed + 2, PATIENCE_MS);
  jobs.sql(`update tims_schedule set paused = ${onPostgres ? true : 1}`);
  await until("all jobs to be done", () => jobs.jobs() === 0, PATIENCE_MS);
  assert.equal(jobs.effects("tick"), lastDue() - first + 1);
  assert.equal(jobs.number("select count(distinct job) from effect"), jobs.effects("tick"));
  assert.equal(jobs.sql("select zone from tims_schedule where name = 'report'"), "Europe/Berlin");
});
