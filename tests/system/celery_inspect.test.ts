// Remote control and events of the real Celery, and our worker: what `celery inspect`, `celery status`, `celery control`
// and Flower see of it.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Cluster, type Program } from "../celery.ts";
import { until } from "../server.ts";

const node = "jobs@tests";
let cluster: Cluster;
let worker: Program;
before(async () => {
  cluster = await Cluster.open();
  worker = await cluster.worker(["--name", node, "--concurrency", "7", "--queues", "default,mail"]);
});
after(() => cluster?.close());

// What our worker answers.
async function ask<T>(method: string, args: object = {}): Promise<T> {
  const replies = await cluster.python.run<Record<string, T>[]>(
    "return app.control.broadcast(given[0], arguments=given[1], reply=True, timeout=20, limit=1)",
    [method, args],
  );
  assert.deepEqual(
    replies.map((reply) => Object.keys(reply)),
    [[node]],
    `${method}: ${JSON.stringify(replies)}`,
  );
  return (replies[0] as Record<string, T>)[node] as T;
}

const slow = (label: string) =>
  cluster.python.run<string>('return app.send_task("slow", (600000, given), queue="default").id', label);
const terminate = (id: string) => ask("terminate", { task_id: id, signal: "KILL" });
interface Shown {
  id: string;
  name: string;
  args: unknown[];
  kwargs: object;
  hostname: string;
  time_start: number;
  acknowledged: boolean;
  worker_pid: number;
  delivery_info: { routing_key: string; redelivered: boolean };
}

describe("the command line of Celery", () => {
  test("sees the worker: status, inspect ping", () => {
    assert.match(cluster.celery("status", "-d", node, "-t", "20"), /jobs@tests.*OK[\s\S]*1 node online/);
    assert.match(cluster.celery("inspect", "-d", node, "-t", "20", "ping"), /jobs@tests.*OK[\s\S]*pong/);
  });

  test("lists tasks and queues, and revokes", () => {
    const registered = cluster.celery("inspect", "-d", node, "-t", "20", "-j", "registered");
    assert.equal(JSON.parse(registered)[node].includes("effective"), true);
    const queues = JSON.parse(cluster.celery("inspect", "-d", node, "-t", "20", "-j", "active_queues"))[node];
    assert.deepEqual(
      queues.map((queue: { name: string }) => queue.name),
      ["default", "mail"],
    );
    const revoked = cluster.celery("control", "-d", node, "-t", "20", "revoke", "of-the-command-line");
    assert.match(revoked, /tasks of-the-command-line flagged as revoked/);
  });
});

