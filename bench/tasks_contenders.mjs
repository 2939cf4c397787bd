// tasks_contenders.mjs: queues that are filled and drained: ours on three stores, Celery and BullMQ, each with a server
// of its own. A contender tells when its first job is taken and when its last one has ended.
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import IORedis from "ioredis";
import pg from "pg";
import { Postgres } from "../tests/postgres.ts";
import { Redis } from "../tests/redis.ts";
import { freePort, processTree, startProcess } from "./process.mjs";

const here = import.meta.dirname;
const root = join(here, "..");
const node = join(root, "node_modules/.bin/node");
const jobs = join(root, "build/release/jobs_app");
const python = "/usr/bin/python3"; // Debian's, which knows Debian's Celery
const BOTH = "0,1"; // worker and store share the machine
const execute = promisify(execFile);

// A queue on Redis: what waits, and what is taken and not acknowledged.
async function openRedis(waiting, taken) {
  const server = await Redis.open();
  const client = new IORedis(server.port, server.address);
  const count = async () => {
    const [[, wait], [, unacked]] = await client.pipeline([waiting, taken]).exec();
    return [wait, unacked];
  };
  return {
    server,
    client,
    pid: Number(server.command("INFO", "server").match(/process_id:(\d+)/)[1]),
    hasBegun: async () => (await count())[1] > 0,
    isEmpty: async () => (await count()).every((number) => number === 0),
    close: async () => {
      client.disconnect();
      await server.remove();
    },
  };
}

const LATENCIES = "latencies"; // where the peers' workers push them, in ms

async function readLatencies(client) {
  return (await client.lrange(LATENCIES, 0, -1)).map(Number);
}

/* --- Celery ------------------------------------------------------------------------------------------------ */

const celeryEnv = (redis) => ({
  BROKER: redis.server.url,
  PYTHONPATH: join(here, "peers"),
  PYTHONDONTWRITEBYTECODE: "1",
  C_FORCE_ROOT: "true",
});
// What a Python program enqueues: the same messages for Celery's worker and for ours.
const produce = (redis, ...words) =>
  execute(python, [join(here, "peers/tasks_celery.py"), ...words], {
    env: { PATH: process.env.PATH, ...celeryEnv(redis) },
  });

// The queue as that left it, kept for whoever comes next: Python takes its time.
let kept;
async function fillFromPython(redis, count) {
  if (kept?.count === count) {
    await redis.client.restore("default", 0, kept.list);
    return;
  }
  await produce(redis, "fill", String(count));
  kept = { count, list: await redis.client.dumpBuffer("default") };
}

// Celery's pool outlives a parent that was killed.
async function startCeleryWorker(redis) {
  const worker = await startProcess({
    command: python,
    args: [
      "-m",
      "celery",
      "-A",
      "tasks_celery",
      "worker",
      "-P",
      "prefork",
      "-c",
      "2",
      "-Q",
      "default",
      "-l",
      "WARNING",
    ],
    env: celeryEnv(redis),
    cpu: BOTH,
    readyText: "", // it takes jobs before it says that it is ready
  });
  return {
    ...worker,
    stop: async () => {
      const tree = processTree(worker.pid);
      await worker.stop();
      for (const pid of tree)
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // it has ended by itself
        }
    },
  };
}

export async function openCelery() {
  const redis = await openRedis(["llen", "default"], ["hlen", "unacked"]);
  return {
    beside: redis.pid,
    fill: (count) => fillFromPython(redis, count),
    startWorker: () => startCeleryWorker(redis),
    hasBegun: redis.hasBegun,
    isEmpty: redis.isEmpty,
    measureStart: async (count) => {
      await produce(redis, "start", String(count));
      return readLatencies(redis.client);
    },
    close: redis.close,
  };
}

/* --- BullMQ ------------------------------------------------------------------------------------------------ */

export async function openBullmq() {
  const redis = await openRedis(["llen", "bull:bench:wait"], ["llen", "bull:bench:active"]);
  const script = join(here, "peers/tasks_bullmq.mjs");
  const tell = (...words) => execute(node, [script, String(redis.server.port), ...words]);
  return {
    beside: redis.pid,
    fill: (count) => tell("fill", String(count)),
    startWorker: () =>
      startProcess({
        command: node,
        args: [script, String(redis.server.port), "work", "10"],
        cpu: BOTH,
        readyText: "",
      }),
    hasBegun: redis.hasBegun,
    isEmpty: redis.isEmpty,
    measureStart: async (count) => {
      await tell("start", String(count));
      return readLatencies(redis.client);
    },
    close: redis.close,
  };
}

/* --- ours -------------------------------------------------------------------------------------------------- */

