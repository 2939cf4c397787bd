// What strangers send as data: each row has its answer, nothing is half-written, the server lives.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Client, signedIn } from "../client.ts";
import { type Server, sql, startServer } from "../server.ts";

let server: Server;
let demo: Client;
let chat: string;
before(async () => {
  server = await startServer();
  demo = await signedIn(server, "demo");
  chat = (await demo.get("/api/chats/")).json.rows[0].id;
});
after(async () => {
  await server.stop();
  server.remove();
});

const bodies: [string, () => string, number, string?][] = [
  ["no JSON", () => "nope", 400],
  ["trailing garbage", () => `{"chat":"${chat}","text":"a"} x`, 400],
  ["an array", () => "[]", 400],
  ["a number", () => "7", 400],
  ["a duplicate key", () => `{"chat":"${chat}","text":"a","text":"b"}`, 400],
  ["depth 10,000", () => `{"chat":${"[".repeat(10_000)}${"]".repeat(10_000)}}`, 400],
  ["a lone surrogate", () => `{"chat":"${chat}","text":"\\ud800"}`, 400],
  ["NUL in a string", () => `{"chat":"${chat}","text":"a\\u0000b"}`, 422, "/text"],
  ["a huge number", () => `{"chat":"${chat}","text":1${"0".repeat(400)}}`, 400],
  ["a number for text", () => `{"chat":"${chat}","text":7}`, 422, "/text"],
  ["null for text", () => `{"chat":"${chat}","text":null}`, 422, "/text"],
  ["an object for an id", () => `{"chat":{},"text":"a"}`, 422, "/chat"],
  ["a word for an id", () => `{"chat":"x","text":"a"}`, 422, "/chat"],
  ["text left out", () => `{"chat":"${chat}"}`, 422, "/text"],
  ["empty text", () => `{"chat":"${chat}","text":""}`, 422, "/text"],
  ["text of 4,001 characters", () => `{"chat":"${chat}","text":"${"ä".repeat(4001)}"}`, 422, "/text"],
  ["an unknown field", () => `{"chat":"${chat}","text":"a","colour":"red"}`, 422, "/colour"],
  ["a read-only field", () => `{"chat":"${chat}","text":"a","sender":"${chat}"}`, 422, "/sender"],
];
for (const [name, body, status, pointer] of bodies)
  test(`a message with ${name} is ${status}${pointer ? ` at ${pointer}` : ""}`, async () => {
    const before = sql(server, "select count(*) from message");
    const answer = await demo.post("/api/messages/", body());
    assert.equal(answer.status, status, answer.body.slice(0, 300));
    assert.match(answer.headers.get("content-type") ?? "", /application\/problem\+json/);
    assert.equal(answer.json.status, status);
    if (pointer)
      assert.ok(
        answer.json.errors.some((error: { pointer: string }) => error.pointer === pointer),
        answer.body,
      );
    assert.equal(sql(server, "select count(*) from message"), before);
  });

test("invalid UTF-8 in a body is 400", async () => {
  const bytes = Buffer.concat([
    Buffer.from(`{"chat":"${chat}","text":"`),
    Buffer.from([0xff, 0xfe]),
    Buffer.from('"}'),
  ]);
  assert.equal((await demo.request("POST", "/api/messages/", new Uint8Array(bytes))).status, 400);
});

test("an array of a million elements is refused", async () => {
  const answer = await demo.post("/api/chats/start/", `{"title":"x","members":[${"1,".repeat(999_999)}1]}`);
  assert.ok([413, 422].includes(answer.status), String(answer.status));
});

test("another content type is 415", async () => {
  assert.equal(
    (await demo.post("/api/messages/", "a=b", { "content-type": "application/x-www-form-urlencoded" }))
      .status,
    415,
  );
});