describe("inspect", () => {
  test("stats has what Flower shows", async () => {
    await cluster.python.run('app.send_task("noop", queue="default").get(timeout=20)');
    const stats = await ask<{
      total: Record<string, number>;
      pid: number;
      clock: string;
      uptime: number;
      pool: { "max-concurrency": number; processes: number[] };
      broker: { transport: string; port: number; virtual_host: string };
      rusage: { maxrss: number };
    }>("stats");
    assert.equal((stats.total.noop as number) >= 1, true);
    assert.equal(stats.pid, worker.process.pid);
    assert.equal(Number(stats.clock) > 0, true);
    assert.equal(stats.pool["max-concurrency"], 7);
    assert.deepEqual(
      [stats.broker.transport, stats.broker.port, stats.broker.virtual_host],
      ["redis", cluster.redis.port, "0"],
    );
    assert.equal(stats.rusage.maxrss > 0, true);
  });

  test("active and query_task show what runs", async () => {
    const id = await slow("shown");
    const found = await until("it to be shown", async () =>
      (await ask<Shown[]>("active")).find((one) => one.id === id),
    );
    assert.equal(found.name, "slow");
    assert.deepEqual([found.args, found.kwargs], [[], { number: 600000, label: "shown" }]);
    assert.deepEqual([found.hostname, found.worker_pid], [node, worker.process.pid]);
    assert.equal(found.acknowledged, false);
    assert.equal(found.delivery_info.routing_key, "default");
    assert.equal(Math.abs(found.time_start - Date.now() / 1000) < 60, true);
    const asked = await ask<Record<string, [string, Shown]>>("query_task", { ids: [id, "nobody", id] });
    assert.deepEqual(Object.keys(asked), [id]);
    assert.equal(asked[id]?.[0], "active");
    assert.deepEqual(await ask("reserved"), []);
    await terminate(id);
    await until("it to be gone", async () => (await ask<Shown[]>("active")).length === 0);
  });

  test("scheduled shows what waits for its time", async () => {
    const id = await cluster.python.run<string>(
      'return app.send_task("effective", (1, "scheduled"), queue="default", countdown=3600).id',
    );
    const found = await until("it to be shown", async () =>
      (await ask<{ eta: string; request: Shown }[]>("scheduled")).find((one) => one.request.id === id),
    );
    assert.equal(found.request.name, "effective");
    assert.equal(Math.abs(Date.parse(found.eta) - Date.now() - 3_600_000) < 60_000, true, found.eta);
  });

  test("conf, report, clock and registered answer without a secret", async () => {
    const conf = await ask<Record<string, unknown>>("conf", { with_defaults: false });
    assert.equal(conf.broker_url, cluster.broker);
    assert.equal(conf.task_acks_late, true);
    assert.match((await ask<{ ok: string }>("report")).ok, /tims/);
    const [first, second] = [await ask<{ clock: number }>("clock"), await ask<{ clock: number }>("clock")];
    assert.equal(second.clock > first.clock, true);
    assert.equal((await ask<string[]>("registered")).includes("noop"), true);
  });

  test("hello and revoked exchange what is revoked", async () => {
    await ask("hello", { from_node: "other@tests", revoked: { "of-another-node": [1, "of-another-node"] } });
    const known = await until("it to be known", async () => {
      const ids = await ask<string[]>("revoked");
      return ids.includes("of-another-node") ? ids : null;
    });
    const hello = await ask<{ revoked: Record<string, number>; clock: number }>("hello", {
      from_node: "third@tests",
    });
    assert.deepEqual(Object.keys(hello.revoked).sort(), known.sort());
    assert.equal(hello.clock > 0, true);
    assert.equal(await ask("hello", { from_node: node }), null);
  });
});

describe("control", () => {
  test("queues are added and taken away while it runs", async () => {
    const send = (label: string) =>
      cluster.python.run<string>(
        'keep.sent = app.send_task("effective", (1, given), queue="added")\nreturn keep.sent.id',
        label,
      );
    const queues = async () => (await ask<{ name: string }[]>("active_queues")).map((queue) => queue.name);
    await send("added");
    assert.deepEqual(await ask("add_consumer", { queue: "added" }), { ok: "add consumer added" });
    assert.deepEqual(await ask("add_consumer", { queue: "added" }), { ok: "add consumer added" });
    await cluster.python.run("keep.sent.get(timeout=20)");
    assert.deepEqual(await queues(), ["default", "mail", "added"]);
    assert.deepEqual(await ask("cancel_consumer", { queue: "added" }), {
      ok: "no longer consuming from added",
    });
    assert.deepEqual(await queues(), ["default", "mail"]);
    assert.deepEqual(await ask("cancel_consumer", { queue: "mail" }), {
      ok: "no longer consuming from mail",
    });
    assert.match((await ask<{ error: string }>("cancel_consumer", { queue: "default" })).error, /last one/);
    assert.deepEqual(await ask("add_consumer", { queue: "mail" }), { ok: "add consumer mail" });
    for (const queue of ["", "a,b", "a b", "a\u0006\u00163", "x".repeat(300), 17, null])
      assert.match((await ask<{ error: string }>("add_consumer", { queue })).error, /no name of a queue/);
  });

  test("concurrency grows and shrinks within its bounds", async () => {
    const size = async () =>
      (await ask<{ pool: { "max-concurrency": number } }>("stats")).pool["max-concurrency"];
    assert.deepEqual(await ask("pool_grow", { n: 3 }), { ok: "pool will grow" });
    assert.equal(await size(), 10);
    assert.deepEqual(await ask("pool_shrink", { n: 4 }), { ok: "pool will shrink" });
    assert.deepEqual(await ask("pool_grow"), { ok: "pool will grow" });
    assert.equal(await size(), 7);
    for (const n of [7, 100000, -1])
      assert.match((await ask<{ error: string }>("pool_shrink", { n })).error, /./);
    assert.equal(await size(), 7);
  });

  test("what is not done here is refused with a sentence", async () => {
    const refused: [string, object, RegExp][] = [
      ["rate_limit", { task_name: "noop", rate_limit: "3/m" }, /declaration/],
      ["time_limit", { task_name: "noop", soft: 1, hard: 2 }, /declaration/],
      ["autoscale", { max: 3, min: 1 }, /./],
      ["pool_restart", {}, /./],
      ["memsample", {}, /./],
      ["no_such_command", {}, /KeyError\('no_such_command'\)/],
    ];
    for (const [method, args, error] of refused)
      assert.match((await ask<{ error: string }>(method, args)).error, error);
  });

  test("revoke takes one id or many, and what is no id does no harm", async () => {
    assert.deepEqual(await ask("revoke", { task_id: ["a-1", "a-2"] }), {
      ok: "tasks a-1, a-2 flagged as revoked",
    });
    assert.deepEqual(await ask("revoke", { task_id: "a-3", terminate: true, signal: "SIGTERM" }), {
      ok: "terminate: tasks unknown",
    });
    assert.deepEqual(await ask("revoke", { task_id: [17, null, "", "x".repeat(1000)] }), {
      ok: "tasks  flagged as revoked",
    });
    await until("them to be known", async () => {
      const ids = await ask<string[]>("revoked");
      return ["a-1", "a-2", "a-3"].every((id) => ids.includes(id));
    });
  });
});