const id = (number) =>
  `${number.toString(16).padStart(8, "0")}-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;

// Copies of one job that was enqueued, in the order of their numbers.
function copySql(columns, count, own) {
  const values = columns.map((column) =>
    column === "id" ? own.id : column === "run_at" ? own.time : `one."${column}"`,
  );
  return `insert into tims_job select ${values} from (select * from tims_job) as one, ${own.series(count)}`;
}

function openSqlite(folder) {
  const file = join(folder, "jobs.sqlite3");
  let database;
  const query = (sql) => {
    database ??= new DatabaseSync(file, { timeout: 10_000 });
    return database.prepare(sql).all();
  };
  return {
    url: `sqlite:${file}`,
    query: async (sql) => query(sql),
    columns: async () => query("select name from pragma_table_info('tims_job')").map(({ name }) => name),
    own: {
      id: "printf('%08x-0000-7000-8000-%012x', n, n)",
      time: "one.run_at + n",
      series: (count) =>
        `(with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${count}) select n from numbers)`,
    },
    settle: async () => query("pragma wal_checkpoint(truncate)"),
    close: async () => database?.close(),
  };
}

async function openPostgres() {
  const server = await Postgres.open();
  const url = server.createDatabase("jobs");
  const client = new pg.Client(url);
  client.on("error", () => {});
  await client.connect();
  const query = async (sql) => (await client.query(sql)).rows;
  return {
    url,
    pid: server.pid,
    query,
    columns: async () =>
      (
        await query(
          "select column_name as name from information_schema.columns where table_name = 'tims_job' order by ordinal_position",
        )
      ).map(({ name }) => name),
    own: {
      id: "(lpad(to_hex(n), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid",
      time: "one.run_at + n * interval '1 microsecond'",
      series: (count) => `generate_series(1, ${count}) as n`,
    },
    settle: async () => {
      await query("vacuum (analyze) tims_job"); // as it would have come by itself, but not during the measurement
      await query("checkpoint");
    },
    close: async () => {
      await client.end();
      await server.remove();
    },
  };
}

function programOf(folder, env) {
  const all = { HOST: "127.0.0.1", LOOPS: "1", ...env };
  return {
    run: (...args) =>
      execFileSync(jobs, args, { cwd: folder, env: { PATH: process.env.PATH, ...all }, stdio: "pipe" }),
    startWorker: () =>
      startProcess({
        command: jobs,
        args: ["worker", "--queues", "default"],
        cwd: folder,
        env: all,
        cpu: BOTH,
        readyText: "is ready",
      }),
    startServer: async (more) => {
      const port = await freePort();
      const server = await startProcess({
        command: jobs,
        args: ["serve"],
        cwd: folder,
        env: { ...all, PORT: String(port), ...more },
        cpu: BOTH,
        readyText: "is ready",
      });
      return { ...server, url: `http://127.0.0.1:${port}` };
    },
  };
}

const post = async (server, asked) => {
  const answer = await fetch(`${server.url}/many/`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(asked),
  });
  if (answer.status !== 204) throw new Error(`/many/: ${answer.status} ${await answer.text()}`);
};

// One job at a time; each notes how long ago it was asked for, in µs.
async function measureOurStart(database, server, count) {
  await database.query("delete from effect");
  for (let i = 1; i <= count; i++) {
    await post(server, { task: "timed", count: 1 });
    while (Number((await database.query("select count(*) as n from effect"))[0].n) < i)
      await new Promise((resolve) => setTimeout(resolve, 2));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return (await database.query("select number from effect")).map(({ number }) => Number(number) / 1000);
}

// `kind`: sqlite or postgres.
export async function openOurs(kind) {
  const folder = mkdtempSync(join(tmpdir(), "tims-bench-jobs-"));
  const database = kind === "postgres" ? await openPostgres() : openSqlite(folder);
  const program = programOf(folder, { DATABASE_URL: database.url });
  program.run("migrate");
  let last = 0;
  const exists = async (condition) =>
    (await database.query(`select 1 from tims_job where ${condition} limit 1`)).length > 0;
  return {
    isOurs: true,
    beside: database.pid,
    fill: async (count) => {
      program.run("enqueue", "noop", JSON.stringify({ number: 1, label: "" }));
      await database.query(copySql(await database.columns(), count - 1, database.own));
      await database.settle();
      last = count - 1;
    },
    startWorker: program.startWorker,
    hasBegun: async () => !(await exists(`id = '${id(1)}' and state = 0`)),
    isEmpty: async () => !(await exists(`id = '${id(last)}'`)) && !(await exists("true")),
    hasEnded: async (number) => !(await exists(`id = '${id(number)}'`)),
    measureStart: async (count, where) => {
      const server = await program.startServer({ WORKER: where === "serve" ? "true" : "false" });
      const worker = where === "serve" ? null : await program.startWorker();
      try {
        return await measureOurStart(database, server, count);
      } finally {
        await worker?.stop();
        await server.stop();
      }
    },
    close: async () => {
      await database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

// Messages of Celery's protocol on Redis, which a Python program has sent. NULL: this build has no such store.
export async function openOursOnRedis() {
  const folder = mkdtempSync(join(tmpdir(), "tims-bench-jobs-"));
  const database = openSqlite(folder);
  const redis = await openRedis(["llen", "default"], ["hlen", "unacked"]);
  const program = programOf(folder, { DATABASE_URL: database.url, TASKS_URL: redis.server.url });
  const close = async () => {
    await database.close();
    await redis.close();
    rmSync(folder, { recursive: true, force: true });
  };
  programOf(folder, { DATABASE_URL: database.url }).run("migrate");
  try {
    const probe = await program.startWorker();
    await probe.stop();
  } catch (error) {
    process.stderr.write(`  tasks ours_redis is left out: ${error.message.split("\n").at(-2)}\n`);
    await close();
    return null;
  }
  return {
    isOurs: true,
    beside: redis.pid,
    fill: (count) => fillFromPython(redis, count),
    startWorker: program.startWorker,
    hasBegun: redis.hasBegun,
    isEmpty: redis.isEmpty,
    measureStart: async (count, where) => {
      const server = await program.startServer({ WORKER: where === "serve" ? "true" : "false" });
      const worker = where === "serve" ? null : await program.startWorker();
      try {
        return await measureOurStart(database, server, count);
      } finally {
        await worker?.stop();
        await server.stop();
      }
    },
    close,
  };
}
