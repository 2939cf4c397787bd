// Notifications through APNs: what is sent, and what is done about each answer.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { apnsToken, World } from "../push_world.ts";
import { until } from "../server.ts";

let world: World;
before(async () => {
  world = await new World().open();
});
after(() => world.close());
beforeEach(() => world.reset());
afterEach(() => world.check());

test("a push arrives as Apple wants it", async () => {
  const { who, token } = await world.owner("apns");
  await world.deliver([who], {
    title: "Größe ✓",
    body: 'He said "hi"\n👋',
    path: "/chat/7",
    data: '{"kind":"message","from_name":"Ann"}',
    collapse: "chat:7",
    thread: "chats",
    badge: 3,
    urgent: true,
    expires_s: 600,
  });
  assert.equal(world.apns.received.length, 1);
  const { path, headers, json, at } = world.apns.received[0];
  assert.equal(path, `/3/device/${token}`);
  assert.deepEqual(json, {
    aps: {
      alert: { title: "Größe ✓", body: 'He said "hi"\n👋' },
      badge: 3,
      sound: "default",
      "thread-id": "chats",
    },
    path: "/chat/7",
    kind: "message",
    from_name: "Ann",
  });
  assert.equal(headers["apns-priority"], "10");
  assert.equal(headers["apns-collapse-id"], "chat:7");
  const left = Number(headers["apns-expiration"]) - at / 1000;
  assert.ok(left > 590 && left <= 600, `expires in ${left} s`);
});

test("what is not asked for is not sent", async () => {
  const { who } = await world.owner("apns");
  await world.deliver([who], { title: "", body: "only this", silent: true, badge: 0 });
  const { headers, json } = world.apns.received[0];
  assert.deepEqual(json, { aps: { alert: { body: "only this" }, badge: 0 } });
  assert.equal(headers["apns-priority"], "5");
  assert.equal(headers["apns-collapse-id"], undefined);
});

test("sixty pushes share one connection and one token", async () => {
  const who = await world.person();
  for (let i = 0; i < 20; i++) await world.register(who, "apns", apnsToken());
  const sessions = world.apns.sessions.length;
  for (let i = 0; i < 3; i++) assert.equal((await world.send([who], { title: `${i}` })).status, 204);
  await world.idle();
  assert.equal(world.apns.received.length, 60);
  assert.equal(new Set(world.apns.received.map((one) => one.headers["apns-id"])).size, 60);
  assert.ok(world.apns.sessions.length - sessions <= 1);
  assert.equal(world.apns.jwts.size, 1);
});

test("where APNs takes one request at a time, all go one after the other over one connection", async () => {
  const narrow = await new World(1).open();
  try {
    const who = await narrow.person();
    for (let i = 0; i < 20; i++) await narrow.register(who, "apns", apnsToken());
    await narrow.deliver([who]);
    assert.deepEqual([narrow.apns.received.length, narrow.apns.sessions.length], [20, 1]);
    narrow.check();
  } finally {
    await narrow.close();
  }
});

for (const [name, reply] of [
  ["410 Unregistered", { status: 410, body: { reason: "Unregistered" } }],
  [
    "410 of a time after it was registered",
    { status: 410, body: { reason: "Unregistered", timestamp: Date.now() + 1e6 } },
  ],
  ["410 ExpiredToken", { status: 410, body: { reason: "ExpiredToken" } }],
  ["400 BadDeviceToken", { status: 400, body: { reason: "BadDeviceToken" } }],
] as const)
  test(`${name} removes the device, and only that one`, async () => {
    const { who } = await world.owner("apns");
    const other = await world.register(who, "apns", apnsToken());
    world.apns.next(reply);
    await world.deliver([who]);
    assert.equal(world.apns.received.length, 2);
    assert.equal(world.devices(), 1);
    await world.deliver([who]);
    assert.equal(world.apns.received.length, 3);
    assert.equal(world.dead(), "");
    const gone = world.apns.received[0].path.split("/").at(-1);
    assert.equal(world.app.number(`select count(*) from tims_push_device where token = '${gone}'`), 0);
    assert.ok(other);
  });

test("a device that has registered after APNs lost sight of it stays", async () => {
  const { who } = await world.owner("apns");
  world.apns.next({ status: 410, body: { reason: "Unregistered", timestamp: Date.now() - 60_000 } });
  await world.deliver([who]);
  assert.deepEqual([world.devices(), world.dead()], [1, ""]);
});

