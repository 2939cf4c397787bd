// kill -9 of workers, servers and the database in the middle of 10,000 jobs: nothing is lost, and what a run wrote
// happened exactly once.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { onPostgres } from "../database.ts";
import { JobApp } from "../job_app.ts";
import { Postgres } from "../postgres.ts";
import { type Environment, until } from "../server.ts";

const COUNT = 10_000;
const SETTINGS = { WORKER_LEASE: "1s", WORKER_CONCURRENCY: "10" };
const PATIENCE_MS = 90_000;

let app: JobApp | undefined;
let postgres: Postgres | undefined;
afterEach(async () => {
  await app?.close();
  await postgres?.remove();
  app = postgres = undefined;
});

function open(env: Environment = {}): JobApp {
  app = new JobApp({ ...SETTINGS, ...env });
  return app;
}

// What is killed here are processes, whose writes the kernel keeps: nobody has to wait for the disk.
async function openOnPostgres(): Promise<[JobApp, Postgres]> {
  postgres = await Postgres.open({ settings: { fsync: "off" } });
  return [open({ DATABASE_URL: postgres.createDatabase("jobs") }), postgres];
}

const answers = (server: Postgres) =>
  until("PostgreSQL to answer", () => {
    try {
      return server.sql("select 1") === "1";
    } catch {
      return false;
    }
  });

const BATCH = 1000;

// By a server that runs none, and is gone then.
async function enqueueAll(jobs: JobApp): Promise<void> {
  const server = await jobs.serve({ WORKER: "false" });
  for (let i = 0; i < COUNT / BATCH; i++) {
    const asked = { task: "effective", label: `crash ${i}`, number: -1, count: BATCH };
    assert.equal(await jobs.many(server, asked), 204);
  }
  await server.stop();
}

const crashEffects = (jobs: JobApp) => jobs.number("select count(*) from effect where label like 'crash %'");

// Until some of the jobs are done and many are not.
const inTheMiddle = (jobs: JobApp, done: number) =>
  until(`${done} effects`, () => crashEffects(jobs) >= done, PATIENCE_MS);

// A look is a process of its own, which takes a core from those that it looks for.
async function lookRarely(condition: () => boolean): Promise<boolean> {
  await new Promise((resolve) => setTimeout(resolve, 100));
  return condition();
}

// Each job was done, once; nothing is left over.
async function expectAllOnce(jobs: JobApp): Promise<void> {
  await until("all jobs to be done", () => lookRarely(() => jobs.jobs() === 0), PATIENCE_MS);
  const different = "(select distinct label, number from effect where label like 'crash %')";
  assert.equal(jobs.number(`select count(*) from ${different} as each_once`), COUNT);
  assert.equal(crashEffects(jobs), COUNT, "effect and end are one transaction");
  assert.equal(jobs.number("select count(*) from tims_job_dead"), 0);
}

test("kill -9 of workers in the middle of 10,000 jobs: all are done, exactly once", async () => {
  const jobs = open();
  await enqueueAll(jobs);
  let workers = [await jobs.worker(), await jobs.worker()];
  for (const done of [1000, 4000]) {
    await inTheMiddle(jobs, done);
    await Promise.all(workers.map((one) => one.kill()));
    assert.ok(jobs.jobs() > 0, "it was in the middle");
    workers = [await jobs.worker(), await jobs.worker()];
  }
  await expectAllOnce(jobs);
  assert.match(workers.map((one) => one.output()).join(), /event=workers_lost workers=\d jobs=\d/);
});

test("kill -9 of the server that runs them, too", async () => {
  const jobs = open();
  await enqueueAll(jobs);
  let server = await jobs.serve();
  for (const done of [500, 4000]) {
    await inTheMiddle(jobs, done);
    await server.kill();
    assert.ok(jobs.jobs() > 0, "it was in the middle");
    server = await jobs.serve();
  }
  await expectAllOnce(jobs);
});

