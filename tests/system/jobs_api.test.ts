// Jobs over HTTP: what users follow, what staff sees and does, and what each bad input is answered with.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client } from "../client.ts";
import { nowSql } from "../database.ts";
import { JobApp, type Program } from "../job_app.ts";
import { type LiveSocket, welcomed } from "../live.ts";
import { type Server, until } from "../server.ts";

const NOBODY = "01900000-0000-7000-8000-000000000000";

let app: JobApp;
let server: Program;
let staff: Client;
let user: Client;
const sockets: LiveSocket[] = [];

async function member(username: string): Promise<Client> {
  const client = new Client(server as unknown as Server);
  await client.refresh();
  const secret = "correct horse battery";
  const made = await client.post("/api/auth/register/", { username, password: secret });
  assert.equal(made.status, 201, made.body);
  return client.signIn(username, secret);
}

before(async () => {
  app = new JobApp();
  server = await app.serve();
  await member("boss");
  app.sql(`update "user" set staff = true where username = 'boss'`);
  staff = await new Client(server as unknown as Server).signIn("boss", "correct horse battery");
  user = await member("user");
});
after(async () => {
  for (const socket of sockets) socket.close();
  await app?.close();
});

async function enqueue(task: string, more: Record<string, unknown> = {}): Promise<string> {
  const answer = await staff.post("/api/tasks/", { task, ...more });
  assert.equal(answer.status, 201, answer.body);
  return answer.json.id;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into any row
type Rows = any[];

async function rowsOf(path: string, client = staff): Promise<Rows> {
  const answer = await client.get(path);
  assert.equal(answer.status, 200, answer.body);
  return answer.json.rows;
}

async function open(client: Client): Promise<LiveSocket> {
  const socket = await welcomed(client);
  sockets.push(socket);
  return socket;
}

const queue = async (name: string) => (await rowsOf(`/api/tasks/queues/?name=${name}`))[0];
// Asked of the database: an API is not there to be polled.
const isCounted = (name: string, column: string, count: number) =>
  until(`${count} ${column} in ${name}`, () =>
    app.number(`select count(*) from tims_queue where name = '${name}' and ${column} = ${count}`),
  );
const isDead = (id: string) =>
  until(`${id} to be dead`, () => app.number(`select count(*) from tims_job_dead where id = '${id}'`) > 0);
const isEffect = (label: string, count = 1) =>
  until(`${count} of ${label}`, () => app.effects(label) === count);

describe("enqueuing", () => {
  test("a job that staff asks for runs", async () => {
    const id = await enqueue("effective", { arguments: { number: 7, label: "asked for" } });
    await isEffect("asked for");
    assert.equal(app.sql("select job, number from effect where label = 'asked for'"), `${id}|7`);
  });

  test("delay, time, queue and priority are its own", async () => {
    const delayed = await enqueue("noop", { delay_s: 3600, queue: "narrow", priority: 4 });
    const timed = await enqueue("noop", { run_at: "2100-01-01T00:00:00Z" });
    const rows = await rowsOf("/api/tasks/scheduled/");
    const row = rows.find(({ id }) => id === delayed);
    assert.deepEqual([row.queue, row.priority, row.attempt, row.worker], ["narrow", 4, 0, null]);
    const delay_s = (Date.parse(row.run_at) - Date.parse(row.enqueued_at)) / 1000;
    assert.equal(delay_s, 3600);
    assert.equal(rows.find(({ id }) => id === timed).run_at, "2100-01-01T00:00:00.000000Z");
    assert.ok(rows.findIndex(({ id }) => id === delayed) < rows.findIndex(({ id }) => id === timed));
  });

  test("arguments may be large", async () => {
    const id = await enqueue("noop", { arguments: { label: "x".repeat(250 * 1024) } });
    await until("its end", () => app.number(`select count(*) from tims_job where id = '${id}'`) === 0);
    assert.equal(app.number("select count(*) from tims_job_dead"), 0);
  });

  test("with a unique key there is one job, whose id all get", async () => {
    const body = { unique: "only one", delay_s: 3600 };
    assert.equal(await enqueue("noop", body), await enqueue("noop", body));
    assert.notEqual(await enqueue("patient", body), await enqueue("noop", body));
  });

  const big = "x".repeat(257 * 1024);
  const bad: [string, unknown, number, string][] = [
    ["no task", {}, 422, "/task"],
    ["an unknown task", { task: "nope" }, 404, "unknown_task"],
    ["a value of another type", { task: "noop", arguments: { number: "x" } }, 422, "/arguments/number"],
    ["an unknown argument", { task: "noop", arguments: { what: 1 } }, 422, "/arguments/what"],
    ["arguments that are no object", { task: "noop", arguments: [1] }, 422, "/arguments"],
    ["arguments that are null", { task: "noop", arguments: null }, 422, "/arguments"],
    ["arguments above 256 KiB", { task: "noop", arguments: { label: big } }, 422, "/arguments"],
    ["a body above its limit", { task: "noop", arguments: { label: big + big } }, 413, "too_large"],
    ["a negative delay", { task: "noop", delay_s: -0.5 }, 422, "/delay_s"],
    ["a delay of centuries", { task: "noop", delay_s: 1e10 }, 422, "/delay_s"],
    ["delay and time", { task: "noop", delay_s: 1, run_at: "2100-01-01T00:00:00Z" }, 422, "/run_at"],
    ["a time that is none", { task: "noop", run_at: "soon" }, 422, "/run_at"],
    ["a priority above 9", { task: "noop", priority: 10 }, 422, "/priority"],
    ["a queue with a long name", { task: "noop", queue: "q".repeat(201) }, 422, "/queue"],
    ["a key that is too long", { task: "noop", key: "k".repeat(201) }, 422, "/key"],
    ["a unique key that is too long", { task: "noop", unique: "u".repeat(201) }, 422, "/unique"],
    ["an unknown member", { task: "noop", delay: 1 }, 422, "/delay"],
    ["no JSON", "{", 400, "json_syntax"],
  ];
  for (const [what, body, status, where] of bad)
    test(`${what} is answered with ${status} ${where}`, async () => {
      const before = app.jobs();
      const answer = await staff.post("/api/tasks/", body);
      assert.equal(answer.status, status, answer.body);
      const found = where.startsWith("/")
        ? answer.json.errors.map(({ pointer }: { pointer: string }) => pointer)
        : [answer.json.code];
      assert.deepEqual(found, [where]);
      assert.ok(app.jobs() <= before);
    });
});

describe("who may", () => {
  const routes: [string, string][] = [
    ["POST", "/api/tasks/"],
    ["POST", "/api/tasks/dead/retry/"],
    ["POST", `/api/tasks/dead/${NOBODY}/retry/`],
    ["DELETE", `/api/tasks/dead/${NOBODY}/`],
    ["POST", "/api/tasks/queues/default/pause/"],
    ["POST", "/api/tasks/queues/default/resume/"],
    ["POST", "/api/tasks/schedules/daily/pause/"],
    ["POST", "/api/tasks/schedules/daily/resume/"],
    ["GET", "/api/tasks/running/"],
    ["GET", "/api/tasks/waiting/"],
    ["GET", "/api/tasks/scheduled/"],
  ];
  for (const [method, path] of routes)
    test(`${method} ${path} is for staff`, async () => {
      const body = method === "POST" ? { task: "noop" } : undefined;
      const stranger = new Client(server as unknown as Server);
      await stranger.refresh();
      assert.equal((await stranger.request(method, path, body)).status, 401);
      assert.equal((await user.request(method, path, body)).status, 403);
      if (method === "GET") return;
      const forged = await staff.request(method, path, body, { "x-csrf-token": "no" });
      assert.deepEqual([forged.status, forged.json.code], [403, "csrf_wrong"]);
    });

  test("lists of rows show others nothing", async () => {
    assert.ok((await rowsOf("/api/tasks/queues/")).length > 0);
    for (const list of ["queues", "workers", "dead", "schedules"])
      assert.deepEqual(await rowsOf(`/api/tasks/${list}/`, user), [], list);
  });
});

describe("a tracked job", () => {
  // Enqueued by staff; whose it is, is then written by hand.
  async function givenTo(client: Client, ms: number): Promise<string> {
    const id = await enqueue("slow", { arguments: { number: ms, label: `slow ${ms}` } });
    app.sql(`update tims_job_status set "user" = '${client.user.id}' where id = '${id}'`);
    return id;
  }

  test("is seen live by its user, who can cancel it", async () => {
    const id = await givenTo(user, 600_000);
    const socket = await open(user);
    const detail = `/api/tasks/${id}/`;
    assert.equal((await socket.sub(detail)).json.t, "snap");
    const progressOf = () =>
      socket
        .ops()
        .filter((op) => op.id === id && op.row?.progress > 0)
        .map((op) => op.row.progress);
    await until("two steps of progress", () => new Set(progressOf()).size >= 2);
    assert.match(socket.ops().at(-1).row.message, /^\d+ ms to go$/);
    const stranger = await member("stranger");
    assert.equal((await stranger.get(detail)).status, 404);
    assert.equal((await stranger.post(`${detail}cancel/`)).status, 404);
    assert.equal((await staff.get(detail)).json.state, "running");
    assert.equal((await user.post(`${detail}cancel/`)).status, 204);
    await until("cancelled", () => socket.ops().some((op) => op.id === id && op.row?.state === "cancelled"));
    const again = await user.post(`${detail}cancel/`);
    assert.deepEqual([again.status, again.json.code], [409, "ended"]);
  });

  test("gives its result, and shows that it is done", async () => {
    const id = await givenTo(user, 50);
    await until("the end", () => app.sql(`select state from tims_job_status where id = '${id}'`) === "done");
    const ended = (await user.get(`/api/tasks/${id}/`)).json;
    assert.deepEqual([ended.progress, ended.result, ended.error], [1, { slept: true }, ""]);
    assert.deepEqual(
      (await rowsOf("/api/tasks/?state=done&task=slow", user)).map((row) => row.id),
      [id],
    );
  });

  test("one that waits vanishes when it is cancelled; an untracked one is staff's to cancel", async () => {
    const id = await enqueue("noop", { delay_s: 3600 });
    assert.equal((await user.post(`/api/tasks/${id}/cancel/`)).status, 404);
    assert.equal((await staff.post(`/api/tasks/${id}/cancel/`)).status, 204);
    assert.equal(app.number(`select count(*) from tims_job where id = '${id}'`), 0);
    assert.equal((await staff.post(`/api/tasks/${id}/cancel/`)).status, 404);
    assert.equal((await staff.post(`/api/tasks/${NOBODY}/cancel/`)).status, 404);
    assert.equal((await staff.post("/api/tasks/seven/cancel/")).status, 404);
  });
});

describe("queues", () => {
  test("what runs and how much is done is told live", async () => {
    const socket = await open(staff);
    const running = await socket.sub("/api/tasks/running/");
    assert.equal(running.json.computed, true);
    await isCounted("default", "running", 0);
    const { id: row } = await queue("default");
    await socket.sub("/api/tasks/queues/?name=default");
    const id = await enqueue("slow", { arguments: { number: 600_000, label: "seen" } });
    const told = (text: string) =>
      socket.frames.some((frame) => frame !== running && frame.text.includes(text));
    await until("the job among those that run", () => told(`"id":"${id}","task":"slow"`));
    await until("the queue's count", () => socket.ops().some((op) => op.id === row && op.row?.running === 1));
    assert.equal((await staff.post(`/api/tasks/${id}/cancel/`)).status, 204);
    await until("the list without it", () => /"rows":\[\]/.test(socket.frames.at(-1)?.text ?? ""));
  });

  test("a paused one begins nothing until it is resumed", async () => {
    assert.equal((await staff.post("/api/tasks/queues/narrow/pause/")).status, 204);
    assert.equal((await queue("narrow")).paused, true);
    const id = await enqueue("effective", { queue: "narrow", arguments: { number: 1, label: "paused" } });
    await enqueue("effective", { arguments: { number: 1, label: "not paused" } });
    await isEffect("not paused"); // the worker has looked at its queues
    await isCounted("narrow", "waiting", 1);
    assert.deepEqual(
      (await rowsOf("/api/tasks/waiting/?queue=narrow")).map((row) => row.id),
      [id],
    );
    assert.equal(app.effects("paused"), 0);
    assert.equal((await staff.post("/api/tasks/queues/narrow/resume/")).status, 204);
    await isEffect("paused");
    assert.deepEqual(await rowsOf("/api/tasks/waiting/?queue=narrow"), []);
  });

  test("one that nobody declared is not there", async () => {
    for (const action of ["pause", "resume"]) {
      const answer = await staff.post(`/api/tasks/queues/nope/${action}/`);
      assert.deepEqual([answer.status, answer.json.code], [404, "unknown_queue"]);
    }
    assert.deepEqual(await rowsOf("/api/tasks/waiting/?queue=nope"), []);
  });

  test("counting stops above ten thousand", async () => {
    await staff.post("/api/tasks/queues/keyed/pause/");
    for (let i = 0; i < 21; i++)
      assert.equal(await app.many(server, { task: "noop", queue: "keyed", count: 500 }), 204);
    await isCounted("keyed", "waiting", 10_001);
    app.sql("delete from tims_job where queue = 'keyed'");
    await isCounted("keyed", "waiting", 0);
    await staff.post("/api/tasks/queues/keyed/resume/");
  });

  test("what two workers have done adds up", async () => {
    const { done } = await queue("slow");
    const others = [await app.worker(), await app.worker()];
    assert.equal((await rowsOf("/api/tasks/workers/")).length, 3);
    for (let i = 0; i < 5; i++)
      assert.equal(
        await app.many(server, { task: "effective", queue: "poison", count: 200, label: "sum" }),
        204,
      );
    await isEffect("sum", 1000);
    await Promise.all(others.map((one) => one.stop())); // which count once more
    await isCounted("poison", "done", 1000);
    assert.equal((await queue("slow")).done, done);
    assert.equal((await rowsOf("/api/tasks/workers/")).length, 1);
  });
});

describe("the dead list", () => {
  const failing = (label: string) => enqueue("failing", { arguments: { number: 1, label } });

  test("a job in it can be retried, and given up for good", async () => {
    const id = await failing("again");
    await isDead(id);
    const [row] = await rowsOf("/api/tasks/dead/?task=failing");
    assert.deepEqual([row.id, row.attempt, row.code], [id, 3, "told_to"]);
    await isCounted("default", "dead", 1);
    assert.equal((await staff.post(`/api/tasks/dead/${id}/retry/`)).status, 204);
    await isEffect("again", 0); // a run that fails leaves nothing
    await isDead(id);
    assert.equal((await staff.request("DELETE", `/api/tasks/dead/${id}/`)).status, 204);
    assert.deepEqual(await rowsOf("/api/tasks/dead/"), []);
  });

  test("all of a task, or of a queue, can be retried together", async () => {
    const ids = [await failing("one"), await failing("two")];
    await Promise.all(ids.map(isDead));
    const none = await staff.post("/api/tasks/dead/retry/", { task: "failing", queue: "narrow" });
    assert.deepEqual([none.status, none.json], [200, { retried: 0 }]);
    const both = await staff.post("/api/tasks/dead/retry/", { task: "failing", queue: "default" });
    assert.deepEqual([both.status, both.json], [200, { retried: 2 }]);
    await Promise.all(ids.map(isDead));
    const all = await staff.post("/api/tasks/dead/retry/", {});
    assert.deepEqual([all.status, all.json.errors[0].pointer], [422, "/task"]);
  });

  test("what is not in it is not there", async () => {
    for (const [method, path] of [
      ["POST", `${NOBODY}/retry/`],
      ["DELETE", `${NOBODY}/`],
      ["DELETE", "seven/"],
    ] as const)
      assert.equal((await staff.request(method, `/api/tasks/dead/${path}`)).status, 404, path);
  });
});

test("a schedule is paused and resumed by its name", async () => {
  app.sql(
    "insert into tims_schedule (id, name, task, spec, zone, paused, next_due) " +
      `values ('${crypto.randomUUID()}', 'by hand', 'noop', '@yearly', 'UTC', false, ${nowSql()})`,
  );
  for (const [action, paused] of [
    ["pause", true],
    ["resume", false],
  ] as const) {
    assert.equal((await staff.post(`/api/tasks/schedules/by%20hand/${action}/`)).status, 204);
    assert.equal(
      (await rowsOf("/api/tasks/schedules/")).find((row) => row.name === "by hand").paused,
      paused,
    );
    const unknown = await staff.post(`/api/tasks/schedules/nope/${action}/`);
    assert.deepEqual([unknown.status, unknown.json.code], [404, "unknown_schedule"]);
  }
});

test("the metrics count by queue, and their histograms add up", async () => {
  const read = async () => (await fetch(`${server.url}/metrics`)).text();
  const value = (text: string, line: string) => {
    const found = text.split("\n").find((one) => one.startsWith(`${line} `));
    assert.ok(found, line);
    return Number(found.split(" ")[1]);
  };
  const before = await read();
  const done = value(before, 'tims_tasks_done_total{queue="narrow"}');
  for (let i = 0; i < 3; i++) await enqueue("noop", { queue: "narrow" });
  const text = await until("three more", async () => {
    const now = await read();
    return value(now, 'tims_tasks_done_total{queue="narrow"}') === done + 3 ? now : null;
  });
  assert.equal(
    value(text, 'tims_tasks_enqueued_total{queue="narrow"}'),
    value(before, 'tims_tasks_enqueued_total{queue="narrow"}') + 3,
  );
  assert.equal(value(text, 'tims_tasks_running{queue="narrow"}'), 0);
  assert.ok(value(text, 'tims_tasks_dead_total{queue="default"}') >= 3);
  assert.ok(value(text, 'tims_tasks_jobs{queue="default",state="dead"}') >= 0);
  for (const name of ["tims_tasks_wait_seconds", "tims_tasks_run_seconds"]) {
    const buckets = text
      .split("\n")
      .filter((line) => line.startsWith(`${name}_bucket{queue="narrow",`))
      .map((line) => Number(line.split(" ")[1]));
    assert.equal(buckets.length, 16);
    assert.ok(buckets.every((count, i) => i === 0 || count >= (buckets[i - 1] as number)));
    const count = value(text, `${name}_count{queue="narrow"}`);
    assert.equal(buckets.at(-1), count);
    assert.equal(count, value(text, 'tims_tasks_started_total{queue="narrow"}'));
    assert.ok(value(text, `${name}_sum{queue="narrow"}`) > 0);
  }
});