const nasty = [
  "'",
  '"',
  "';drop table message;--",
  "%",
  "_",
  "\\",
  "a' or '1'='1",
  "?1",
  "*/",
  "\u202e",
  "😀",
];
for (const text of nasty)
  test(`${JSON.stringify(text)} is just text everywhere`, async () => {
    const value = encodeURIComponent(text);
    const written = await demo.post("/api/messages/", { chat, text });
    assert.equal(written.status, 201, written.body);
    assert.equal(written.json.text, text);
    const found = await demo.get(`/api/messages/?chat=${chat}&search=${value}`);
    assert.equal(found.status, 200);
    if (text.trim())
      assert.ok(
        found.json.rows.some((row: { text: string }) => row.text === text),
        found.body.slice(0, 300),
      );
    for (const path of [
      `/api/messages/?chat=${value}`,
      `/api/messages/?order=${value}`,
      `/api/messages/?cursor=${value}`,
      `/api/messages/?limit=${value}`,
      `/api/messages/?${value}=1`,
      `/api/messages/?fields=${value}`,
      `/api/messages/?created_at__lt=${value}`,
    ]) {
      const answer = await demo.get(path);
      assert.ok(answer.status >= 400 && answer.status < 500, `${path}: ${answer.status}`);
    }
    assert.ok([400, 404].includes((await demo.get(`/api/messages/${value}/`)).status));
    assert.notEqual(sql(server, "select count(*) from message"), "0");
  });

test("rows of others are 404, not 403", async () => {
  const stranger = await signedIn(server, "testUser9");
  const message = (await demo.get(`/api/messages/?chat=${chat}`)).json.rows[0].id;
  for (const path of [`/api/chats/${chat}/`, `/api/messages/${message}/`])
    assert.equal((await stranger.get(path)).status, 404, path);
  assert.equal((await stranger.get(`/api/messages/?chat=${chat}`)).json.rows.length, 0);
  assert.equal((await stranger.request("PATCH", `/api/chats/${chat}/`, { title: "mine" })).status, 404);
  const written = await stranger.post("/api/messages/", { chat, text: "let me in" });
  assert.ok([403, 404, 422].includes(written.status), written.body);
  assert.equal(sql(server, "select count(*) from message where text = 'let me in'"), "0");
  assert.equal((await stranger.post(`/api/chats/${chat}/read/`, {})).status, 404);
});

test("a stranger makes nobody a member, and a member changes only what is the member's", async () => {
  const stranger = await signedIn(server, "testUser9");
  const ids = async (client: Client) => (await client.get("/api/auth/me/")).json.user.id as string;
  const [strangerId, demoId] = [await ids(stranger), await ids(demo)];
  const count = () => sql(server, `select count(*) from member where chat = '${chat}'`);
  const before = count();
  const added = await stranger.post("/api/members/", { chat, user: strangerId });
  assert.ok([403, 422].includes(added.status), added.body);
  assert.equal((await stranger.get(`/api/members/?chat=${chat}`)).json.rows.length, 0);
  assert.equal(count(), before);
  const members = (await demo.get(`/api/members/?chat=${chat}`)).json.rows as { id: string; user: string }[];
  for (const member of members) {
    const patched = await demo.request("PATCH", `/api/members/${member.id}/`, {
      unread: 0,
      user: strangerId,
    });
    assert.equal(patched.status, 405, patched.body);
    if (member.user !== demoId)
      assert.equal((await demo.request("DELETE", `/api/members/${member.id}/`)).status, 403);
  }
  const other = { ...{ chat, user: strangerId }, unread: 7, last_read_at: "2030-01-01T00:00:00Z" };
  assert.equal((await demo.post("/api/members/", other)).status, 422);
  assert.equal((await demo.request("PATCH", `/api/chats/${chat}/`, { created_by: strangerId })).status, 422);
  const forged = { chat, text: "as another", sender: strangerId };
  assert.equal((await demo.post("/api/messages/", forged)).status, 422);
  assert.equal(count(), before);
});

test("multipart without an end is 400", async () => {
  const answer = await demo.request(
    "PUT",
    "/api/auth/me/avatar/",
    '--b\r\nContent-Disposition: form-data; name="avatar"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG',
    { "content-type": "multipart/form-data; boundary=b" },
  );
  assert.equal(answer.status, 400, answer.body);
});