describe("a worker inside a server", () => {
  test("is seen too, and does not let itself be shut down", async () => {
    await cluster.server({ WORKER: "true", WORKER_NAME: "inside", WORKER_QUEUES: "inside" });
    const [name, reply] = await cluster.python.run<[string, { error?: string }]>(`
until(lambda: len(app.control.ping(timeout=20, limit=2)) == 2)
names = [name for reply in app.control.ping(timeout=20, limit=2) for name in reply if name != "${node}"]
reply = app.control.broadcast("shutdown", destination=names, reply=True, timeout=20)
assert len(app.control.ping(destination=names, timeout=20)) == 1
return [names[0], reply[0][names[0]]]`);
    assert.match(name, /^inside@/);
    assert.match(reply.error ?? "", /stop the server/);
    assert.deepEqual(
      await cluster.python.run('return app.send_task("adding", (5,), queue="inside").get(timeout=20)'),
      5,
    );
    assert.deepEqual(await cluster.stopServers(), [0]);
  });
});

describe("who is meant", () => {
  // How many answer; a ping behind it, which all answer, tells that it was heard.
  const answers = (options: object) =>
    cluster.python.run<number>(
      `
replies = app.control.broadcast("ping", reply=True, timeout=20, limit=1, **given)
return len(replies)`,
      options,
    );

  test("a destination or pattern that fits", async () => {
    assert.equal(await answers({ destination: [node, "other@tests"] }), 1);
    assert.equal(await answers({ pattern: "jobs@*", matcher: "glob" }), 1);
    assert.equal(await answers({ pattern: "j[oi]bs@t?sts", matcher: "glob" }), 1);
    assert.equal(await answers({ pattern: "jobs@(tests|live)$", matcher: "pcre" }), 1);
  });

  test("not others, and no command that came too late", async () => {
    const silent = [
      { destination: ["other@tests"] },
      { pattern: "mail@*", matcher: "glob" },
      { pattern: "obs@", matcher: "pcre" },
      { pattern: "(((((", matcher: "pcre" },
      { pattern: "(jobs@tests){1,200}", matcher: "pcre" },
      { pattern: "jobs@*", matcher: "unheard-of" },
    ];
    const before = cluster.revokedCount("revoked-by-nobody");
    for (const options of silent)
      await cluster.python.run(
        'app.control.broadcast("revoke", arguments={"task_id": "revoked-by-nobody"}, **given)',
        options,
      );
    await cluster.python.run(`
import kombu.pidbox
body = {"method": "revoke", "arguments": {"task_id": "revoked-by-nobody"}, "destination": None}
with app.connection_for_write() as connection:
    producer = kombu.Producer(connection.channel(), exchange=kombu.Exchange("celery.pidbox", type="fanout"))
    producer.publish(body, headers={"clock": 1, "expires": time.time() - 1}, serializer="json")`);
    await ask("ping");
    assert.equal(cluster.revokedCount("revoked-by-nobody"), before);
  });
});

