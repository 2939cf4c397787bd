// Queues whose jobs wait on Redis: counted, paused and resumed like those in the database.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { JobApp } from "../job_app.ts";
import { Redis } from "../redis.ts";
import { until } from "../server.ts";

let redis: Redis;
let app: JobApp;
before(async () => {
  redis = await Redis.open();
  app = new JobApp({ TASKS_URL: redis.url });
  await app.worker();
});
after(async () => {
  await app?.close();
  await redis?.remove();
});

// As a Python client puts it there.
function send(queue: string, label: string): void {
  const id = crypto.randomUUID();
  const body = JSON.stringify([[], { number: 1, label }, {}]);
  const message = {
    body: Buffer.from(body).toString("base64"),
    "content-encoding": "utf-8",
    "content-type": "application/json",
    headers: { lang: "py", task: "effective", id, root_id: id, parent_id: null, group: null, retries: 0 },
    properties: {
      correlation_id: id,
      delivery_mode: 2,
      delivery_info: { exchange: "", routing_key: queue },
      priority: 0,
      body_encoding: "base64",
      delivery_tag: crypto.randomUUID(),
    },
  };
  redis.command("LPUSH", queue, JSON.stringify(message));
}

const isCounted = (queue: string, condition: string) =>
  until(`${condition} in ${queue}`, () =>
    app.number(`select count(*) from tims_queue where name = '${queue}' and ${condition}`),
  );
const effects = (label: string) => app.effects(label);

test("a paused queue's messages stay there, are counted, and run when it is resumed", async () => {
  await isCounted("narrow", "waiting = 0");
  app.sql("update tims_queue set paused = true where name = 'narrow'");
  // Whether the worker has seen that: it counts again after it has looked.
  send("narrow", "before");
  send("default", "elsewhere");
  await until("another queue's message to run", () => effects("elsewhere") === 1);
  await isCounted("default", "done = 1");
  await isCounted("default", "done = 1 and waiting = 0");
  const early = effects("before"); // it may have been taken before the pause was seen
  for (let i = 0; i < 3; i++) send("narrow", "while paused");
  await isCounted("narrow", `waiting = ${4 - early}`);
  send("default", "later");
  await until("another one to run", () => effects("later") === 1);
  assert.equal(effects("while paused"), 0);
  app.sql("update tims_queue set paused = false where name = 'narrow'");
  await until("all of them to run", () => effects("while paused") === 3 && effects("before") === 1);
  await isCounted("narrow", "waiting = 0 and done = 4");
});
