// Runs in the real program: in processes, too long, too large, cancelled, stopped, frozen.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, test } from "node:test";
import { Client } from "../client.ts";
import { JobApp } from "../job_app.ts";
import { welcomed } from "../live.ts";
import { Postgres } from "../postgres.ts";
import { Redis } from "../redis.ts";
import { type Environment, type Server, until } from "../server.ts";

const PATIENCE_MS = 60_000;
const LONG_MS = 600_000;

let app: JobApp | undefined;
let postgres: Postgres | undefined;
let redis: Redis | undefined;
afterEach(async () => {
  await app?.close();
  await postgres?.remove();
  await redis?.remove();
  app = postgres = redis = undefined;
});

function open(env: Environment = {}): JobApp {
  const made = new JobApp({ WORKER_PROCESSES: "2", ...env });
  app = made;
  return made;
}

const enqueue = (jobs: JobApp, task: string, number: number, label = task) =>
  jobs.run("enqueue", task, JSON.stringify({ number, label })).trim();

const state = (jobs: JobApp, id: string) => jobs.sql(`select state from tims_job_status where id = '${id}'`);

const isIn = (jobs: JobApp, id: string, wanted: string) =>
  until(`${id} to be ${wanted}`, () => state(jobs, id) === wanted, PATIENCE_MS);

const hasBegun = (jobs: JobApp, id: string) =>
  until(
    `progress of ${id}`,
    () => jobs.number(`select count(*) from tims_job_status where id = '${id}' and progress > 0`) > 0,
    PATIENCE_MS,
  );

const isDead = (jobs: JobApp, id: string) =>
  until(`${id} to be dead`, () => jobs.sql(`select code from tims_job_dead where id = '${id}'`), PATIENCE_MS);

const cancel = (jobs: JobApp, id: string) =>
  jobs.sql(`update tims_job set cancelled = true where id = '${id}'`);

// The processes for blocking tasks that a worker has started, or has left behind: their socket is in its TMPDIR.
function processesIn(folder: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        return words[1] === "task-process" && words[2]?.startsWith(folder);
      } catch {
        return false; // it has ended meanwhile
      }
    })
    .map(Number);
}

const worker = (jobs: JobApp, env: Environment = {}) => jobs.worker([], { TMPDIR: jobs.folder, ...env });

const socketFolders = (jobs: JobApp) =>
  readdirSync(jobs.folder).filter((name) => name.startsWith("tims-tasks-"));

const allGone = (jobs: JobApp) =>
  until("the processes to be gone", () => processesIn(jobs.folder).length === 0, PATIENCE_MS);

test("blocking tasks run in at most as many processes as are allowed, which go with the worker", async () => {
  const jobs = open();
  const one = await worker(jobs);
  assert.deepEqual(processesIn(jobs.folder), [], "none before it is needed");
  const ids = Array.from({ length: 12 }, () => enqueue(jobs, "computing", 20));
  for (const id of ids) await isIn(jobs, id, "done");
  assert.equal(jobs.effects("computing"), 12);
  const processes = processesIn(jobs.folder);
  assert.ok(processes.length === 1 || processes.length === 2, `${processes.length} processes`);
  assert.ok(!processes.includes(one.process.pid as number));
  assert.deepEqual(socketFolders(jobs), [], "it is there only while one starts");
  await one.stop();
  assert.deepEqual(await one.exited, { code: 0, signal: null });
  assert.deepEqual(processesIn(jobs.folder), []);
  assert.deepEqual(socketFolders(jobs), []);
});

test("a worker that is killed takes its processes along, even one that computes", async () => {
  const jobs = open({ WORKER_LEASE: "1s" });
  const one = await worker(jobs);
  const id = enqueue(jobs, "rendering", LONG_MS);
  await hasBegun(jobs, id);
  assert.equal(processesIn(jobs.folder).length, 1);
  await one.kill();
  await allGone(jobs);
  assert.deepEqual(socketFolders(jobs), []);
  const next = await worker(jobs);
  const again = () =>
    jobs.number(`select count(*) from tims_job where id = '${id}' and attempt = 2 and crashes = 1`) === 1;
  await until("the job to be run again", again, PATIENCE_MS);
  cancel(jobs, id);
  await isIn(jobs, id, "cancelled");
  await next.stop();
});