describe("rubbish in the pidbox", () => {
  const envelope = (body: unknown, change: object = {}) =>
    JSON.stringify({
      body: Buffer.from(JSON.stringify(body)).toString("base64"),
      "content-type": "application/json",
      "content-encoding": "utf-8",
      headers: {},
      properties: { body_encoding: "base64" },
      ...change,
    });
  const rows: [string, string][] = [
    ["no JSON", "rubbish"],
    ["nothing", ""],
    ["no object", "[]"],
    ["pickle", envelope({ method: "shutdown" }, { "content-type": "application/x-python-serialize" })],
    ["no body", envelope({}, { body: undefined })],
    ["a body that is no base64", envelope({}, { body: "!" })],
    ["a body that is no object", envelope([1])],
    ["no method", envelope({ arguments: {} })],
    ["a method that is no text", envelope({ method: ["shutdown"] })],
    ["a method that is too long", envelope({ method: "x".repeat(300) })],
    ["arguments that are no object", envelope({ method: "ping", arguments: [1] })],
    ["a destination that is no list", envelope({ method: "ping", destination: node })],
    ["a ticket that is no text", envelope({ method: "ping", ticket: 17 })],
    ["a reply_to without a key", envelope({ method: "ping", reply_to: { exchange: "x" } })],
    ["too much", envelope({ method: "ping", arguments: { x: "x".repeat(300_000) } })],
  ];
  test("is logged and dropped", async () => {
    const logged = () => (worker.output().match(/event=malformed_command/g) ?? []).length;
    const before = logged();
    for (const [, message] of rows)
      await cluster.python.run('app.backend.client.publish("/0.celery.pidbox", given)', message);
    assert.deepEqual(await ask("ping"), { ok: "pong" });
    await until("all to be logged", () => logged() - before === rows.length);
  });

  test("an answer never goes into a list of jobs", async () => {
    await cluster.python.run(
      `
app.backend.client.sadd("_kombu.binding.reply.celery.pidbox", "evil\\x06\\x16\\x06\\x16default")
app.backend.client.publish("/0.celery.pidbox", given)`,
      envelope({ method: "ping", reply_to: { exchange: "reply.celery.pidbox", routing_key: "evil" } }),
    );
    await until("it to be refused", () => /event=no_reply method=ping/.test(worker.output()));
    assert.equal(cluster.redis.command("LLEN", "default"), "0");
  });
});

