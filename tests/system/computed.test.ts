// A computed endpoint of the demo: how many messages wait in each chat.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, signedIn } from "../client.ts";
import { type Server, startServer } from "../server.ts";

let server: Server;
before(async () => {
  server = await startServer();
});
after(async () => {
  await server.stop();
  server.remove();
});

test("who is not signed in has nothing to read", async () => {
  assert.equal((await new Client(server).get("/api/unread/")).status, 401);
});

test("what waits is counted for each chat, until it is read", async () => {
  const [demo, friend] = [await signedIn(server, "demo"), await signedIn(server, "testUser0")];
  const chat = (await friend.get("/api/chats/")).json.rows[0].id as string;
  const before = (await demo.get("/api/unread/")).json.counts[chat] ?? 0;
  for (let i = 1; i <= 2; i++) {
    assert.equal((await friend.post("/api/messages/", { chat, text: "hello" })).status, 201);
    assert.equal((await demo.get("/api/unread/")).json.counts[chat], before + i);
  }
  assert.equal((await friend.get("/api/unread/")).json.counts[chat], undefined);
  assert.equal((await demo.post(`/api/chats/${chat}/read/`, {})).status, 204);
  const read = await demo.get("/api/unread/");
  assert.equal(read.json.counts[chat], undefined);
  const counts: number[] = Object.values(read.json.counts);
  assert.equal(
    read.json.total,
    counts.reduce((sum, count) => sum + count, 0),
  );
  assert.match(read.headers.get("tims-position") ?? "", /^[0-9a-f]{16}-\d+$/);
  const again = { "If-None-Match": read.headers.get("etag") ?? "" };
  assert.equal((await demo.get("/api/unread/", again)).status, 304);
});
