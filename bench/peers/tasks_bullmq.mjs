// tasks_bullmq.mjs PORT fill N | start N | work CONCURRENCY: BullMQ's side of bench/tasks.
import { Queue, Worker } from "bullmq";
import IORedis from "ioredis";

const [port, what, number] = process.argv.slice(2).map((word, i) => (i === 1 ? word : Number(word)));
const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
const options = { removeOnComplete: true };
const store = new IORedis(connection);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

if (what === "work") {
  const run = async (job) => {
    if (job.name === "timed")
      await store.rpush("latencies", performance.timeOrigin + performance.now() - job.data.since);
  };
  new Worker("bench", run, { connection, concurrency: number });
} else {
  const queue = new Queue("bench", { connection });
  for (let done = 0; what === "fill" && done < number; done += 500) {
    const count = Math.min(500, number - done);
    await queue.addBulk(
      Array.from({ length: count }, () => ({ name: "noop", data: { number: 1 }, opts: options })),
    );
  }
  for (let i = 1; what === "start" && i <= number; i++) {
    await queue.add("timed", { since: performance.timeOrigin + performance.now() }, options);
    while ((await store.llen("latencies")) < i) await pause(2);
    await pause(5);
  }
  await queue.close();
  store.disconnect();
}
