// tasks.mjs: jobs that do nothing, acknowledged late: a queue of 20,000 drained, how soon a job starts on an idle worker,
// and what a job costs when a million others wait. Worker and store share both cores; nothing else runs.
import { goal, median, ratio, save, summarise } from "./goals.mjs";
import { cpuMicroseconds, memoryKilobytes, pause, processTree } from "./process.mjs";
import { openBullmq, openCelery, openOurs, openOursOnRedis } from "./tasks_contenders.mjs";

const JOBS = 20_000;
const STARTS = 300;
const SIZES = [1e3, 1e4, 1e5, 1e6];
const POLL_MS = 5;

const contenders = {
  celery: openCelery,
  bullmq: openBullmq,
  ours_sqlite: () => openOurs("sqlite"),
  ours_postgres: () => openOurs("postgres"),
  ours_redis: openOursOnRedis,
};
const stores = { sqlite: contenders.ours_sqlite, postgres: contenders.ours_postgres };

async function waitFor(what, condition) {
  const deadline = performance.now() + 120_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await pause(POLL_MS);
  }
}

// Of all its processes.
function rssMegabytes(pid) {
  return processTree(pid).reduce((sum, one) => sum + memoryKilobytes(one).rss, 0) / 1024;
}

// What `count` jobs cost, from `begins` to `ends`.
async function measure(contender, worker, count, begins, ends) {
  await waitFor("the first job", begins);
  const before = { at: performance.now(), cpu: cpuMicroseconds(worker.pid) };
  const besideBefore = contender.beside && cpuMicroseconds(contender.beside);
  await waitFor("the last job", ends);
  const seconds = (performance.now() - before.at) / 1000;
  return {
    per_second: count / seconds,
    cpu_us: (cpuMicroseconds(worker.pid) - before.cpu) / count,
    ...(contender.beside && { database_us: (cpuMicroseconds(contender.beside) - besideBefore) / count }),
    rss_mb: rssMegabytes(worker.pid),
  };
}

// Starts a worker on a full queue and empties it.
async function drain(contender) {
  const worker = await contender.startWorker();
  try {
    return await measure(contender, worker, JOBS, contender.hasBegun, contender.isEmpty);
  } finally {
    await worker.stop();
  }
}

function quantile(sorted, part) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

// `where`: worker, or serve (ours, in the process that enqueues).
async function measureStart(contender, where) {
  const apart = contender.isOurs || where === "serve" ? null : await contender.startWorker();
  try {
    const sorted = (await contender.measureStart(STARTS, where)).sort((a, b) => a - b);
    return { p50_ms: quantile(sorted, 0.5), p99_ms: quantile(sorted, 0.99) };
  } finally {
    await apart?.stop();
  }
}

async function measureContender(name, open) {
  const contender = await open();
  if (!contender) return null;
  try {
    await contender.fill(JOBS);
    const drained = await drain(contender);
    const start = await measureStart(contender, "worker");
    const row = { ...drained, ...start };
    process.stderr.write(
      `  tasks ${name} ${Math.round(row.per_second)}/s, ${row.cpu_us.toFixed(1)} µs and beside ${row.database_us?.toFixed(1) ?? 0} µs, ` +
        `${row.rss_mb.toFixed(1)} MB, start p50 ${row.p50_ms.toFixed(2)} p99 ${row.p99_ms.toFixed(2)} ms\n`,
    );
    if (!contender.isOurs) return { [name]: row };
    const inside = await measureStart(contender, "serve");
    process.stderr.write(
      `  tasks ${name} in serve: start p50 ${inside.p50_ms.toFixed(2)} p99 ${inside.p99_ms.toFixed(2)} ms\n`,
    );
    return { [name]: row, [`${name}_serve`]: inside };
  } finally {
    await contender.close();
  }
}

