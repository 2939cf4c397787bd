// A websocket endpoint of the app's own and its group: the die of a chat.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { type Client, signedIn } from "../client.ts";
import { type Server, sql, startServer, until } from "../server.ts";

let server: Server;
let chat: string;
before(async () => {
  server = await startServer();
  chat = sql(server, "select id from chat where title = 'Welcome'");
});
after(async () => {
  await server?.stop();
  server?.remove();
});

const idOf = (name: string) => sql(server, `select id from "user" where username = '${name}'`);

interface Seat {
  socket: WebSocket;
  heard: { user: string; pips: number }[];
  closed: { code: number; reason: string } | null;
  refused: number | null;
}

async function sitDown(client: Client | null, id = chat): Promise<Seat> {
  const url = `${server.url.replace(/^http/, "ws")}/ws/chats/${id}/dice/`;
  const socket = new WebSocket(url, client ? { headers: { cookie: client.cookieHeader() } } : {});
  const seat: Seat = { socket, heard: [], closed: null, refused: null };
  socket.on("message", (data) => seat.heard.push(JSON.parse(String(data))));
  socket.on("close", (code, reason) => {
    seat.closed = { code, reason: String(reason) };
  });
  socket.on("unexpected-response", (_request, response) => {
    seat.refused = response.statusCode ?? 0;
  });
  socket.on("error", () => undefined); // a close follows
  await until("a seat", () => socket.readyState === WebSocket.OPEN || seat.closed || seat.refused);
  return seat;
}

test("what is thrown is told to everybody at the table, and to nobody else", async () => {
  const demo = await signedIn(server, "demo");
  const friend = await signedIn(server, "testUser0");
  const elsewhere = sql(server, "select id from chat where title = 'Weekend plans'");
  const mine = await sitDown(demo);
  const theirs = await sitDown(friend);
  const other = await sitDown(demo, elsewhere);
  // Whoever has heard what they threw sits at the table.
  mine.socket.send("throw");
  await until("what demo threw", () => mine.heard.length === 1);
  theirs.socket.send("throw");
  await until("what testUser0 threw", () => theirs.heard.some(({ user }) => user === idOf("testUser0")));
  await until("the same with demo", () => mine.heard.length === 2);
  assert.deepEqual(
    mine.heard.map(({ user }) => user),
    [idOf("demo"), idOf("testUser0")],
  );
  assert.ok(mine.heard.every(({ pips }) => Number.isInteger(pips) && pips >= 1 && pips <= 6));
  assert.deepEqual(other.heard, []);
  for (const { socket } of [mine, theirs, other]) socket.close();
});

test("strangers, nonsense and those who have left are refused", async () => {
  assert.equal((await sitDown(null)).refused, 401);
  const stranger = await signedIn(server, "testUser3");
  const outside = sql(
    server,
    `select id from chat where id not in
       (select chat from member where "user" = (select id from "user" where username = 'testUser3')) limit 1`,
  );
  const refused = await sitDown(stranger, outside);
  await until("a refusal", () => refused.closed);
  assert.equal(refused.closed?.code, 4404);
  const demo = await signedIn(server, "demo");
  const nonsense = await sitDown(demo);
  nonsense.socket.send("cheat");
  await until("a close", () => nonsense.closed);
  assert.deepEqual(nonsense.closed, { code: 4422, reason: "bad_throw" });
  const leaving = await sitDown(demo);
  sql(
    server,
    `delete from member where chat = '${chat}' and "user" = (select id from "user" where username = 'demo')`,
  );
  leaving.socket.send("throw");
  await until("a close", () => leaving.closed);
  assert.equal(leaving.closed?.code, 4404);
});
