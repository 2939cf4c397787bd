// What strangers send below HTTP: each row is refused with its status, the connection closes, and the server lives.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openRaw, sendRaw, statusOf } from "../client.ts";
import { type Server, startServer, until } from "../server.ts";

let server: Server;
before(async () => {
  server = await startServer({
    env: { HEADER_TIMEOUT: "400ms", BODY_TIMEOUT: "400ms", IDLE_TIMEOUT: "700ms" },
  });
});
after(async () => {
  await server.stop();
  server.remove();
});

async function lives(): Promise<void> {
  const answer = await fetch(`${server.url}/health`);
  assert.equal(answer.status, 200);
  await answer.text();
}

const H = "Host: x\r\n";
const refused: [string, string, number][] = [
  ["no version", "GET /\r\n\r\n", 400],
  ["HTTP/2.0 on HTTP/1", `GET / HTTP/2.0\r\n${H}\r\n`, 505],
  ["HTTP/1.32", `GET / HTTP/1.32\r\n${H}\r\n`, 400],
  ["lower-case protocol", `GET / http/1.1\r\n${H}\r\n`, 400],
  ["unknown method", `BREW / HTTP/1.1\r\n${H}\r\n`, 501],
  ["method with a separator", `GE(T / HTTP/1.1\r\n${H}\r\n`, 400],
  ["no host", "GET / HTTP/1.1\r\n\r\n", 400],
  ["two hosts", `GET / HTTP/1.1\r\n${H}${H}\r\n`, 400],
  ["host with a path", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400],
  ["host with user information", "GET / HTTP/1.1\r\nHost: a@x\r\n\r\n", 400],
  [
    "content length and chunked",
    `POST / HTTP/1.1\r\n${H}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    "two equal content lengths",
    `POST / HTTP/1.1\r\n${H}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
    400,
  ],
  [
    "two different content lengths",
    `POST / HTTP/1.1\r\n${H}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc`,
    400,
  ],
  ["content length list", `POST / HTTP/1.1\r\n${H}Content-Length: 3,3\r\n\r\nabc`, 400],
  ["content length +5", `POST / HTTP/1.1\r\n${H}Content-Length: +5\r\n\r\nhello`, 400],
  ["content length -1", `POST / HTTP/1.1\r\n${H}Content-Length: -1\r\n\r\n`, 400],
  ["content length 0x5", `POST / HTTP/1.1\r\n${H}Content-Length: 0x5\r\n\r\nhello`, 400],
  [
    "content length of 25 digits",
    `POST / HTTP/1.1\r\n${H}Content-Length: 1111111111111111111111111\r\n\r\n`,
    400,
  ],
  ["chunked twice", `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`, 400],
  ["xchunked", `POST / HTTP/1.1\r\n${H}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, 400],
  ["chunked, identity", `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`, 400],
  ["chunked on HTTP/1.0", `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  ["folded header", `GET / HTTP/1.1\r\n${H}X-A: 1\r\n 2\r\n\r\n`, 400],
  ["space before colon", `GET / HTTP/1.1\r\n${H}X-A : 1\r\n\r\n`, 400],
  ["bare line feed in headers", `GET / HTTP/1.1\nHost: x\n\n`, 400],
  ["bare carriage return in a value", `GET / HTTP/1.1\r\n${H}X-A: 1\r2\r\n\r\n`, 400],
  ["NUL in a value", `GET / HTTP/1.1\r\n${H}X-A: 1\x002\r\n\r\n`, 400],
  ["empty header name", `GET / HTTP/1.1\r\n${H}: 1\r\n\r\n`, 400],
  ["header without colon", `GET / HTTP/1.1\r\n${H}nothing\r\n\r\n`, 400],
  ["high bytes in a header name", `GET / HTTP/1.1\r\n${H}X-\xff: 1\r\n\r\n`, 400],
  [
    "chunk size 0x5",
    `POST /api/auth/login/ HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n`,
    400,
  ],
  [
    "chunk size -1",
    `POST /api/auth/login/ HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n`,
    400,
  ],
  [
    "chunk size of 17 digits",
    `POST /api/auth/login/ HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n11111111111111111\r\n`,
    400,
  ],
  [
    "no line end behind a chunk",
    `POST /api/auth/login/ HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n`,
    400,
  ],
  ["target of 9,000 bytes", `GET /${"a".repeat(9000)} HTTP/1.1\r\n${H}\r\n`, 414],
  ["header of 40,000 bytes", `GET / HTTP/1.1\r\n${H}X-A: ${"a".repeat(40000)}\r\n\r\n`, 431],
  ["200 headers", `GET / HTTP/1.1\r\n${H}${"X-A: 1\r\n".repeat(200)}\r\n`, 431],
  ["control byte in the target", `GET /\x01 HTTP/1.1\r\n${H}\r\n`, 400],
];

for (const [name, bytes, status] of refused)
  test(`${name} is ${status} and closes`, async () => {
    const { text, closed } = await sendRaw(server, Buffer.from(bytes, "latin1"));
    assert.equal(statusOf(text), status, text.slice(0, 200));
    assert.ok(closed, "the connection is closed");
    assert.equal(text.match(/HTTP\/1\.1 \d{3}/g)?.length, 1, "one answer, nothing smuggled behind it");
    await lives();
  });

const paths: [string, number][] = [
  ["/_next/static/../../../../etc/passwd", 400],
  ["/_next/static/%2e%2e/%2e%2e/package.json", 404],
  ["/_next/static/..%2f..%2fpackage.json", 400],
  ["/_next/static/x%00.js", 400],
  ["/_next/static/a%5c..%5cb", 400],
  ["/../../etc/passwd", 400],
  ["/%ff%fe", 400],
  ["/%zz", 400],
  ["/.env", 404],
  ["/api/messages/../../etc/passwd", 404],
];
for (const [path, status] of paths)
  test(`path ${path} is ${status}`, async () => {
    const { text } = await sendRaw(server, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    assert.ok(!text.includes("root:"), "no file leaks");
    assert.equal(statusOf(text), status, text.slice(0, 300));
    await lives();
  });

test("a body over the limit is 413", async () => {
  const { text } = await sendRaw(
    server,
    `POST /api/auth/login/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99000000\r\n\r\n{`,
  );
  assert.equal(statusOf(text), 413);
  await lives();
});

test("a head that comes a byte at a time ends at its deadline", async () => {
  const socket = await openRaw(server);
  const started = Date.now();
  let closed = false;
  socket.on("close", () => {
    closed = true;
  });
  socket.on("error", () => {});
  const drip = setInterval(() => socket.writable && socket.write("G"), 50);
  await until("the slow connection to be closed", () => closed, 5000);
  clearInterval(drip);
  assert.ok(Date.now() - started >= 300);
  await lives();
});

test("a body that stops coming gets 408", async () => {
  const { text } = await sendRaw(
    server,
    "POST /api/auth/login/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    3000,
  );
  assert.equal(statusOf(text), 408);
  await lives();
});

test("an idle connection is closed", async () => {
  const { text, closed } = await sendRaw(server, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 5000);
  assert.equal(statusOf(text), 200);
  assert.ok(closed);
});

test("a client that leaves in the middle of its answer harms nobody", async () => {
  for (let i = 0; i < 50; i++) {
    const socket = await openRaw(server);
    socket.on("error", () => {});
    socket.write("GET /api/users/ HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20));
    socket.resetAndDestroy();
  }
  await lives();
});

test("pipelined requests are answered in order", async () => {
  const { text } = await sendRaw(
    server,
    "GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing/here HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n" +
      "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  );
  assert.deepEqual(
    [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1]),
    ["200", "404", "200"],
  );
});