// What needs a server that may be killed is part of the run for PostgreSQL.
if (onPostgres) {
  test("PostgreSQL that breaks down in the middle, twice: all are done, exactly once, by the same workers", async () => {
    const [jobs, database] = await openOnPostgres();
    await enqueueAll(jobs);
    const workers = [await jobs.worker(["--concurrency", "40"]), await jobs.worker(["--concurrency", "40"])];
    await inTheMiddle(jobs, 1000);
    await database.stop("immediate");
    await database.start();
    await inTheMiddle(jobs, 3000);
    await database.kill();
    await database.start();
    await answers(database);
    await expectAllOnce(jobs);
    for (const one of workers) {
      assert.equal(one.process.exitCode, null);
      assert.match(one.output(), /event=store_away doing=\w+ message=/);
      // The other one may have done all before this one has tried again.
      await until("it to be back", () => /event=store_back(?!.*event=store_away)/s.test(one.output()));
    }
  });

  test("PostgreSQL that is away for longer than a lease: enqueuing is 503, jobs go on when it is back", async () => {
    const [jobs, database] = await openOnPostgres();
    const server = await jobs.serve({ WORKER: "false" });
    const worker = await jobs.worker();
    assert.equal(
      await jobs.many(server, { task: "slow", label: "running", number: 1500, count: 10, queue: "default" }),
      204,
    );
    await jobs.many(server, { task: "effective", label: "later", number: -1, count: 100, delay_ms: 1500 });
    await until("them to run", () => jobs.number("select count(*) from tims_job where state = 2") === 10);
    await database.stop("fast");
    assert.equal(await jobs.many(server, { task: "effective", label: "refused", count: 10 }), 503);
    await until("the worker to say so", () => /event=store_away/.test(worker.output()));
    const away = Date.now();
    await until("a lease to run out", () => Date.now() - away > 2000);
    await database.start();
    await until("all to be done", () => jobs.jobs() === 0, PATIENCE_MS);
    assert.equal(jobs.effects("running"), 10);
    assert.equal(jobs.effects("later"), 100);
    assert.equal(jobs.effects("refused"), 0);
    assert.equal(jobs.number("select count(*) from tims_job_dead"), 0);
    assert.equal(
      jobs.number("select count(*) from effect where attempt > 2"),
      0,
      "an outage costs a run at most",
    );
    assert.match(worker.output(), /event=lease_lost/);
    assert.match(worker.output(), /event=store_back/);
    assert.equal(worker.process.exitCode, null);
  });
}

test("a request that fails enqueues nothing", async () => {
  const jobs = open();
  const server = await jobs.serve();
  assert.equal(await jobs.many(server, { task: "effective", label: "undone", count: 100, fail: true }), 500);
  assert.equal(jobs.jobs(), 0);
  assert.equal(await jobs.many(server, { task: "effective", label: "done", count: 100 }), 204);
  await until("the others to be done", () => jobs.effects("done") === 100);
  assert.equal(jobs.effects("undone"), 0);
});

test("a run that fails enqueues nothing either, and its own writes are undone", async () => {
  const jobs = open();
  const server = await jobs.serve();
  await jobs.many(server, { task: "failing", label: "undone", count: 1 });
  await until("it to be given up", () => jobs.number("select count(*) from tims_job_dead") === 1);
  assert.equal(jobs.effects("undone"), 0);
  assert.equal(jobs.sql("select attempt, crashes, code from tims_job_dead"), "3|0|told_to");
  await jobs.many(server, { task: "spreading", label: "spread", number: 20, count: 1 });
  await until("what it enqueued", () => jobs.effects("spread") === 20);
});

// Starts a worker again whenever it has died, until `condition` holds; how often it died.
async function nurse(jobs: JobApp, condition: () => boolean): Promise<number> {
  let deaths = 0;
  let over = false;
  const nursing = (async () => {
    while (!over) {
      const worker = await jobs.worker();
      while (!over && worker.process.signalCode === null)
        await new Promise((resolve) => setTimeout(resolve, 5)); // between two looks at a process
      if (!over) deaths++;
    }
  })();
  await until("that in spite of deaths", condition, PATIENCE_MS);
  over = true;
  await nursing;
  return deaths;
}

test("a job that kills its worker three times is given up, and what ran beside it is done", async () => {
  const jobs = open();
  const server = await jobs.serve({ WORKER: "false" });
  await jobs.many(server, { task: "slow", label: "beside", number: 300, count: 20, queue: "poison" });
  await jobs.many(server, { task: "crashing", label: "poison", count: 1 });
  const deaths = await nurse(jobs, () => jobs.jobs() === 0);
  assert.equal(deaths, 3);
  assert.equal(jobs.sql("select task, crashes, code from tims_job_dead"), "crashing|3|crashed");
  assert.equal(jobs.effects("beside"), 20);
});

test("two workers of one name: the second is shown with a number, and both work", async () => {
  const jobs = open();
  const server = await jobs.serve({ WORKER: "false" });
  const first = await jobs.worker(["--name", "twin"]);
  const second = await jobs.worker(["--name", "twin"]);
  assert.equal(jobs.sql("select name from tims_worker order by name"), "twin\ntwin (2)");
  assert.match(second.output(), /event=name_taken name=twin/);
  await jobs.many(server, { task: "slow", label: "both", number: 50, count: 400 });
  const busy = "select count(distinct worker) from tims_job where state = 2";
  await until("both to have some", () => jobs.number(busy) === 2);
  await until("all to be done", () => jobs.effects("both") === 400);
  await first.stop();
  await until("its row to go", () => jobs.sql("select name from tims_worker") === "twin (2)");
});
