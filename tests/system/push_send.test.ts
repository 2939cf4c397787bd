// Notifications from what an app says to who is told; whichever service carries them.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { makeAuthority } from "../push.ts";
import { apnsToken, fcmToken, type Push, World } from "../push_world.ts";
import { type Environment, until } from "../server.ts";

let world: World;
before(async () => {
  world = await new World().open({ JOBS_PAGERS: "1" });
});
after(() => world.close());
beforeEach(() => world.reset());
afterEach(() => world.check());

async function restart(env: Environment): Promise<void> {
  await world.server.stop();
  world.server = await world.app.serve(env);
}

test("all devices of all who are named are told, once each, and nobody else", async () => {
  const [ann, bob, eve] = [await world.person(), await world.person(), await world.person()];
  const wanted: string[] = [];
  for (const who of [ann, bob]) {
    const [phone, tablet] = [fcmToken(), apnsToken()];
    await world.register(who, "fcm", phone);
    await world.register(who, "apns", tablet);
    wanted.push(phone, tablet);
  }
  await world.register(eve, "fcm", fcmToken());
  await world.deliver([ann, bob]);
  const told = [
    ...world.fcm.received.map((one) => one.json.message.token),
    ...world.apns.received.map((one) => one.path.split("/").at(-1)),
  ];
  assert.deepEqual(told.sort(), wanted.sort());
});

test("a hundred people are told from one row", async () => {
  const ann = await world.person();
  await world.register(ann, "fcm", fcmToken());
  const nobody = Array.from(
    { length: 99 },
    (_, i) => `00000000-0000-7000-8000-${String(i).padStart(12, "0")}`,
  );
  const users = [...nobody.slice(0, 60), ann.user.id, ...nobody.slice(60)];
  await restart({ WORKER: "false" });
  const sent = await fetch(`${world.server.url}/push/`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ users, title: "x" }),
  });
  assert.equal(sent.status, 204);
  assert.equal(world.app.jobs(), 1);
  await restart({});
  await world.idle();
  assert.equal(world.fcm.received.length, 1);
});

test("what is rolled back is not sent", async () => {
  const { who } = await world.owner("fcm");
  assert.equal((await world.send([who], { title: "never", fail: true })).status, 500);
  assert.equal(world.app.jobs(), 0);
  await world.deliver([who], { title: "then" });
  assert.deepEqual(
    world.fcm.received.map((one) => one.json.message.notification.title),
    ["then"],
  );
});

test("who has signed out, or given the device to somebody else, is told nothing on it", async () => {
  const { who: ann } = await world.owner("fcm");
  const { who: bob, token } = await world.owner("fcm");
  await restart({ WORKER: "false" });
  assert.equal((await world.send([ann, bob])).status, 204);
  // The first job has found the devices already.
  const work = await world.app.worker(["--queues", "push", "--concurrency", "1"]);
  await world.idle();
  await work.stop();
  assert.equal(world.fcm.received.length, 2);
  world.fcm.reset();
  const away = { act: "destroy" } as const;
  world.fcm.next(away, away);
  assert.equal((await world.send([ann, bob])).status, 204);
  const again = await world.app.worker();
  await until("both to wait", () => world.app.number("select count(*) from tims_job where state = 1") === 2);
  const tried = world.fcm.received.length;
  assert.ok((await ann.post("/api/auth/logout/", {})).status < 300);
  const eve = await world.person();
  await world.register(eve, "fcm", token);
  world.hurry();
  await world.idle();
  assert.equal(world.fcm.received.length, tried);
  await again.stop();
  await restart({ JOBS_PAGERS: "1" });
});

