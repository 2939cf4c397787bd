// Who registers which device for notifications, and when it goes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, signedIn } from "../client.ts";
import { password, type Server, sql, startServer } from "../server.ts";

const url = "/api/push/devices/";
let server: Server;
let ann: Client;
let bob: Client;
before(async () => {
  server = await startServer();
  ann = await signedIn(server, "testUser1");
  bob = await signedIn(server, "testUser2");
});
after(async () => {
  await server.stop();
  server.remove();
});

let made = 0;
const fcmToken = () => `d${made++}x:APA91b-Test_${"k".repeat(140)}`;
const apnsToken = () => (made++).toString(16).padStart(64, "ab");
const register = (who: Client, token: string, platform = "fcm") => who.post(url, { platform, token });
const idsOf = async (who: Client) =>
  (await who.get(url)).json.rows.map((row: { id: string }) => row.id) as string[];
const rowsOf = (token: string) =>
  Number(sql(server, `select count(*) from tims_push_device where token = '${token}'`));

test("a device is registered once, however often it says so, and its token is told to nobody", async () => {
  const token = fcmToken();
  const body = { platform: "fcm", token, app_version: "1.2.3", locale: "de-AT" };
  const first = await ann.post(url, body);
  assert.equal(first.status, 201, first.body);
  assert.deepEqual(Object.keys(first.json).sort(), [
    "app_version",
    "created_at",
    "id",
    "last_used_at",
    "locale",
    "platform",
  ]);
  assert.deepEqual(
    [first.json.platform, first.json.app_version, first.json.locale],
    ["fcm", "1.2.3", "de-AT"],
  );
  const again = await ann.post(url, { ...body, app_version: "1.3.0" });
  assert.equal(again.status, 200, again.body);
  assert.deepEqual(
    [again.json.id, again.json.created_at, again.json.app_version],
    [first.json.id, first.json.created_at, "1.3.0"],
  );
  assert.ok(again.json.last_used_at > first.json.last_used_at);
  assert.equal(rowsOf(token), 1);
  const list = await ann.get(url);
  assert.ok(list.json.rows.some((row: { id: string }) => row.id === first.json.id));
  assert.ok(!list.body.includes(token));
});

test("thirty registrations at one moment are one row", async () => {
  const token = fcmToken();
  const answers = await Promise.all(Array.from({ length: 30 }, () => register(ann, token)));
  assert.deepEqual(answers.map((one) => one.status).sort(), [...Array(29).fill(200), 201]);
  assert.equal(new Set(answers.map((one) => one.json.id)).size, 1);
  assert.equal(rowsOf(token), 1);
});

test("a token that another user registers is theirs from then on, under another id", async () => {
  const token = fcmToken();
  const first = (await register(ann, token)).json.id;
  const second = await register(bob, token);
  assert.equal(second.status, 201, second.body);
  assert.notEqual(second.json.id, first);
  assert.equal(rowsOf(token), 1);
  assert.ok(!(await idsOf(ann)).includes(first));
  assert.ok((await idsOf(bob)).includes(second.json.id));
});

test("APNs tokens in either case are one device", async () => {
  const token = apnsToken();
  const first = await register(ann, token.toUpperCase(), "apns");
  assert.equal(first.status, 201, first.body);
  assert.equal((await register(ann, token, "apns")).json.id, first.json.id);
  assert.equal(rowsOf(token), 1);
});

test("only its owner sees and removes a device", async () => {
  const { id } = (await register(ann, fcmToken())).json;
  assert.ok(!(await idsOf(bob)).includes(id));
  assert.equal((await bob.get(`${url}${id}/`)).status, 404);
  assert.equal((await bob.request("DELETE", `${url}${id}/`)).status, 404);
  assert.equal((await ann.get(`${url}${id}/`)).status, 200);
  assert.equal((await ann.request("DELETE", `${url}${id}/`)).status, 204);
  assert.equal((await ann.request("DELETE", `${url}${id}/`)).status, 404);
  assert.ok(!(await idsOf(ann)).includes(id));
});

test("signing out removes what was registered in that session, and nothing else", async () => {
  const [here, there] = [await signedIn(server, "testUser3"), await signedIn(server, "testUser3")];
  const [mine, other] = [fcmToken(), fcmToken()];
  await register(here, mine);
  await register(there, other);
  assert.ok((await here.post("/api/auth/logout/", {})).status < 300);
  assert.deepEqual([rowsOf(mine), rowsOf(other)], [0, 1]);
  const third = await signedIn(server, "testUser3");
  assert.ok((await third.post("/api/auth/logout-everywhere/", {})).status < 300);
  assert.equal(rowsOf(other), 0);
});

