// A client of the real Celery and our worker: what it sends is run, what it waits for comes.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Cluster, type Program } from "../celery.ts";
import { onPostgres, timeSql } from "../database.ts";
import { until } from "../server.ts";

let cluster: Cluster;
let worker: Program;
before(async () => {
  cluster = await Cluster.open();
  worker = await cluster.worker(["--name", "jobs@tests"]);
});
after(() => cluster?.close());

// Nothing waits, runs, or is kept back.
const isIdle = (queue: string) =>
  cluster.redis.command("LLEN", queue) === "0" && cluster.redis.command("HLEN", "unacked") === "0";

const dead = (where: string) => Number(cluster.sql(`SELECT count(*) FROM tims_job_dead WHERE ${where}`));

describe("a task of ours, sent by Python", () => {
  test("takes arguments by place and by name, and its result comes back", async () => {
    const results = await cluster.python.run(`
sent = [
    app.send_task("adding", (3, "place"), queue="default"),
    app.send_task("adding", kwargs={"number": 4, "label": "name"}, queue="default"),
    app.send_task("adding", (5,), {"label": "both"}, queue="default"),
    app.send_task("noop", queue="default"),
]
return [[one.get(timeout=20), one.state, one.result] for one in sent]`);
    assert.deepEqual(results, [
      [3, "SUCCESS", 3],
      [4, "SUCCESS", 4],
      [5, "SUCCESS", 5],
      [null, "SUCCESS", null],
    ]);
    assert.deepEqual([cluster.effects("place"), cluster.effects("name"), cluster.effects("both")], [1, 1, 1]);
  });

  test("keeps an id that is no UUID, and runs once for each message", async () => {
    const id = await cluster.python.run(`
sent = app.send_task("effective", (1, "named"), queue="default", task_id="my own id: 1")
sent.get(timeout=20)
return sent.id`);
    assert.equal(id, "my own id: 1");
    assert.equal(cluster.effects("named"), 1);
    assert.match(cluster.redis.command("GET", "celery-task-meta-my own id: 1"), /"status":\s*"SUCCESS"/);
  });

  test("leaves no result where none is wanted", async () => {
    const id = await cluster.python.run(
      'return app.send_task("effective", (1, "quiet"), queue="default", ignore_result=True).id',
    );
    await until("it to run", () => cluster.effects("quiet") === 1 && isIdle("default"));
    assert.equal(cluster.redis.command("EXISTS", `celery-task-meta-${id}`), "0");
  });

  const failures = [
    { what: "raises", send: '"failing", (1, "raises")', type: "RuntimeError", text: /told to fail/ },
    { what: "is not known", send: '"nobody.knows", (1,)', type: "NotRegistered", text: /nobody\.knows/ },
    {
      what: "does not take such arguments",
      send: '"adding", ("no number",)',
      type: "TypeError",
      text: /number/,
    },
    { what: "does not take so many", send: '"adding", (1, "x", 3)', type: "TypeError", text: /./ },
    {
      what: "has no argument of this name",
      send: '"adding", kwargs={"nummer": 1}',
      type: "TypeError",
      text: /nummer/,
    },
  ];
  for (const { what, send, type, text } of failures) {
    test(`that ${what} fails as ${type}`, async () => {
      const ran = await cluster.python.attempt(
        `return app.send_task(${send}, queue="default").get(timeout=20)`,
      );
      assert.equal(ran.error?.type, type, JSON.stringify(ran));
      assert.match(ran.error?.text ?? "", text);
    });
  }

  test("is tried again as its policy says, which the client sees", async () => {
    const failed = await cluster.python.attempt(
      'return app.send_task("failing", (1, "thrice"), queue="default").get(timeout=20)',
    );
    assert.equal(failed.error?.type, "RuntimeError");
    assert.equal(dead("code = 'told_to' AND attempt = 3 AND arguments LIKE '%thrice%'"), 1);
    const seen = await cluster.python.run<string[]>(`
keep.states = []
sent = app.send_task("patient", (4, "patience"), queue="default")
sent.get(timeout=20, on_message=lambda message: keep.states.append(message["status"]))
return keep.states`);
    assert.equal(seen.at(-1), "SUCCESS");
    assert.equal(seen.filter((state) => state === "RETRY").length >= 1, true, seen.join());
    assert.equal(cluster.sql("SELECT attempt FROM effect WHERE label = 'patience'"), "4");
  });

  test("with a countdown waits in Redis, and does not begin before its time", async () => {
    const [due, id] = await cluster.python.run<[number, string]>(`
at = time.time() + 0.7
sent = app.send_task("effective", (1, "later"), queue="default", countdown=0.7)
sent.get(timeout=20)
return [int(at * 1e6), sent.id]`);
    const early = `created_at < ${timeSql(due)}`;
    assert.equal(cluster.sql(`SELECT count(*) FROM effect WHERE label = 'later' AND ${early}`), "0", id);
    assert.equal(cluster.effects("later"), 1);
  });

  test("with a far ETA survives the death of its worker, and is there once", async () => {
    const queue = "far";
    const first = await cluster.worker(["--queues", queue]);
    const id = await cluster.python.run<string>(
      `return app.send_task("effective", (1, "far"), queue="${queue}", countdown=3600).id`,
    );
    const held = () =>
      cluster.redis
        .command("--raw", "ZRANGE", "tims:delayed", "0", "-1")
        .split("\n")
        .filter((line) => line.includes(id)).length;
    await until("it to be put aside", () => held() === 1 && isIdle(queue));
    await first.end("SIGKILL");
    const second = await cluster.worker(["--queues", queue]);
    await second.end("SIGTERM");
    assert.equal(held(), 1);
    assert.equal(cluster.effects("far"), 0);
  });

  test("runs by priority: 0 is first, 9 is last", async () => {
    await cluster.python.run(`
for priority in (9, 6, 0, 9, 3, 0):
    app.send_task("effective", (priority, "ordered"), queue="ordered", priority=priority)`);
    const one = await cluster.worker(["--queues", "ordered", "--concurrency", "1"]);
    await until("all to run", () => cluster.effects("ordered") === 6);
    await one.end("SIGTERM");
    const order = cluster.sql("SELECT number FROM effect WHERE label = 'ordered' ORDER BY created_at, id");
    assert.equal(order.replaceAll("\n", " "), "0 0 3 6 9 9");
  });

  test("that has expired is revoked, and does not run", async () => {
    const state = await cluster.python.run(`
keep.expired = app.send_task("effective", (1, "expired"), queue="default", expires=datetime.datetime.now(
    datetime.timezone.utc) - datetime.timedelta(seconds=1))
until(lambda: keep.expired.state == "REVOKED")
return type(keep.expired.result).__name__ + ": " + str(keep.expired.result)`);
    assert.equal(state, "TaskRevokedError: expired");
    assert.equal(cluster.effects("expired"), 0);
  });

  test("that is revoked while it waits does not run, on a worker that starts later either", async () => {
    const id = await cluster.python.run<string>(`
keep.waiting = app.send_task("effective", (1, "revoked"), queue="unserved")
app.control.revoke([keep.waiting.id, "another one"], reply=True, timeout=10, limit=1)
return keep.waiting.id`);
    await until("it to be noted", () => cluster.revokedCount(id) === 1);
    const late = await cluster.worker(["--queues", "unserved"]);
    const ran = await cluster.python.attempt("return keep.waiting.get(timeout=20)");
    await late.end("SIGTERM");
    assert.equal(ran.error?.type, "TaskRevokedError");
    assert.equal(cluster.effects("revoked"), 0);
  });

  test("that runs goes on when it is revoked without terminate", async () => {
    const result = await cluster.python.run(`
sent = app.send_task("slow", (800, "goes on"), queue="default")
until(lambda: any(one["id"] == sent.id for one in app.control.inspect(["jobs@tests"], timeout=10).active()["jobs@tests"]))
app.control.revoke(sent.id, reply=True, timeout=10, limit=1)
until(lambda: sent.id in app.control.inspect(["jobs@tests"], timeout=10).revoked()["jobs@tests"])
return sent.get(timeout=20)`);
    assert.deepEqual(result, { slept: true });
    assert.equal(cluster.effects("goes on"), 1);
  });

  test("that runs is ended by revoke with terminate", async () => {
    const ran = await cluster.python.attempt(`
sent = app.send_task("slow", (600000, "terminated"), queue="default")
until(lambda: any(one["id"] == sent.id for one in app.control.inspect(["jobs@tests"], timeout=10).active()["jobs@tests"]))
assert app.control.revoke(sent.id, terminate=True, reply=True, timeout=10, limit=1) == [{"jobs@tests": {"ok": "terminate: " + sent.id}}]
return sent.get(timeout=20)`);
    assert.equal(ran.error?.type, "TaskRevokedError", JSON.stringify(ran));
    assert.equal(cluster.effects("terminated"), 0);
    await until("it to be gone", () => isIdle("default"));
  });
});

