// Our client and a worker of the real Celery: what is enqueued here is run there, and its end comes back.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Cluster, type Program } from "../celery.ts";
import { until } from "../server.ts";

interface Outcome {
  state: string;
  result: unknown;
  error_type: string;
  error: string;
}

let cluster: Cluster;
let url: string;
let python: Program;
before(async () => {
  cluster = await Cluster.open();
  const [started, address] = await Promise.all([
    cluster.pythonWorker("python"),
    cluster.server(),
    cluster.worker(["--name", "jobs@tests"]),
  ]);
  python = started;
  url = address;
});
after(() => cluster?.close());

// Enqueues a task that only Python has; its id.
async function send(task: string, options: object = {}): Promise<string> {
  const response = await fetch(`${url}/remote/`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ task, ...options }),
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text).id;
}

async function outcome(id: string): Promise<Outcome> {
  const response = await fetch(`${url}/remote/${id}/`);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

const ended = (id: string) =>
  until("it to end", async () => {
    const seen = await outcome(id);
    return ["SUCCESS", "FAILURE", "REVOKED"].includes(seen.state) ? seen : null;
  });

// What remote_note has noted, in order.
const noted = (label: string) =>
  cluster.redis.command("LRANGE", `noted:${label}`, "0", "-1").split("\n").filter(Boolean);

describe("a task of Python's, enqueued here", () => {
  test("runs there, and its result is read here", async () => {
    const id = await send("remote_add", { number: 41, label: "ä \"quoted\" 'text' \n" });
    assert.deepEqual(await ended(id), {
      state: "SUCCESS",
      result: { sum: 42, label: "ä \"quoted\" 'text' \n" },
      error_type: "",
      error: "",
    });
    await python.said(new RegExp(`remote_add\\[${id}\\] succeeded`));
  });

  test("that is not done yet, or not known, is pending", async () => {
    assert.equal((await outcome("018f0000-0000-7000-8000-000000000000")).state, "PENDING");
  });

  test("fails there, and the exception is read here", async () => {
    const seen = await ended(await send("remote_fail", { label: "sadly" }));
    assert.deepEqual(
      [seen.state, seen.result, seen.error_type, seen.error],
      ["FAILURE", null, "ValueError", "told to fail: sadly"],
    );
  });

  test("retries there until it succeeds", async () => {
    const seen = await ended(await send("remote_patient", { number: 3 }));
    assert.deepEqual([seen.state, seen.result], ["SUCCESS", 3]);
  });

  test("that is rolled back here is never seen there", async () => {
    const response = await fetch(`${url}/remote/`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ task: "remote_note", label: "rolled back", number: 1, fail: true }),
    });
    assert.equal(response.status, 500);
    await ended(await send("remote_note", { label: "behind", number: 2 }));
    assert.deepEqual(noted("rolled back"), []);
    assert.deepEqual(noted("behind"), ["2"]);
  });

  test("is sent from the command line, too", async () => {
    const id = cluster.ours(["enqueue", "remote_add", '{"number": 1, "label": "line"}']);
    assert.deepEqual((await ended(id)).result, { sum: 2, label: "line" });
  });

  test("with a delay does not reach Python before its time", async () => {
    const before = Date.now();
    const id = await send("remote_note", { label: "delayed", number: 7, delay_ms: 700 });
    await send("remote_note", { label: "delayed", number: 6 });
    await ended(id);
    assert.equal(Date.now() - before >= 700, true);
    assert.deepEqual(noted("delayed"), ["6", "7"]);
  });

  test("that has expired is not run there", async () => {
    const id = await send("remote_note", { label: "expired", number: 1, expires_ms: -1000 });
    const seen = await ended(id);
    assert.equal(seen.state, "REVOKED");
    assert.deepEqual(noted("expired"), []);
  });

  test("keeps its place by priority while nobody takes it", async () => {
    const tell = (what: string) =>
      cluster.python.run(
        `return app.control.${what}("python", reply=True, timeout=20, destination=["python@tests"])`,
      );
    await tell("cancel_consumer");
    await until("it to have cancelled", () =>
      cluster.python.run(
        'return app.control.inspect(["python@tests"], timeout=20).active_queues()["python@tests"] == []',
      ),
    );
    await until(
      "it to be deaf, also with what it was waiting for",
      () => !/ flags=\S*b/.test(cluster.redis.command("CLIENT", "LIST")),
    );
    const ids: string[] = [];
    for (const priority of [9, 0, 6, 3, 0])
      ids.push(await send("remote_note", { label: "ordered", number: priority, priority }));
    const lists = ["python", "python\u0006\u00163", "python\u0006\u00166", "python\u0006\u00169"];
    await until("all to be relayed", () =>
      ["2", "1", "1", "1"].every((count, at) => cluster.redis.command("LLEN", lists[at] as string) === count),
    );
    await tell("add_consumer");
    for (const id of ids) await ended(id);
    assert.deepEqual([...noted("ordered")].sort(), ["0", "0", "3", "6", "9"]);
  });

  test("many of them all run once", async () => {
    const ids: string[] = [];
    for (let number = 0; number < 100; number++)
      ids.push(await send("remote_note", { label: "many", number }));
    for (const id of ids) assert.equal((await ended(id)).state, "SUCCESS");
    assert.deepEqual(
      noted("many")
        .map(Number)
        .sort((a, b) => a - b),
      Array.from({ length: 100 }, (_, number) => number),
    );
  });
});

