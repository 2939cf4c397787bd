// The cache of answers in the demo: who writes reads what they wrote, who may no longer read does not, whoever wrote it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Client, signedIn } from "../client.ts";
import { timeSql } from "../database.ts";
import { type Server, sql, startServer } from "../server.ts";

let server: Server;
let demo: Client;
let friend: Client;
let chat = "";
before(async () => {
  server = await startServer({ env: { CACHE_CHECK: "true" } });
  demo = await signedIn(server, "demo");
  friend = await signedIn(server, "testUser0");
  chat = sql(server, "select id from chat where title = 'Welcome'");
});
after(async () => {
  await server.stop();
  server.remove();
});

async function counted(name: string): Promise<number> {
  const text = (await demo.get("/metrics")).body;
  const line = text.split("\n").find((one) => one.startsWith(`${name} `));
  assert.ok(line, `/metrics has no ${name}`);
  return Number(line.slice(name.length + 1));
}
const hits = () => counted('tims_cache_hits_total{kind="json"}');
const messages = () => `/api/messages/?chat=${chat}`;

// Asks until an answer comes from the cache.
async function warm(client: Client, path: string): Promise<void> {
  for (let i = 0; i < 50; i++) {
    const before = await hits();
    assert.equal((await client.get(path)).status, 200);
    if ((await hits()) > before) return;
  }
  assert.fail(`${path} is not kept`);
}

test("who writes reads at once what they wrote, whatever is kept", async () => {
  for (let i = 0; i < 20; i++) {
    const text = `message ${i}`;
    const posted = await demo.post("/api/messages/", { chat, text });
    assert.equal(posted.status, 201);
    const answers = await Promise.all([demo, friend, demo, friend].map((one) => one.get(messages())));
    for (const { json } of answers) assert.ok(JSON.stringify(json.rows).includes(text), `no ${text}`);
    const detail = await friend.get(`/api/messages/${posted.json.id}/`);
    assert.equal(detail.json.text, text);
  }
  await warm(demo, messages());
  assert.equal(await counted("tims_cache_stale_total"), 0);
});

test("a foreign writer's row is in the next answer", async () => {
  await warm(friend, messages());
  for (let i = 0; i < 5; i++) {
    const id = crypto.randomUUID();
    const at = timeSql(Date.now() * 1000);
    sql(
      server,
      `insert into message (id, chat, sender, text, created_at) values ('${id}', '${chat}', '${demo.user.id}', 'by hand ${i}', ${at})`,
    );
    const { json } = await friend.get(messages());
    assert.ok(JSON.stringify(json.rows).includes(`by hand ${i}`));
  }
  assert.equal(await counted("tims_cache_stale_total"), 0);
});

test("the data of a page comes from the same", async () => {
  const path = `/page-data?path=/chat/${chat}`;
  await demo.get(path);
  await demo.get(path);
  const before = await hits();
  const page = await demo.get(path);
  assert.equal(page.status, 200);
  assert.ok((await hits()) > before);
  const posted = await friend.post("/api/messages/", { chat, text: "seen on the page" });
  assert.equal(posted.status, 201);
  assert.ok((await demo.get(path)).body.includes("seen on the page"));
  assert.equal(await counted("tims_cache_stale_total"), 0);
});

test("a list that has not changed is not sent again", async () => {
  await warm(demo, messages());
  const etag = (await demo.get(messages())).headers.get("etag") ?? "";
  assert.equal((await demo.get(messages(), { "If-None-Match": etag })).status, 304);
  assert.equal((await demo.post("/api/messages/", { chat, text: "and now" })).status, 201);
  assert.equal((await demo.get(messages(), { "If-None-Match": etag })).status, 200);
});

test("an answer in many encodings is the same answer", async () => {
  const plain = await demo.get(messages(), { "Accept-Encoding": "identity" });
  for (const encoding of ["gzip", "br", "gzip", "br", "br"]) {
    const answer = await demo.get(messages(), { "Accept-Encoding": encoding });
    assert.equal(answer.headers.get("content-encoding"), encoding);
    assert.deepEqual(answer.json.rows, plain.json.rows);
  }
});

test("who is no member any more is refused at once, and sees nothing", async () => {
  const one = sql(server, `select id from message where chat = '${chat}' limit 1`);
  await warm(friend, messages());
  await warm(friend, `/api/messages/${one}/`);
  await warm(friend, `/api/chats/${chat}/`);
  await warm(demo, `/api/chats/${chat}/`);
  sql(server, `delete from member where chat = '${chat}' and "user" = '${friend.user.id}'`);
  assert.equal((await friend.get(`/api/chats/${chat}/`)).status, 404);
  assert.equal((await friend.get(`/api/messages/${one}/`)).status, 404);
  assert.deepEqual((await friend.get(messages())).json.rows, []);
  assert.equal((await demo.get(`/api/chats/${chat}/`)).status, 200);
  assert.equal(await counted("tims_cache_stale_total"), 0);
});

test("without room nothing is kept, and all works", async () => {
  const small = await startServer({ env: { CACHE_BYTES: "0" } });
  const client = await signedIn(small, "demo");
  for (let i = 0; i < 3; i++) assert.equal((await client.get("/api/chats/")).status, 200);
  const text = (await client.get("/metrics")).body;
  assert.match(text, /^tims_cache_bytes 0$/m);
  assert.match(text, /^tims_cache_kept_total\{kind="json"\} 0$/m);
  await small.stop();
  small.remove();
});