const bad: [string, Push, RegExp][] = [
  ["neither title nor body", { title: "", body: "" }, /neither a title nor a body/],
  ["a path of another site", { path: "//evil.example/" }, /path/],
  ["a path of another site with a backslash", { path: "/\\evil.example/" }, /path/],
  ["a path with a space", { path: "/a b" }, /path/],
  ["a path that is a URL", { path: "https://evil.example/" }, /path/],
  ["data that is no JSON", { data: "{" }, /data/],
  ["data that is an array", { data: "[]" }, /data/],
  ["data with a number", { data: '{"count":1}' }, /no string/],
  ["data with a name of APNs", { data: '{"aps":"x"}' }, /reserved/],
  ["data with a name of FCM", { data: '{"google.x":"x"}' }, /reserved/],
  ["data with the name of the path", { data: '{"path":"/x"}' }, /reserved/],
  ["a collapse key of 65 bytes", { collapse: "x".repeat(65) }, /64 bytes/],
  ["a collapse key with a line end", { collapse: "a\nb" }, /ASCII/],
  ["a negative badge", { badge: -1 }, /badge/],
  ["an end in the past", { expires_s: -1 }, /past/],
  ["an end in 29 days", { expires_s: 29 * 86400 }, /28 days/],
  ["5,000 bytes", { body: "x".repeat(5000) }, /4,096/],
  ["1,400 emoji, which are 5,600 bytes", { body: "👋".repeat(1400) }, /4,096/],
];
for (const [name, push, why] of bad)
  test(`a push with ${name} is refused`, async () => {
    const { who } = await world.owner("fcm");
    const answer = await world.send([who], push);
    assert.equal(answer.status, 422, answer.body);
    assert.equal(answer.json.code, "push_invalid");
    assert.match(answer.json.detail, why);
    assert.equal(world.app.jobs(), 0);
  });

test("what just fits goes out whole, on both services", async () => {
  const { who } = await world.owner("fcm");
  await world.register(who, "apns", apnsToken());
  const sizeOf = (length: number) => ({ title: "", body: "x".repeat(length), silent: true });
  const most = 4096 - '{"aps":{"alert":{"body":""}}}'.length;
  assert.equal((await world.send([who], sizeOf(most + 1))).status, 422);
  await world.deliver([who], sizeOf(most));
  assert.equal(world.apns.received[0].text.length, 4096);
  assert.equal(world.fcm.received.length, 1);
});

test("an app's own sender gets what it needs, and its answers count", async () => {
  const who = await world.person();
  for (const token of ["bell", "broken", "lost"]) await world.register(who, "pager", token);
  await world.deliver([who], { title: "Dinner", data: '{"kind":"call"}' });
  await until("it to ring", () =>
    /pager +event=rings token=bell title=Dinner data=call/.test(world.server.output()),
  );
  assert.equal(world.app.sql("select code, error from tims_job_dead"), "pager_broken|It does not ring.");
  assert.equal(world.app.sql("select token from tims_push_device order by token"), "bell\nbroken");
});

test("what an own sender raises is tried again", async () => {
  const who = await world.person();
  await world.register(who, "pager", "raises");
  assert.equal((await world.send([who])).status, 204);
  const wait = await world.failed();
  assert.ok(wait > 2 && wait < 7, `in ${wait} s`);
});

test("without a sender for a platform its devices are told nothing, and the log says so once", async () => {
  const { who } = await world.owner("fcm");
  await world.register(who, "apns", apnsToken());
  await restart({ PUSH_APNS_KEY: "" });
  for (let i = 0; i < 3; i++) await world.deliver([who]);
  assert.equal(world.fcm.received.length, 3);
  assert.equal(world.apns.received.length, 0);
  await until("the log to say so", () => /event=no_sender/.test(world.server.output()));
  assert.equal(world.server.output().match(/event=no_sender platform=apns/g)?.length, 1);
  assert.deepEqual([world.devices(), world.dead()], [2, ""]);
});

test("without any sender nothing is enqueued, and no request fails", async () => {
  const { who } = await world.owner("fcm");
  await restart({ PUSH_APNS_KEY: "", PUSH_FCM_ACCOUNT: "", JOBS_PAGERS: "", WORKER: "false" });
  for (let i = 0; i < 3; i++) assert.equal((await world.send([who])).status, 204);
  assert.equal(world.app.jobs(), 0);
  assert.equal(world.server.output().match(/event=no_sender platform=any/g)?.length, 1);
});