describe("events", () => {
  // A receiver as Flower's: what it has heard is in keep.heard, what it makes of it in keep.state.
  const listen = `
import threading
if not hasattr(keep, "state"):
    keep.heard, keep.state = [], State()
    def hear(event):
        keep.heard.append(event)
        keep.state.event(event)
    def receive():
        with app.connection_for_read() as connection:
            keep.receiver = app.events.Receiver(connection, handlers={"*": hear})
            keep.receiver.capture(limit=None, timeout=None, wakeup=True)
    threading.Thread(target=receive, daemon=True).start()
`;

  test("heartbeats tell that it is alive", async () => {
    await cluster.python.run(`${listen}
app.control.broadcast("heartbeat")
until(lambda: "${node}" in keep.state.workers and keep.state.workers["${node}"].sw_ident)`);
    const seen = await cluster.python.run(`
until(lambda: [event for event in keep.heard if event["type"] == "worker-heartbeat"])
worker = keep.state.workers["${node}"]
return [worker.alive, worker.pid, worker.sw_ident, worker.freq, len(worker.loadavg), worker.active]`);
    assert.deepEqual(seen, [true, worker.process.pid, "tims", 2, 3, 0]);
  });

  test("tasks are told once they are enabled, and State has all of them", async () => {
    assert.deepEqual(await ask("enable_events"), { ok: "task events enabled" });
    assert.deepEqual(await ask("enable_events"), { ok: "task events already enabled" });
    const seen = await cluster.python.run<Record<string, unknown>[]>(`${listen}
sent = [
    app.send_task("adding", (2, "it's told"), queue="default"),
    app.send_task("failing", (1, "told"), queue="default"),
    app.send_task("effective", (1, "told too late"), queue="default", expires=datetime.datetime.now(
        datetime.timezone.utc) - datetime.timedelta(seconds=1)),
]
def ended(id):
    task = keep.state.tasks.get(id)
    return task and task.state in ("SUCCESS", "FAILURE", "REVOKED")
until(lambda: all(ended(one.id) for one in sent))
tasks = [keep.state.tasks[one.id] for one in sent]
return [dict(name=t.name, state=t.state, args=t.args, kwargs=t.kwargs, result=t.result, exception=t.exception,
    worker=t.worker.hostname, runtime=t.runtime, received=bool(t.received), started=bool(t.started),
    retried=bool(t.retried), root=t.root_id == t.uuid, expires=t.expires) for t in tasks]`);
    const [done, failed, expired] = seen as [
      Record<string, unknown>,
      Record<string, unknown>,
      Record<string, unknown>,
    ];
    assert.deepEqual([done.name, done.state, done.worker, done.result], ["adding", "SUCCESS", node, "2"]);
    assert.deepEqual([done.args, done.kwargs], ["()", `{'number': 2, 'label': "it's told"}`]);
    assert.deepEqual([done.received, done.started, done.root], [true, true, true]);
    assert.equal((done.runtime as number) >= 0 && (done.runtime as number) < 60, true);
    assert.deepEqual([failed.state, failed.retried], ["FAILURE", true]);
    assert.equal(failed.exception, "RuntimeError('It was told to fail.')");
    assert.equal(expired.state, "REVOKED");
  });

  // Those of tasks are sent many at once and later, those of the worker itself at once.
  test("their clocks and times go forward, heartbeats between tasks' among them", async () => {
    const ok = await cluster.python.run(
      `
sent = []
for number in range(40):
    sent.append(app.send_task("adding", (number, "between"), queue="default"))
    app.control.broadcast("heartbeat")
until(lambda: all(one.id in keep.state.tasks and keep.state.tasks[one.id].state == "SUCCESS" for one in sent))
ours = [event for event in keep.heard if event["hostname"] == "${node}"]
return [len(ours) > 5, all(one["clock"] < next["clock"] for one, next in zip(ours, ours[1:])),
    all(abs(event["timestamp"] - time.time()) < 600 for event in ours), {event["pid"] for event in ours} == {given}]`,
      worker.process.pid,
    );
    assert.deepEqual(ok, [true, true, true, true]);
  });

  test("no more are told once they are disabled", async () => {
    assert.deepEqual(await ask("disable_events"), { ok: "task events disabled" });
    const told = await cluster.python.run(`
sent = app.send_task("adding", (2, "untold"), queue="default")
sent.get(timeout=20)
count = len(keep.heard)
app.control.broadcast("heartbeat")
until(lambda: len(keep.heard) > count)
return sent.id in keep.state.tasks`);
    assert.equal(told, false);
  });

  test("the end is told, when shutdown is asked for", async () => {
    await cluster.python.run('app.control.shutdown(["other@tests"])');
    assert.deepEqual(await ask("ping"), { ok: "pong" });
    await cluster.python.run(`app.control.shutdown(["${node}"])`);
    assert.deepEqual(await worker.exited, { code: 0, signal: null });
    const offline = await cluster.python.run(`
until(lambda: any(event["type"] == "worker-offline" for event in keep.heard))
return keep.state.workers["${node}"].alive`);
    assert.equal(offline, false);
  });
});
