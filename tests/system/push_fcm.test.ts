// Notifications through FCM: what is sent, how the token is come by, and what is done about each answer.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { fcmError } from "../push.ts";
import { fcmToken, World } from "../push_world.ts";
import { until } from "../server.ts";

let world: World;
before(async () => {
  world = await new World().open();
});
after(() => world.close());
beforeEach(() => world.reset());
afterEach(() => world.check());

// So that what is known of the token service begins anew.
async function restart(): Promise<void> {
  await world.server.stop();
  world.server = await world.app.serve();
}

test("a push arrives as Google wants it", async () => {
  const { who, token } = await world.owner("fcm");
  await world.deliver([who], {
    title: "Größe ✓",
    body: 'He said "hi"\n👋',
    path: "/chat/7",
    data: '{"kind":"message","user":"Ann"}',
    collapse: "chat:7",
    badge: 3,
    urgent: true,
    expires_s: 600,
  });
  assert.equal(world.fcm.received.length, 1);
  const { message } = world.fcm.received[0].json;
  const ttl = Number(/^(\d+)s$/.exec(message.android.ttl)?.[1]);
  assert.ok(ttl > 590 && ttl <= 600, `lives ${ttl} s`);
  assert.deepEqual(message, {
    token,
    notification: { title: "Größe ✓", body: 'He said "hi"\n👋' },
    data: { path: "/chat/7", kind: "message", user: "Ann" },
    android: {
      priority: "HIGH",
      ttl: `${ttl}s`,
      notification: { tag: "chat:7", sound: "default", notification_count: 3 },
    },
  });
});

test("what is not asked for is not sent", async () => {
  const { who, token } = await world.owner("fcm");
  await world.deliver([who], { title: "only this", body: "", silent: true });
  const { message } = world.fcm.received[0].json;
  assert.match(message.android.ttl, /^863\d\ds$/);
  assert.deepEqual(message, {
    token,
    notification: { title: "only this" },
    data: {},
    android: { priority: "NORMAL", ttl: message.android.ttl, notification: {} },
  });
});

test("sixty pushes at once share one connection, and one token is asked for", async () => {
  await restart();
  const who = await world.person();
  for (let i = 0; i < 20; i++) await world.register(who, "fcm", fcmToken());
  const sessions = world.fcm.sessions.length;
  for (let i = 0; i < 3; i++) assert.equal((await world.send([who], { title: `${i}` })).status, 204);
  await world.idle();
  assert.equal(world.fcm.received.length, 60);
  assert.equal(world.fcm.tokenRequests.length, 1);
  assert.equal(world.fcm.sessions.length - sessions, 1);
});

test("a token is asked for again before the one there is expires", async () => {
  await restart();
  const { who } = await world.owner("fcm");
  world.fcm.lifeS = 4; // used for half of that
  await world.deliver([who]);
  await world.deliver([who]);
  assert.equal(world.fcm.tokenRequests.length, 1);
  const until_ms = world.fcm.tokenRequests[0].at + 2100;
  await until("half of its life", () => Date.now() > until_ms);
  world.fcm.lifeS = 3599;
  await world.deliver([who]);
  await world.deliver([who]);
  assert.equal(world.fcm.tokenRequests.length, 2);
  assert.equal(world.fcm.received.length, 4);
});

test("a token that FCM does not take any more is replaced in the same attempt", async () => {
  const { who } = await world.owner("fcm");
  await world.deliver([who]);
  const tokens = world.fcm.tokenRequests.length;
  world.fcm.revoke();
  await world.deliver([who]);
  assert.equal(world.fcm.tokenRequests.length, tokens + 1);
  assert.equal(world.fcm.received.length, 3);
  assert.deepEqual([world.devices(), world.dead()], [1, ""]);
});

