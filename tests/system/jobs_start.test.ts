// Workers that do not get through their start.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { JobApp } from "../job_app.ts";
import { until } from "../server.ts";

// What a Redis says of itself that still reads its file.
const LOADING = "\nloading:1\n";

let app: JobApp;
before(() => {
  app = new JobApp();
});
after(() => app?.close());

test("who is told to stop while it starts ends right behind its start", async () => {
  const asked: Socket[] = []; // by whom; the answer takes its time
  const redis = createServer((socket) => socket.on("error", () => {}).once("data", () => asked.push(socket)));
  await once(redis.listen(0, "127.0.0.1"), "listening");
  const { port } = redis.address() as AddressInfo;
  const worker = app.launch(["worker"], { TASKS_URL: `redis://127.0.0.1:${port}` });
  await until("its start to wait for Redis", () => asked.length > 0);
  worker.process.kill("SIGTERM");
  redis.close();
  for (const socket of asked) socket.end(`$${LOADING.length}\r\n${LOADING}\r\n`);
  await until("its end", () => worker.process.exitCode !== null);
  assert.equal(worker.process.exitCode, 0, worker.output());
  assert.doesNotMatch(worker.output(), /is ready/);
});

test("a server whose worker cannot start says why, and ends", async () => {
  const redis = createServer((socket) =>
    socket.on("error", () => {}).on("data", () => socket.write("-NOAUTH Authentication required.\r\n")),
  );
  await once(redis.listen(0, "127.0.0.1"), "listening");
  const { port } = redis.address() as AddressInfo;
  const server = app.launch(["serve"], { TASKS_URL: `redis://127.0.0.1:${port}` });
  await until("its end", () => server.process.exitCode !== null);
  redis.close();
  assert.equal(server.process.exitCode, 1);
  assert.match(server.output(), /asks for a password/);
});