describe("what follows", () => {
  test("a chain hands its results on; an immutable step takes none", async () => {
    const result = await cluster.python.run(`
one = signature("adding", (1, "chain"), queue="default")
result = chain(
    signature("adding", (1, "chain 1"), queue="default"),
    signature("adding", kwargs={"label": "chain 2"}, queue="default"),
    signature("adding", (40, "chain 3"), immutable=True, queue="default"),
    signature("adding", ("chain 4",), queue="default"),
).apply_async()
return [result.get(timeout=20), result.parent.get(timeout=20), result.parent.parent.get(timeout=20)]`);
    assert.deepEqual(result, [40, 40, 1]);
    const numbers = cluster.sql("SELECT number FROM effect WHERE label LIKE 'chain %' ORDER BY label");
    assert.equal(numbers.replaceAll("\n", " "), "1 1 40 40");
  });

  test("a chain whose step fails ends there", async () => {
    const ran = await cluster.python.attempt(`
result = chain(
    signature("failing", (1, "broken"), queue="default"),
    signature("adding", (1, "never"), immutable=True, queue="default"),
).apply_async()
return result.get(timeout=20)`);
    assert.equal(ran.error?.type, "RuntimeError");
    assert.equal(cluster.effects("never"), 0);
  });

  test("link is called with the result, link_error when there is none", async () => {
    await cluster.python.run(`
app.send_task("adding", (7, "linked"), queue="default",
    link=signature("effective", kwargs={"label": "link"}, queue="default"),
    link_error=signature("effective", (0, "no link_error"), immutable=True, queue="default"))
app.send_task("failing", (7, "unlinked"), queue="default",
    link=signature("effective", (0, "no link"), immutable=True, queue="default"),
    link_error=signature("effective", (9, "link_error"), immutable=True, queue="default"))`);
    await until(
      "both to be called",
      () => cluster.effects("link") === 1 && cluster.effects("link_error") === 1,
    );
    await until("all to be done", () => isIdle("default"));
    assert.equal(cluster.sql("SELECT number FROM effect WHERE label = 'link'"), "7");
    assert.deepEqual([cluster.effects("no link"), cluster.effects("no link_error")], [0, 0]);
  });

  test("a group gives all its results", async () => {
    const results = await cluster.python.run(`
return group(signature("adding", (number, "group"), queue="default") for number in range(20)).apply_async().get(timeout=20)`);
    assert.deepEqual(
      results,
      Array.from({ length: 20 }, (_, number) => number),
    );
    assert.equal(cluster.effects("group"), 20);
  });
});