test("FCM that takes no token at all: the job is dead and says so", async () => {
  const { who } = await world.owner("fcm");
  const no = fcmError(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
  world.fcm.next(no, no);
  await world.deliver([who]);
  assert.equal(world.dead(), "push_credential");
  assert.equal(world.devices(), 1);
});

for (const [name, reply] of [
  ["404 UNREGISTERED", fcmError(404, "NOT_FOUND", "Requested entity was not found.", "UNREGISTERED")],
  [
    "a token that never was one",
    fcmError(
      400,
      "INVALID_ARGUMENT",
      "The registration token is not a valid FCM registration token",
      "INVALID_ARGUMENT",
    ),
  ],
] as const)
  test(`${name} removes the device, and only that one`, async () => {
    const { who } = await world.owner("fcm");
    await world.register(who, "fcm", fcmToken());
    world.fcm.next(reply);
    await world.deliver([who]);
    assert.equal(world.fcm.received.length, 2);
    assert.equal(world.devices(), 1);
    const gone = world.fcm.received[0].json.message.token;
    assert.equal(world.app.number(`select count(*) from tims_push_device where token = '${gone}'`), 0);
    assert.equal(world.dead(), "");
  });

for (const [name, reply, code] of [
  ["404 that says nothing of the token", { status: 404, body: "<html>not found</html>" }, "push_refused"],
  [
    "a field that FCM does not like",
    fcmError(400, "INVALID_ARGUMENT", "Invalid value", "INVALID_ARGUMENT"),
    "push_refused",
  ],
  [
    "a project that is not this one's",
    fcmError(403, "PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH"),
    "push_credential",
  ],
  [
    "a key of Apple that Firebase lacks",
    fcmError(401, "UNAUTHENTICATED", "Auth error", "THIRD_PARTY_AUTH_ERROR"),
    "push_credential",
  ],
] as const)
  test(`${name}: the job is dead and says so, the device stays`, async () => {
    const { who, token } = await world.owner("fcm");
    world.fcm.next(reply);
    await world.deliver([who]);
    assert.equal(world.dead(), code);
    assert.match(world.app.sql("select error from tims_job_dead"), new RegExp(`^FCM says ${reply.status}`));
    assert.equal(world.devices(), 1);
    await until("the log to say so", () =>
      new RegExp(`event=dead task=push_deliver .*code=${code} message=FCM`).test(world.server.output()),
    );
    const log = world.server.output();
    assert.ok(!log.includes(token) && !/ya29|eyJ|PRIVATE KEY/.test(log), "no secret in the log");
  });

test("429 makes everybody wait as long as it says; then all go out", async () => {
  const { who } = await world.owner("fcm");
  const { who: other } = await world.owner("fcm");
  await world.deliver([who]);
  const quota = fcmError(429, "RESOURCE_EXHAUSTED", "Quota exceeded", "QUOTA_EXCEEDED");
  world.fcm.next({ ...quota, headers: { "retry-after": "3" } });
  assert.equal((await world.send([who])).status, 204);
  await world.failed();
  assert.equal((await world.send([other])).status, 204);
  await until("both to wait", () => world.app.number("select count(*) from tims_job where state = 1") === 2);
  assert.equal(world.fcm.received.length, 2, "the other one was not even tried");
  await world.idle();
  const [, first, ...rest] = world.fcm.received;
  assert.equal(rest.length, 2);
  for (const one of rest) assert.ok(one.at - first.at >= 2900, `${one.at - first.at} ms`);
});

test("429 without a time waits a minute", async () => {
  const { who } = await world.owner("fcm");
  world.fcm.next(fcmError(429, "RESOURCE_EXHAUSTED", "Quota exceeded", "QUOTA_EXCEEDED"));
  assert.equal((await world.send([who])).status, 204);
  const wait = await world.failed();
  assert.ok(wait > 50 && wait <= 60, `in ${wait} s`);
  await restart(); // the pause is the process's
  world.hurry();
  await world.idle();
  assert.equal(world.fcm.received.length, 2);
});

for (const [name, reply] of [
  ["500", fcmError(500, "INTERNAL", "Internal error", "INTERNAL")],
  ["503", fcmError(503, "UNAVAILABLE", "The service is overloaded", "UNAVAILABLE")],
  ["a connection that ends in the middle of the answer", { act: "half" }],
  ["a connection that ends without an answer", { act: "destroy" }],
  ["a GOAWAY", { act: "goaway" }],
] as const)
  test(`${name} is tried again, and the device stays`, async () => {
    const { who } = await world.owner("fcm");
    world.fcm.next(reply);
    assert.equal((await world.send([who])).status, 204);
    await until("the first attempt", () => world.fcm.received.length >= 1);
    await world.again();
    assert.equal(world.fcm.received.length, 2);
    assert.deepEqual([world.devices(), world.dead()], [1, ""]);
  });

test("the token service refuses the key: dead; it is away: later; what it says is no token: dead", async () => {
  const refused = {
    status: 400,
    body: { error: "invalid_grant", error_description: "Invalid JWT Signature." },
  };
  for (const [reply, code] of [
    [refused, "push_credential"],
    [{ status: 401, body: { error: "invalid_client" } }, "push_credential"],
  ] as const) {
    await restart();
    world.reset();
    const { who } = await world.owner("fcm");
    world.fcm.nextToken(reply);
    await world.deliver([who]);
    assert.equal(world.dead(), code);
    assert.match(
      world.app.sql("select error from tims_job_dead"),
      /^FCM's token service says 40[01] invalid_/,
    );
  }
  for (const reply of [
    { status: 503, body: "away" },
    { status: 200, body: { access_token: "a b", expires_in: 3600 } },
    { status: 200, body: { expires_in: 3600 } },
    { status: 200, body: "<html>" },
    { act: "destroy" },
  ] as const) {
    await restart();
    world.reset();
    const { who } = await world.owner("fcm");
    world.fcm.nextToken(reply);
    assert.equal((await world.send([who])).status, 204);
    await world.failed();
    world.hurry();
    await world.idle();
    assert.deepEqual([world.fcm.received.length, world.dead()], [1, ""]);
  }
});

test("of twenty that need a token while there is none, one asks, and all hear that there is none", async () => {
  await restart();
  const who = await world.person();
  for (let i = 0; i < 20; i++) await world.register(who, "fcm", fcmToken());
  world.fcm.nextToken({ status: 503, body: "away", headers: { "retry-after": "2" } });
  await world.deliver([who]);
  assert.equal(world.fcm.received.length, 20);
  assert.ok(world.fcm.tokenRequests.length <= 3, `${world.fcm.tokenRequests.length} requests`);
});