test("429 with Retry-After waits for as long", async () => {
  const { who } = await world.owner("apns");
  world.apns.next({ status: 429, headers: { "retry-after": "3" }, body: { reason: "TooManyRequests" } });
  assert.equal((await world.send([who])).status, 204);
  const wait = await world.failed();
  assert.ok(wait > 1 && wait <= 3, `in ${wait} s`);
  await world.idle();
  const [first, second] = world.apns.received;
  assert.ok(second.at - first.at >= 2900, `${second.at - first.at} ms`);
  assert.equal(first.headers["apns-id"], second.headers["apns-id"], "the same notification");
});

for (const [name, reply] of [
  ["500", { status: 500, body: { reason: "InternalServerError" } }],
  ["503", { status: 503, body: { reason: "ServiceUnavailable" } }],
  ["an answer that is no JSON", { status: 502, body: "<html>" }],
  ["a connection that ends in the middle of the answer", { status: 200, act: "half" }],
  ["a connection that ends without an answer", { act: "destroy" }],
] as const)
  test(`${name} is tried again, and the device stays`, async () => {
    const { who } = await world.owner("apns");
    world.apns.next(reply);
    assert.equal((await world.send([who])).status, 204);
    await until("the first attempt", () => world.apns.received.length >= 1);
    await world.again();
    assert.equal(world.apns.received.length, 2);
    assert.deepEqual([world.devices(), world.dead()], [1, ""]);
  });

test("a GOAWAY is followed by another connection", async () => {
  const { who } = await world.owner("apns");
  await world.deliver([who]);
  world.apns.next({ act: "goaway" });
  assert.equal((await world.send([who])).status, 204);
  await until("the second", () => world.apns.received.length >= 2);
  await world.again();
  assert.equal(world.apns.received.length, 3);
  assert.ok(world.apns.received[2].session > world.apns.received[1].session);
});

test("a connection that was closed while nobody used it does no harm", async () => {
  const { who } = await world.owner("apns");
  await world.deliver([who]);
  for (const session of world.apns.sessions) session.destroy();
  await world.deliver([who]);
  assert.equal(world.apns.received.length, 2);
});

test("a service that does not answer is given up after 15 s, and others go on meanwhile", async () => {
  const { who } = await world.owner("apns");
  world.apns.next({ act: "silence" });
  assert.equal((await world.send([who])).status, 204);
  await until("the first", () => world.apns.received.length === 1);
  const { who: other } = await world.owner("apns");
  assert.equal((await world.send([other])).status, 204);
  await until("the second", () => world.apns.received.length === 2);
  await world.failed();
  const told = /event=failed task=push_deliver .*code=push_unreachable .*15\d\d\d milliseconds/;
  await until("the log to say so", () => told.test(world.server.output()));
  world.hurry();
  await world.idle();
  assert.equal(world.apns.received.length, 3);
});

test("a token that APNs calls expired is made anew and the push goes out in the same attempt; the next time that has to wait", async () => {
  const { who } = await world.owner("apns");
  const jwts = world.apns.jwts.size;
  const expired = { status: 403, body: { reason: "ExpiredProviderToken" } };
  world.apns.next(expired);
  await world.deliver([who]);
  assert.equal(world.apns.received.length, 2);
  assert.ok(world.apns.jwts.size > jwts || jwts === 0);
  assert.notEqual(...(world.apns.received.map((one) => one.headers.authorization) as [string, string]));
  world.apns.next(expired);
  assert.equal((await world.send([who])).status, 204);
  const wait = await world.failed();
  assert.ok(wait > 1150 && wait <= 1200, `in ${wait} s`);
  world.hurry();
  await world.idle();
  assert.equal(world.apns.received.length, 4);
});

for (const [status, reason] of [
  [403, "InvalidProviderToken"],
  [403, "Forbidden"],
  [400, "DeviceTokenNotForTopic"],
  [400, "TopicDisallowed"],
] as const)
  test(`${reason} is a matter of our key: the job is dead and says so, the device stays`, async () => {
    const { who, token } = await world.owner("apns");
    world.apns.next({ status, body: { reason } });
    await world.deliver([who]);
    assert.equal(world.dead(), "push_credential");
    assert.equal(world.app.sql("select error from tims_job_dead"), `APNs says ${status} ${reason}`);
    assert.equal(world.devices(), 1);
    const told = new RegExp(`event=dead task=push_deliver .*code=push_credential .*${reason}`);
    await until("the log to say so", () => told.test(world.server.output()));
    const log = world.server.output();
    assert.ok(!log.includes(token) && !/eyJ|PRIVATE KEY/.test(log), "no secret in the log");
  });

test("an answer that means nothing known is dead with what it said", async () => {
  const { who } = await world.owner("apns");
  world.apns.next({ status: 400, body: { reason: "BadPriority" } });
  await world.deliver([who]);
  assert.equal(world.dead(), "push_refused");
  assert.equal(world.app.sql("select error from tims_job_dead"), "APNs says 400 BadPriority");
});