test("what is too long, too large or dies is ended, counted and told; the worker and its other jobs go on", async () => {
  const jobs = open();
  const one = await worker(jobs);
  const long = enqueue(jobs, "computing", LONG_MS);
  const large = enqueue(jobs, "greedy", 2000);
  const dying = enqueue(jobs, "crashing_process", 0);
  const beside = Array.from({ length: 6 }, () => enqueue(jobs, "computing", 10, "beside"));
  for (const id of beside) await isIn(jobs, id, "done");
  assert.equal(await isDead(jobs, long), "timeout");
  assert.equal(await isDead(jobs, large), "memory_limit");
  assert.equal(await isDead(jobs, dying), "crashed");
  const counts = (id: string) => jobs.sql(`select attempt, crashes from tims_job_dead where id = '${id}'`);
  assert.deepEqual([long, large, dying].map(counts), ["2|0", "1|0", "3|3"]);
  assert.equal(state(jobs, long), "failed");
  assert.equal(jobs.number("select count(*) from effect where label <> 'beside'"), 0);
  assert.equal(one.process.exitCode, null);
  for (const code of ["timeout", "memory_limit", "crashed"])
    await until(`the log to say ${code}`, () => new RegExp(`event=dead .*code=${code}`).test(one.output()));
});

test("kill -9 of processes in the middle of 300 jobs: all are done, exactly once", async () => {
  const jobs = open();
  const server = await jobs.serve({ TMPDIR: jobs.folder });
  assert.equal(await jobs.many(server, { task: "rendering", label: "all", number: 5, count: 300 }), 204);
  for (const done of [20, 120]) {
    await until(`${done} effects`, () => jobs.effects("all") >= done, PATIENCE_MS);
    for (const pid of processesIn(jobs.folder)) process.kill(pid, "SIGKILL");
    assert.ok(jobs.jobs() > 0, "it was in the middle");
  }
  await until("all jobs to be done", () => jobs.jobs() === 0, PATIENCE_MS);
  assert.equal(jobs.effects("all"), 300);
  assert.equal(jobs.number("select count(distinct job) from effect"), 300);
  assert.equal(jobs.number("select count(*) from tims_job_status where state = 'done'"), 300);
});

test("a process tells its progress live, and its result", async () => {
  const jobs = open();
  const server = await jobs.serve({ TMPDIR: jobs.folder });
  const client = new Client(server as unknown as Server);
  await client.refresh();
  await client.post("/api/auth/register/", { username: "user", password: "correct horse battery" });
  await client.signIn("user", "correct horse battery");
  const socket = await welcomed(client);
  await socket.sub("/api/tasks/");
  const id = enqueue(jobs, "rendering", 1500);
  jobs.sql(`update tims_job_status set "user" = '${client.user.id}' where id = '${id}'`);
  // biome-ignore lint/suspicious/noExplicitAny: rows of any model
  const rows = (): any[] =>
    socket
      .ops()
      .map((op) => op.row)
      .filter((row) => row?.progress !== undefined);
  await until("its end", () => rows().some((row) => row.state === "done"), PATIENCE_MS);
  const steps = rows().filter((row) => row.state === "running" && row.progress > 0);
  assert.ok(new Set(steps.map((row) => row.progress)).size >= 2, "more than one step of progress");
  assert.match(steps.at(-1).message, /^\d+ ms$/);
  assert.deepEqual([rows().at(-1).progress, rows().at(-1).result], [1, "rendered"]);
  socket.close();
});

test("running jobs are cancelled, whether they listen or not, on fibers and in processes", async () => {
  const jobs = open();
  await worker(jobs);
  const running = [
    enqueue(jobs, "slow", LONG_MS),
    enqueue(jobs, "deaf", LONG_MS),
    enqueue(jobs, "rendering", LONG_MS),
  ];
  for (const id of running) await hasBegun(jobs, id);
  for (const id of running) cancel(jobs, id);
  for (const id of running) await isIn(jobs, id, "cancelled");
  assert.equal(jobs.jobs(), 0);
  assert.equal(jobs.number("select count(*) from effect"), 0);
  const after = enqueue(jobs, "computing", 10);
  await isIn(jobs, after, "done");
});

test("a run on a fiber that is too long is ended and counted", async () => {
  const jobs = open();
  await worker(jobs);
  const id = enqueue(jobs, "stubborn", LONG_MS);
  assert.equal(await isDead(jobs, id), "timeout");
  assert.equal(jobs.number(`select attempt from tims_job_dead where id = '${id}'`), 2);
  assert.equal(state(jobs, id), "failed");
  assert.equal(jobs.effects("stubborn"), 0);
});

