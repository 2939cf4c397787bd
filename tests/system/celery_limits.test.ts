// With jobs on Redis, what has limits waits in the database, which holds them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { JobApp } from "../job_app.ts";
import { Redis } from "../redis.ts";
import { until } from "../server.ts";

const PATIENCE_MS = 60_000;
let redis: Redis;
let app: JobApp;
before(async () => {
  redis = await Redis.open();
  app = new JobApp({ TASKS_URL: redis.url, WORKER_CONCURRENCY: "10" });
});
after(async () => {
  await app?.close();
  await redis?.remove();
});

test("limits of queues and keys hold on two workers, beside jobs on Redis", async () => {
  const server = await app.serve({ WORKER: "false" });
  await app.worker();
  await app.worker();
  const keyed = { task: "keyed", number: 5, count: 20 };
  assert.equal(
    await app.many(server, { task: "slow", queue: "narrow", number: 100, count: 30, label: "narrow" }),
    204,
  );
  for (const key of ["a", "b"])
    assert.equal(await app.many(server, { ...keyed, key, label: `key ${key}` }), 204);
  // In between, so that what goes to Redis is taken out of the database while others run from there.
  for (let i = 0; i < 10; i++)
    assert.equal(await app.many(server, { task: "effective", number: -1, count: 20, label: "redis" }), 204);
  let most = 0;
  let mostOfKey = 0;
  await until(
    "all to be done",
    () => {
      most = Math.max(most, app.number("select count(*) from tims_job where state = 2 and queue = 'narrow'"));
      mostOfKey = Math.max(
        mostOfKey,
        app.number(
          "select coalesce(max(n), 0) from (select count(*) n from tims_job where state = 2 and limit_key is not null group by limit_key) x",
        ),
      );
      return (
        app.effects("narrow") === 30 &&
        app.effects("key a") === 20 &&
        app.effects("key b") === 20 &&
        app.effects("redis") === 200
      );
    },
    PATIENCE_MS,
  );
  assert.ok(most >= 1 && most <= 2, `${most} of the queue at once`);
  assert.ok(mostOfKey <= 1, `${mostOfKey} of a key at once`);
  await until("no job to be left", () => app.jobs() === 0);
  assert.equal(app.number("select count(*) from tims_job_dead"), 0);
});