function drainGoals(all) {
  const names = Object.keys(all[0]);
  const goals = [];
  if (names.includes("ours_redis"))
    goals.push(
      goal(
        "tasks.redis.over_celery",
        ">=",
        10,
        ratio(all, "ours_redis", "celery", "per_second"),
        "× Celery, finished per second",
      ),
      goal(
        "tasks.redis.over_bullmq",
        ">=",
        2,
        ratio(all, "ours_redis", "bullmq", "per_second"),
        "× BullMQ, finished per second",
      ),
    );
  const of = (name, field) => median(all.map((row) => row[name][field]));
  goals.push(
    goal("tasks.postgres.rate", ">=", 15_000, of("ours_postgres", "per_second"), "finished per second"),
  );
  for (const name of names.filter((one) => one.startsWith("ours_"))) {
    const label = name.replace("ours_", "").replace("_", ".");
    goals.push(
      goal(`tasks.${label}.start.p50`, "<=", 1, of(name, "p50_ms"), "ms until it runs"),
      goal(`tasks.${label}.start.p99`, "<=", 5, of(name, "p99_ms"), "ms until it runs"),
    );
    if ("rss_mb" in all[0][name])
      goals.push(goal(`tasks.${label}.rss`, "<=", 15, of(name, "rss_mb"), "MB, the worker"));
  }
  return goals;
}

export async function tasks(context) {
  const all = [];
  for (let round = 0; round < context.rounds; round++) {
    const row = {};
    for (const [name, open] of Object.entries(contenders))
      Object.assign(row, await measureContender(name, open));
    all.push(row);
  }
  save("tasks", {
    about: `${JOBS} jobs that do nothing, with late acknowledgement, no results: Celery prefork -c 2, BullMQ with concurrency 10, ours with 100 at once; the worker started on the full queue, from the first job to the last. Redis keeps nothing on disk; PostgreSQL and SQLite wait for it. p50 and p99: from just before a job is enqueued until it runs, one at a time, the worker being another process, or (serve) the same.`,
    rounds: all,
    summary: summarise(all),
    goals: drainGoals(all),
  });
}

// Of a queue that many jobs wait in: the first ones, and for the longest queue the last ones, too, when all others have
// been done without a pause.
async function measureSize(contender, size) {
  await contender.fill(size + JOBS);
  const worker = await contender.startWorker();
  const ended = (number) => () => contender.hasEnded(number);
  try {
    const first = await measure(contender, worker, JOBS, contender.hasBegun, ended(JOBS));
    if (size < SIZES.at(-1)) return { [size]: first };
    return { [size]: first, after: await measure(contender, worker, JOBS, ended(size), contender.isEmpty) };
  } finally {
    await worker.stop();
  }
}

async function measureGrowth(store, open) {
  const row = {};
  for (const size of SIZES) {
    const contender = await open();
    try {
      for (const [what, figures] of Object.entries(await measureSize(contender, size))) {
        row[`${store}_${what}`] = figures;
        const { per_second, cpu_us, database_us = 0 } = figures;
        process.stderr.write(
          `  tasks growth ${store} ${what} ${Math.round(per_second)}/s, ${cpu_us.toFixed(1)} µs and beside ${database_us.toFixed(1)} µs\n`,
        );
      }
    } finally {
      await contender.close();
    }
  }
  return row;
}

export async function growth() {
  const row = {};
  for (const [store, open] of Object.entries(stores)) Object.assign(row, await measureGrowth(store, open));
  const cost = (name) => row[name].cpu_us + (row[name].database_us ?? 0);
  const flat = (store, what) => cost(`${store}_${what}`) / cost(`${store}_${SIZES[0]}`);
  save("tasks_growth", {
    about: `The CPU of worker and store for a job, of ${JOBS} that are taken from a queue in which as many more wait as the name says; after: of the last ${JOBS}, when a million has been done before them without a pause.`,
    rounds: [row],
    summary: summarise([row]),
    goals: Object.keys(stores).flatMap((store) => [
      goal(`tasks.${store}.flat`, "<=", 1.1, flat(store, SIZES.at(-1)), "× of 1,000, with 1,000,000 queued"),
      goal(`tasks.${store}.flat.after`, "<=", 1.3, flat(store, "after"), "× of 1,000, after 1,000,000"),
    ]),
  });
}