test("a device's bearer token registers without CSRF; revoking it removes the device", async () => {
  const answer = await ann.post("/api/auth/token/", {
    username: "testUser1",
    password,
    label: "a phone",
  });
  assert.equal(answer.status, 201, answer.body);
  const phone = new Client(server);
  const bearer = { authorization: `Bearer ${answer.json.token}` };
  const token = fcmToken();
  assert.equal((await phone.post(url, { platform: "fcm", token }, bearer)).status, 201);
  assert.ok((await phone.request("DELETE", "/api/auth/token/", undefined, bearer)).status < 300);
  assert.equal(rowsOf(token), 0);
});

test("signing in again in the same browser, the device is to be registered again", async () => {
  const client = await signedIn(server, "testUser4");
  const token = fcmToken();
  await register(client, token);
  await client.signIn("testUser4");
  assert.equal(rowsOf(token), 0);
  assert.equal((await register(client, token)).status, 201);
});

test("of more than twenty devices of a user those give way that registered longest ago", async () => {
  const client = await signedIn(server, "testUser5");
  const tokens = Array.from({ length: 22 }, fcmToken);
  for (const token of tokens.slice(0, 20)) await register(client, token);
  await register(client, tokens[0] as string); // so that it is not the oldest any more
  for (const token of tokens.slice(20)) await register(client, token);
  assert.deepEqual(
    tokens.map(rowsOf),
    tokens.map((_, index) => (index === 1 || index === 2 ? 0 : 1)),
  );
  assert.equal((await idsOf(client)).length, 20);
});

test("without a session it is 401, without the CSRF token 403", async () => {
  const nobody = new Client(server);
  assert.equal((await register(nobody, fcmToken())).status, 401);
  assert.equal((await nobody.get(url)).status, 401);
  const answer = await ann.post(url, { platform: "fcm", token: fcmToken() }, { "x-csrf-token": "wrong" });
  assert.equal(answer.status, 403);
});

const bad: [string, unknown, number, string?][] = [
  ["no JSON", "nope", 400],
  ["an array", [], 400],
  ["nothing in it", {}, 422, "/platform"],
  ["no token", { platform: "fcm" }, 422, "/token"],
  ["an empty token", { platform: "fcm", token: "" }, 422, "/token"],
  ["a number for a token", { platform: "fcm", token: 7 }, 422, "/token"],
  ["an unknown platform", { platform: "pager", token: "x" }, 422, "/platform"],
  ["a platform in capitals", { platform: "FCM", token: "x" }, 422, "/platform"],
  ["a token of 2,001 bytes", { platform: "fcm", token: "x".repeat(2001) }, 422, "/token"],
  ["a token with a space", { platform: "fcm", token: "a b" }, 422, "/token"],
  ["a token with a quote", { platform: "fcm", token: 'a"b' }, 422, "/token"],
  ["a token with an umlaut", { platform: "fcm", token: "ä" }, 422, "/token"],
  ["a line end in a token", { platform: "fcm", token: "a\nb" }, 422, "/token"],
  ["NUL in a token", { platform: "fcm", token: "a\0b" }, 422, "/token"],
  ["an APNs token that is not hexadecimal", { platform: "apns", token: "g".repeat(64) }, 422, "/token"],
  ["an APNs token that is too short", { platform: "apns", token: "ab".repeat(31) }, 422, "/token"],
  ["an APNs token that is too long", { platform: "apns", token: "ab".repeat(101) }, 422, "/token"],
  ["an APNs token of half a byte", { platform: "apns", token: "a".repeat(65) }, 422, "/token"],
  ["an APNs token with a path in it", { platform: "apns", token: `../${"ab".repeat(40)}/` }, 422, "/token"],
  [
    "a version of 41 characters",
    { platform: "fcm", token: "x", app_version: "1".repeat(41) },
    422,
    "/app_version",
  ],
  ["somebody else's id", { platform: "fcm", token: "x", user: "x" }, 422, "/user"],
];
for (const [name, body, status, pointer] of bad)
  test(`${name}: ${status}${pointer ? ` at ${pointer}` : ""}`, async () => {
    const count = () => sql(server, "select count(*) from tims_push_device");
    const before = count();
    const answer = await bob.post(url, body);
    assert.equal(answer.status, status, answer.body.slice(0, 300));
    if (pointer)
      assert.ok(
        answer.json.errors.some((error: { pointer: string }) => error.pointer === pointer),
        answer.body,
      );
    assert.equal(count(), before);
  });