describe("what nobody could run", () => {
  const envelope = (change: object, body: unknown = [[1, "rubbish"], {}, null]) =>
    JSON.stringify({
      body: Buffer.from(JSON.stringify(body)).toString("base64"),
      "content-type": "application/json",
      "content-encoding": "utf-8",
      headers: { task: "effective", id: `rubbish-${Math.random()}` },
      properties: {
        delivery_info: { exchange: "", routing_key: "default" },
        delivery_tag: "tag",
        body_encoding: "base64",
      },
      ...change,
    });
  const rows: [string, string][] = [
    ["no JSON", "rubbish"],
    ["nothing", ""],
    ["a number", "17"],
    ["no object", "[1, 2, 3]"],
    ["no headers", envelope({ headers: undefined })],
    ["headers of another type", envelope({ headers: [1] })],
    ["no task", envelope({ headers: { id: "x" } })],
    ["no id", envelope({ headers: { task: "effective" } })],
    ["no properties", envelope({ properties: undefined })],
    ["a body that is no base64", envelope({ body: "!!" })],
    ["a body that is no JSON", envelope({ body: "cnViYmlzaA==" })],
    ["a body of another shape", envelope({}, { number: 1 })],
    ["args that are no list", envelope({}, [17, {}, null])],
    ["an eta that is no time", envelope({ headers: { task: "effective", id: "y", eta: "soon" } })],
    ["pickle", envelope({ "content-type": "application/x-python-serialize", body: "gASVAAAAAAAAAABOLg==" })],
    ["a body above the limit", envelope({}, [[1, "x".repeat(2_500_000)], {}, null])],
  ];
  test("goes to the dead list with a reason, and the worker goes on", async () => {
    const before = dead("foreign_message IS NOT NULL");
    for (const [, message] of rows)
      await cluster.python.run('app.backend.client.lpush("default", given)', message);
    await until(
      "all to be buried",
      () => dead("foreign_message IS NOT NULL") - before === rows.length && isIdle("default"),
    );
    assert.equal(dead("code = 'malformed_message' AND error <> ''") >= rows.length, true);
    assert.equal(cluster.effects("rubbish"), 0);
    assert.equal(worker.process.exitCode, null);
    const still = await cluster.python.run(
      'return app.send_task("adding", (8,), queue="default").get(timeout=20)',
    );
    assert.equal(still, 8);
  });
});

