// The demo's chat: whoever is not connected is told of a message on their devices.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { type Client, signedIn } from "../client.ts";
import { LiveSocket } from "../live.ts";
import { Fcm, makeAuthority } from "../push.ts";
import { fcmToken } from "../push_world.ts";
import { makeFolder, removeFolder, run, type Server, sql, startServer, until } from "../server.ts";

const folder = makeFolder();
const authority = makeAuthority(folder);
const fcm = new Fcm(authority);
let server: Server;
let demo: Client;
let other: Client;
let chat: { id: string; title: string };
const token = fcmToken();

before(async () => {
  await fcm.open();
  run(folder, ["migrate"]);
  run(folder, ["demo"]);
  server = await startServer({ folder, env: { PUSH_CA: authority.ca, ...fcm.settings(folder) } });
  demo = await signedIn(server, "demo");
  other = await signedIn(server, "testUser0");
  chat = (await other.get("/api/chats/")).json.rows[0];
  for (const [who, one] of [
    [demo, fcmToken()],
    [other, token],
  ] as const)
    assert.equal((await who.post("/api/push/devices/", { platform: "fcm", token: one })).status, 201);
});
after(async () => {
  await server?.stop();
  await fcm.close();
  removeFolder(folder);
});
beforeEach(() => fcm.reset());

async function say(text: string): Promise<void> {
  const answer = await demo.post("/api/messages/", { chat: chat.id, text });
  assert.equal(answer.status, 201, answer.body);
  await until("all jobs to be done", () => sql(server, "select count(*) from tims_job") === "0");
}

test("a message is told to the member who is not connected: the chat's title, who says what, the way there", async () => {
  await say("Are you there?");
  assert.deepEqual(fcm.problems, []);
  assert.equal(fcm.received.length, 1);
  const { message } = fcm.received[0].json;
  assert.equal(message.token, token);
  assert.deepEqual(message.notification, {
    title: chat.title,
    body: `${demo.user.display_name}: Are you there?`,
  });
  assert.deepEqual(message.data, { path: `/chat/${chat.id}` });
  assert.deepEqual(
    [message.android.priority, message.android.notification.tag],
    ["NORMAL", `chat:${chat.id}`],
  );
});

test("a long message is cut where a character ends, and is not refused", async () => {
  await say("👋".repeat(4000));
  assert.deepEqual(fcm.problems, []);
  assert.match(fcm.received[0].json.message.notification.body, /^.+: (👋){50}…$/u);
});

test("whoever is connected is not told; having gone, they are", async () => {
  const count = async () => (await demo.get("/api/online/")).json.count;
  const socket = new LiveSocket(other);
  await socket.welcomed();
  await until("them to be online", async () => (await count()) === 1);
  await say("You see this");
  assert.equal(fcm.received.length, 0);
  socket.close();
  await until("them to be gone", async () => (await count()) === 0);
  await say("You do not");
  assert.equal(fcm.received.length, 1);
});