test("SIGTERM lets jobs end, or hands them back as if they had not begun", async () => {
  const jobs = open();
  const one = await worker(jobs, { WORKER_DRAIN: "300ms" });
  const running = [
    enqueue(jobs, "slow", LONG_MS),
    enqueue(jobs, "deaf", LONG_MS),
    enqueue(jobs, "rendering", LONG_MS),
  ];
  for (const id of running) await hasBegun(jobs, id);
  await one.stop();
  assert.deepEqual(await one.exited, { code: 0, signal: null });
  await until("the log to say so", () => /event=handed_back task=deaf/.test(one.output()));
  assert.equal(
    jobs.number("select count(*) from tims_job where state = 0 and attempt = 0 and crashes = 0"),
    3,
  );
  assert.equal(jobs.number("select count(*) from tims_job_status where state = 'waiting'"), 3);
  assert.equal(jobs.number("select count(*) from tims_worker"), 0);
  assert.deepEqual(processesIn(jobs.folder), []);
  assert.deepEqual(socketFolders(jobs), []);
});

test("SIGTERM of a server does the same", async () => {
  const jobs = open();
  const server = await jobs.serve({ TMPDIR: jobs.folder, WORKER_DRAIN: "300ms" });
  const id = enqueue(jobs, "rendering", LONG_MS);
  await hasBegun(jobs, id);
  await server.stop();
  assert.deepEqual(await server.exited, { code: 0, signal: null });
  assert.equal(jobs.sql(`select state, attempt, crashes from tims_job where id = '${id}'`), "0|0|0");
  assert.deepEqual(processesIn(jobs.folder), []);
});

// What it ran is run by another meanwhile; what it says of that later is not heard.
test("a worker that is frozen past its lease loses its jobs, finishes nothing twice, and goes on", async () => {
  const jobs = open({ WORKER_LEASE: "2s" });
  const frozen = await worker(jobs);
  const ids = [enqueue(jobs, "slow", 4000), enqueue(jobs, "rendering", 4000)];
  for (const id of ids) await hasBegun(jobs, id);
  await jobs.freeze(frozen);
  assert.equal(jobs.jobs(), 2, "they were to be frozen in the middle");
  const other = await worker(jobs, { TMPDIR: "" });
  for (const id of ids) await isIn(jobs, id, "done");
  frozen.process.kill("SIGCONT");
  await until("it to find out", () => /event=lease_lost/.test(frozen.output()), PATIENCE_MS);
  await other.stop();
  const after = ["slow", "computing"].map((task) => enqueue(jobs, task, 10, "after"));
  for (const id of after) await isIn(jobs, id, "done");
  assert.equal(jobs.effects("slow"), 1);
  assert.equal(jobs.effects("rendering"), 1);
  assert.equal(jobs.effects("after"), 2);
  assert.equal(jobs.number("select count(*) from tims_job_dead"), 0);
  assert.equal(jobs.jobs(), 0);
  await frozen.stop();
  assert.deepEqual(await frozen.exited, { code: 0, signal: null });
});

test("a process whose database is away when it ends has failed, and is tried again", async () => {
  postgres = await Postgres.open();
  const jobs = open({ DATABASE_URL: postgres.createDatabase("jobs") });
  const one = await worker(jobs);
  const id = enqueue(jobs, "rendering", 1000);
  await hasBegun(jobs, id);
  await postgres.stop("immediate");
  await until("its end", () => /event=failed task=rendering/.test(one.output()), PATIENCE_MS);
  await postgres.start();
  await isIn(jobs, id, "done");
  assert.equal(jobs.effects("rendering"), 1);
  assert.ok(jobs.number(`select attempt from tims_job_status where id = '${id}'`) >= 2);
});

test("jobs that come over Redis run in processes, too", async () => {
  redis = await Redis.open();
  const jobs = open({ TASKS_URL: redis.url });
  const one = await worker(jobs);
  const done = enqueue(jobs, "rendering", 500);
  await hasBegun(jobs, done);
  await isIn(jobs, done, "done");
  assert.equal(jobs.effects("rendering"), 1);
  assert.equal(await isDead(jobs, enqueue(jobs, "greedy", 2000)), "memory_limit");
  assert.equal(await isDead(jobs, enqueue(jobs, "crashing_process", 0)), "crashed");
  await one.stop();
  assert.deepEqual(processesIn(jobs.folder), []);
});
