// Pictures in messages: what is taken, what is refused and how, and who gets to see them.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";
import { Client, signedIn } from "../client.ts";
import { GIF, makePng } from "../pictures.ts";
import { type Server, sql, startServer } from "../server.ts";

const BYTES_MAX = 5 * 1024 * 1024;
const png = makePng(40, 30);

let server: Server;
let demo: Client; // in the chat
let friend: Client; // in it, too
let stranger: Client; // not in it
let chat: string;
before(async () => {
  server = await startServer();
  chat = sql(server, "select id from chat where title = 'Welcome'");
  demo = await signedIn(server, "demo");
  friend = await signedIn(server, "testUser0");
  stranger = await signedIn(server, "testUser5");
});
after(async () => {
  await server?.stop();
  server?.remove();
});

function form(file: Buffer | null, parts: Record<string, string> = {}, name = "a.png"): FormData {
  const data = new FormData();
  if (file) data.set("picture", new Blob([new Uint8Array(file)], { type: "image/png" }), name);
  for (const [key, value] of Object.entries(parts)) data.set(key, value);
  return data;
}

const send = (who: Client, body: FormData, to = chat) => who.post(`/api/chats/${to}/pictures/`, body);
const messages = () => sql(server, "select count(*) from message where picture is not null");
const kept = () => sql(server, "select count(*) from picture_data");

async function bytesOf(who: Client, path: string, headers: Record<string, string> = {}) {
  const answer = await fetch(server.url + path, { headers: { cookie: who.cookieHeader(), ...headers } });
  return { status: answer.status, headers: answer.headers, body: Buffer.from(await answer.arrayBuffer()) };
}

test("a picture is a message with its size beside it, and served to the members as it was sent", async () => {
  const sent = await send(demo, form(png, { text: "  Look!  ", alt: "Two colours" }));
  assert.equal(sent.status, 201, sent.body);
  assert.equal(sent.json.text, "Look!");
  const list = await friend.get(`/api/messages/?chat=${chat}&include=picture&limit=1`);
  assert.equal(list.json.rows[0].id, sent.json.id);
  const { id, ...rest } = list.json.included.picture[sent.json.picture];
  const expected = {
    width: 40,
    height: 30,
    bytes: png.length,
    content_type: "image/png",
    alt: "Two colours",
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(rest[name], value, name);
  assert.equal("data" in rest, false);
  const answer = await bytesOf(friend, `/api/pictures/${id}/file/`);
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.body, png);
  assert.equal(answer.headers.get("content-type"), "image/png");
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  assert.equal(answer.headers.get("cache-control"), "private, max-age=31536000, immutable");
  assert.match(answer.headers.get("content-security-policy") ?? "", /default-src 'none'; sandbox/);
  const again = await bytesOf(friend, `/api/pictures/${id}/file/`, {
    "if-none-match": answer.headers.get("etag") ?? "",
  });
  assert.equal(again.status, 304);
});

test("it counts as a message: the others have one more to read", async () => {
  const before = (await friend.get("/api/unread/")).json.total;
  await send(demo, form(GIF));
  assert.equal((await friend.get("/api/unread/")).json.total, before + 1);
});

test("who is not in the chat neither sends nor sees one, and cannot tell that there is one", async () => {
  const { json } = await send(demo, form(png));
  const path = `/api/pictures/${json.picture}/file/`;
  for (const who of [stranger, new Client(server)]) {
    const expected = who === stranger ? 404 : 401;
    assert.equal((await bytesOf(who, path)).status, expected);
    assert.equal(
      (await bytesOf(who, path, { "if-none-match": `"${json.picture}"` })).status,
      expected,
      "an ETag opens nothing",
    );
    await who.refresh();
    assert.equal((await send(who, form(png))).status, expected);
  }
  const gone = await bytesOf(demo, "/api/pictures/0198c0de-cafe-7abc-8def-0123456789ab/file/");
  assert.equal(gone.status, 404);
});

test("who leaves the chat no longer sees its pictures", async () => {
  const guest = await signedIn(server, "testUser6");
  const member = await demo.post("/api/members/", { chat, user: guest.user.id });
  assert.equal(member.status, 201, member.body);
  const { json } = await send(demo, form(png));
  const path = `/api/pictures/${json.picture}/file/`;
  assert.equal((await bytesOf(guest, path)).status, 200);
  assert.equal((await guest.request("DELETE", `/api/members/${member.json.id}/`)).status, 204);
  assert.equal((await bytesOf(guest, path)).status, 404);
});

test("the same message sent again, since its answer was lost, is there once", async () => {
  const id = crypto.randomUUID();
  const first = await send(demo, form(png, { id }));
  const before = kept();
  const second = await send(demo, form(png, { id }));
  assert.deepEqual([first.status, second.status], [201, 200]);
  assert.equal(second.json.picture, first.json.picture);
  assert.equal(kept(), before);
  const taken = await send(friend, form(png, { id }));
  assert.deepEqual([taken.status, taken.json.code], [409, "unique"]);
});