describe("both together", () => {
  test("a chain goes from one to the other and back", async () => {
    const result = await cluster.python.run(`
return chain(
    signature("adding", (20, "there"), queue="default"),
    signature("remote_double", queue="python"),
    signature("adding", ("and back",), queue="default"),
    signature("remote_double", queue="python"),
).apply_async().get(timeout=20)`);
    assert.equal(result, 80);
    assert.equal(cluster.sql("SELECT number FROM effect WHERE label = 'and back'"), "40");
  });

  test("a chord gathers what both gave, in order", async () => {
    const result = await cluster.python.run(`
return chord([
    signature("adding", (1, "member"), queue="default"),
    signature("remote_double", (10,), queue="python"),
    signature("adding", (300, "member"), queue="default"),
])(signature("remote_list", queue="python")).get(timeout=20)`);
    assert.deepEqual(result, [1, 20, 300]);
  });

  test("a chord of which one fails ends as ChordError", async () => {
    const failure = await cluster.python.run<string>(`
result = chord([
    signature("adding", (1, "member"), queue="default"),
    signature("failing", (1, "member"), queue="default"),
])(signature("remote_note", kwargs={"label": "chord"}, immutable=True, queue="python"))
until(result.ready)
return type(result.result).__name__ + ": " + str(result.result)`);
    assert.match(failure, /^ChordError: .*told to fail/);
    assert.deepEqual(noted("chord"), []);
  });

  test("celery status and inspect see both, and each answers for itself", async () => {
    const replies = await cluster.python.run<Record<string, object>[]>(
      'return app.control.broadcast("ping", reply=True, timeout=20, limit=2)',
    );
    assert.deepEqual(replies.map((reply) => Object.keys(reply)[0]).sort(), ["jobs@tests", "python@tests"]);
  });

  test("a Python worker that starts asks ours what is revoked", async () => {
    await cluster.python.run(
      'app.control.revoke("revoked-before", reply=True, timeout=20, limit=1, destination=["jobs@tests"])',
    );
    await until("it to be known", () => cluster.revokedCount("revoked-before") === 1);
    await until("it to be told", () =>
      cluster.python.run(
        'return "revoked-before" in app.control.inspect(["jobs@tests"], timeout=10).revoked()["jobs@tests"]',
      ),
    );
    const late = await cluster.pythonWorker("elsewhere", "late@tests");
    const known = await cluster.python.run<string[]>(
      'return app.control.inspect(["late@tests"], timeout=20).revoked()["late@tests"]',
    );
    await late.end("SIGTERM");
    assert.equal(known.includes("revoked-before"), true);
  });
});