describe("a worker that dies", () => {
  test("loses nothing: what it ran is run again by another", async () => {
    const first = await cluster.worker(["--queues", "mortal", "--name", "mortal@tests"]);
    await cluster.python.run(`
keep.long = app.send_task("slow", (1500, "survived"), queue="mortal")
keep.many = [app.send_task("effective", (number, "many"), queue="mortal") for number in range(300)]`);
    await until("some to have run", () => cluster.effects("many") > 0);
    await first.end("SIGKILL");
    const again = await cluster.worker(["--queues", "mortal"]);
    const result = await cluster.python.run(`
until(lambda: all(one.ready() for one in [keep.long, *keep.many]), 40)
return [keep.long.result, {one.state for one in keep.many} == {"SUCCESS"}]`);
    assert.deepEqual(result, [{ slept: true }, true]);
    await until("nothing to be left", () => isIdle("mortal"));
    await again.end("SIGTERM");
    assert.equal(cluster.effects("survived"), 1);
    assert.equal(cluster.sql("SELECT count(DISTINCT number) FROM effect WHERE label = 'many'"), "300");
    assert.equal(onPostgres || cluster.effects("many") >= 300, true);
  });

  test("that is stopped hands back what does not end in time", async () => {
    const first = await cluster.worker(["--queues", "patient"], { WORKER_DRAIN: "100ms" });
    await cluster.python.run('keep.handed = app.send_task("slow", (2000, "handed back"), queue="patient")');
    await until("it to run", () => cluster.redis.command("HLEN", "unacked") === "1");
    assert.equal((await first.end("SIGTERM")).code, 0);
    assert.equal(isIdle("patient"), false);
    const second = await cluster.worker(["--queues", "patient"]);
    assert.deepEqual(await cluster.python.run("return keep.handed.get(timeout=20)"), { slept: true });
    await second.end("SIGTERM");
    assert.equal(cluster.effects("handed back"), 1);
  });
});