const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>');
const large = Buffer.concat([png, Buffer.alloc(BYTES_MAX + 1 - png.length)]);
const wall = Buffer.from(png); // a few bytes that say they are 100,000 pixels wide and high
wall.writeUInt32BE(100_000, 16);
wall.writeUInt32BE(100_000, 20);
const twice = form(png);
twice.append("picture", new Blob([new Uint8Array(png)]), "b.png");

const refused: [string, FormData | string, number, string, string?][] = [
  ["a script in an SVG that calls itself a PNG", form(svg), 415, "unsupported_media_type"],
  ["a page", form(Buffer.from("<!doctype html><script>1</script>")), 415, "unsupported_media_type"],
  ["an empty file", form(Buffer.alloc(0)), 415, "unsupported_media_type"],
  ["a picture that was cut off", form(png.subarray(0, png.length - 20)), 422, "picture_broken"],
  [
    "the beginning of a picture before a page",
    form(Buffer.concat([png.subarray(0, 8), svg])),
    422,
    "picture_broken",
  ],
  ["a picture of more pixels than can be shown", form(wall), 422, "too_many_pixels"],
  ["a picture that is too large", form(large), 413, "too_large"],
  ["a form without a file", form(null, { text: "Look!" }), 422, "file_missing"],
  ["two pictures at once", twice, 422, "too_many_files"],
  ["a text that is too long", form(png, { text: "x".repeat(4001) }), 422, "invalid", "/text max_length"],
  ["an alternative that is too long", form(png, { alt: "x".repeat(301) }), 422, "invalid", "/alt max_length"],
  ["an id that is none", form(png, { id: "7" }), 422, "invalid", "/id id"],
  ["a text with NUL", form(png, { text: "a\0b" }), 422, "invalid", "/text encoding"],
  ["JSON", "{}", 415, "unsupported_media_type"],
];

for (const [what, body, status, code, field] of refused) {
  test(`${what} is refused, and nothing is kept`, async () => {
    const before = [messages(), kept()];
    const answer = await demo.post(`/api/chats/${chat}/pictures/`, body);
    assert.deepEqual([answer.status, answer.json?.code], [status, code], answer.body);
    if (field) {
      const [error] = answer.json.errors;
      assert.equal(`${error.pointer} ${error.code}`, field);
    }
    assert.deepEqual([messages(), kept()], before);
  });
}

// Whoever sends on is cut off at some time, and may never see the answer: so nothing but the head is sent here.
test("a body that is much too large is refused by its length alone", async () => {
  const headers = {
    cookie: demo.cookieHeader(),
    "content-type": "multipart/form-data; boundary=x",
    "content-length": String(2 * BYTES_MAX),
  };
  const request = http.request(`${server.url}/api/chats/${chat}/pictures/`, { method: "POST", headers });
  request.flushHeaders();
  const [answer] = (await once(request, "response")) as [http.IncomingMessage];
  const body = JSON.parse(Buffer.concat(await answer.toArray()).toString());
  request.destroy();
  assert.deepEqual([answer.statusCode, body.code], [413, "too_large"]);
});

test("without the CSRF token nothing is taken", async () => {
  const answer = await demo.request("POST", `/api/chats/${chat}/pictures/`, form(png), {
    "x-csrf-token": "",
  });
  assert.equal(answer.status, 403);
});

test("one person's pictures have a limit in all, and it is nobody else's", async () => {
  const sender = await signedIn(server, "testUser2");
  const joined = await demo.post("/api/members/", { chat, user: sender.user.id });
  assert.equal(joined.status, 201, joined.body);
  const { json } = await send(sender, form(png));
  const held = 100 * BYTES_MAX - png.length;
  sql(server, `update picture set bytes = ${held} where id = '${json.picture}'`);
  const id = crypto.randomUUID();
  assert.equal((await send(sender, form(png, { id }))).status, 201, "as much as fits");
  const before = [messages(), kept()];
  const refused = await send(sender, form(png));
  assert.deepEqual([refused.status, refused.json.code], [413, "picture_quota"], refused.body);
  assert.deepEqual([messages(), kept()], before);
  assert.equal((await send(sender, form(png, { id }))).status, 200, "what is there already is answered");
  assert.equal((await send(friend, form(png))).status, 201);
});

test("more than sixty in a minute are too many", async () => {
  const sender = await signedIn(server, "testUser1");
  const elsewhere = sql(server, "select id from chat where title = 'Weekend plans'");
  const statuses: number[] = [];
  // One more is free again each second; while sixty are sent that may be some.
  while (statuses.at(-1) !== 429 && statuses.length < 120)
    statuses.push((await send(sender, form(GIF), elsewhere)).status);
  assert.equal(statuses.at(-1), 429);
  assert.ok(statuses.length > 60, String(statuses.length));
  assert.deepEqual(new Set(statuses.slice(0, -1)), new Set([201]));
});