test("a service whose certificate nobody vouches for is sent nothing", async () => {
  const other = makeAuthority(world.folder, "other");
  await restart({ PUSH_CA: other.ca });
  const { who } = await world.owner("apns");
  assert.equal((await world.send([who])).status, 204);
  await world.failed();
  assert.equal(world.apns.received.length, 0);
  await until("the log to say so", () =>
    /code=push_unreachable message=.*certificate/i.test(world.server.output()),
  );
});

test("a server that stops while a service has not answered hands the push back, and the next one sends it", async () => {
  await restart({ WORKER_DRAIN: "300ms" });
  const { who } = await world.owner("apns");
  world.apns.next({ act: "silence" });
  assert.equal((await world.send([who])).status, 204);
  await until("it to be asked", () => world.apns.received.length === 1);
  await world.server.stop();
  assert.deepEqual(await world.server.exited, { code: 0, signal: null });
  assert.match(world.server.output(), /event=handed_back task=push_deliver/);
  assert.equal(world.app.sql("select state, attempt from tims_job"), "0|0");
  world.server = await world.app.serve();
  await world.idle();
  assert.equal(world.apns.received.length, 2);
});

test("what is worth nothing any more is not sent", async () => {
  const { who } = await world.owner("apns");
  await restart({ WORKER: "false" });
  assert.equal((await world.send([who], { expires_s: 1 })).status, 204);
  const gone = Date.now() + 1100;
  await until("a second", () => Date.now() > gone);
  await restart({});
  await world.idle();
  assert.deepEqual([world.apns.received.length, world.dead()], [0, ""]);
});

const settings: [string, () => Environment, RegExp][] = [
  [
    "a file that is not there",
    () => ({ PUSH_FCM_ACCOUNT: "/nowhere.json" }),
    /PUSH_FCM_ACCOUNT: \/nowhere.json/,
  ],
  ["an account that is no JSON", () => ({ PUSH_FCM_ACCOUNT: write("a.json", "x") }), /not the JSON key/],
  [
    "an account without a key",
    () => ({ PUSH_FCM_ACCOUNT: write("b.json", account({ private_key: "x" })) }),
    /no private key/,
  ],
  [
    "an account without a project",
    () => ({ PUSH_FCM_ACCOUNT: write("c.json", account({ project_id: "a/b" })) }),
    /project_id/,
  ],
  [
    "a token service without TLS",
    () => ({ PUSH_FCM_ACCOUNT: write("d.json", account({ token_uri: "http://x/" })) }),
    /token_uri/,
  ],
  ["FCM without TLS", () => ({ PUSH_FCM_URL: "http://localhost/" }), /PUSH_FCM_URL: must .* https/],
  ["APNs without TLS", () => ({ PUSH_APNS_URL: "http://localhost/" }), /PUSH_APNS_URL: must .* https/],
  [
    "an APNs key that is none",
    () => ({ PUSH_APNS_KEY: write("k.p8", "x") }),
    /PUSH_APNS_KEY: .*no private key/,
  ],
  ["no key id", () => ({ PUSH_APNS_KEY_ID: "" }), /PUSH_APNS_KEY_ID: must be the 10 characters/],
  ["a team in small letters", () => ({ PUSH_APNS_TEAM: "team123456" }), /PUSH_APNS_TEAM: must/],
  ["no topic", () => ({ PUSH_APNS_TOPIC: "" }), /PUSH_APNS_TOPIC: must be the app's bundle id/],
  ["a CA file that is not there", () => ({ PUSH_CA: "/nowhere.pem" }), /PUSH_CA: \/nowhere.pem/],
];
const write = (name: string, text: string) => {
  writeFileSync(join(world.folder, name), text);
  return join(world.folder, name);
};
const account = (change: Record<string, string>) =>
  JSON.stringify({
    project_id: "p-1",
    client_email: "a@b",
    private_key_id: "ab12",
    private_key: "x",
    token_uri: "https://x/",
    ...change,
  });
for (const [name, env, why] of settings)
  test(`${name} is said at the start, and nothing is done`, async () => {
    await assert.rejects(world.app.worker([], env()), why);
  });
