// What must not get through the proxy, from either side: each a row that says what the answer is.
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, before, test } from "node:test";
import { openRaw, sendRaw, statusOf } from "../client.ts";
import { type Proxied, startProxied } from "../proxy.ts";
import { until } from "../server.ts";

let p: Proxied;
before(async () => {
  // What stops in the middle of a body ends soon.
  p = await startProxied({ BODY_TIMEOUT: "400ms" });
});
after(() => p.close());

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const answerOk = (socket: Socket): void => void socket.write(OK);

async function lives(): Promise<void> {
  p.raw.react = answerOk;
  const { text } = await sendRaw(p.server, "GET /bad/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  assert.equal(statusOf(text), 200, text);
}

// --- the client's paths: 400, and the upstream hears nothing; or 200, and it hears exactly this

const paths: [string, string, number, string?][] = [
  ["absolute form", "http://x/bad/a", 400],
  ["absolute form of https", "https://x/bad/a", 400],
  ["absolute form of another host", "http://evil/bad/a", 400],
  ["no path", "bad/a", 400],
  ["two slashes in front", "//bad/a", 400],
  ["two slashes behind the prefix", "/bad//a", 400],
  ["two slashes inside", "/bad/a//b", 400],
  ["two slashes at the end", "/bad/a//", 400],
  ["a dot", "/bad/./a", 400],
  ["dots", "/bad/x/../a", 400],
  ["dots to the prefix", "/bad/../bad/a", 400],
  ["dots out of the prefix", "/x/../bad/a", 400],
  ["dots above the root", "/bad/../../etc/passwd", 400],
  ["dots at the end", "/bad/a/..", 400],
  ["encoded dots", "/bad/x/%2e%2e/a", 400],
  ["encoded dots in capitals", "/bad/x/%2E%2E/a", 400],
  ["half-encoded dots", "/bad/x/.%2e/a", 400],
  ["an encoded dot", "/bad/%2e/a", 400],
  ["dots with a parameter", "/bad/x/..;y=1/a", 400],
  ["encoded dots with a parameter", "/bad/x/%2e%2e;/a", 400],
  ["dots encoded twice", "/bad/x/%252e%252e/a", 400],
  ["a slash encoded twice", "/bad/x%252fa", 400],
  ["a slash encoded three times", "/bad/x%25252fa", 400],
  ["an encoded slash", "/bad/x%2fa", 400],
  ["an encoded slash in capitals", "/bad/x%2Fa", 400],
  ["dots behind an encoded slash", "/bad/x%2f..%2fa", 400],
  ["an encoded backslash", "/bad/x%5c..%5ca", 400],
  ["a backslash", "/bad/x\\..\\a", 400],
  ["overlong UTF-8 dots", "/bad/%c0%ae%c0%ae/a", 400],
  ["an encoded NUL", "/bad/a%00.html", 400],
  ["an encoded line end", "/bad/a%0d%0aX-Injected:%201", 400],
  ["an encoded tab", "/bad/a%09b", 400],
  ["an encoded DEL", "/bad/a%7f", 400],
  ["a fragment", "/bad/a#b", 400],
  ["a broken escape", "/bad/a%zz", 400],
  ["a cut escape", "/bad/a%2", 400],
  ["an encoded letter in the prefix", "/b%61d/a", 400],
  ["high bytes", "/bad/\xe4", 400],
  ["a space", "/bad/a b", 400],
  ["a fragment in the query", "/bad/a?b#c", 400],
  ["high bytes in the query", "/bad/a?\xe4", 400],
  ["what is plain", "/bad/a-b_c~d.e/f", 200, "/a-b_c~d.e/f"],
  ["names that begin with dots", "/bad/.well-known/...", 200, "/.well-known/..."],
  ["escapes that say nothing twice", "/bad/100%25/%C3%A4%20%3Fx", 200, "/100%25/%C3%A4%20%3Fx"],
  ["parameters", "/bad/a;v=1/b", 200, "/a;v=1/b"],
  [
    "a query with all of it",
    "/bad/a?u=http://x//../%2e%2e/%2f%0d%0a",
    200,
    "/a?u=http://x//../%2e%2e/%2f%0d%0a",
  ],
  ["nothing behind the prefix", "/bad/", 200, "/"],
];
for (const [name, target, status, heard] of paths)
  test(`a path with ${name} is ${status}`, async () => {
    p.raw.heads.length = 0;
    p.raw.react = answerOk;
    const request = `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    const { text } = await sendRaw(p.server, Buffer.from(request, "latin1"));
    assert.equal(statusOf(text), status, text.slice(0, 200));
    assert.equal(text.match(/HTTP\/1\.1 \d{3}/g)?.length, 1, "one answer");
    assert.equal(p.raw.heads.length, status === 200 ? 1 : 0, "what the upstream hears");
    if (heard) assert.ok(p.raw.heads[0]?.startsWith(`GET ${heard} HTTP/1.1\r\n`), p.raw.heads[0]);
  });

for (const target of [
  "//evil.example/../members/page",
  "http://evil.example/members/page",
  "/members/../members/page",
  "/members/%2e%2e/members/",
])
  test(`${target} does not become the address behind the sign-in`, async () => {
    const { text } = await sendRaw(
      p.server,
      `GET ${target} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nConnection: close\r\n\r\n`,
    );
    assert.equal(statusOf(text), 400, text.slice(0, 300));
    assert.ok(!/^Location:/im.test(text), text);
  });

for (const line of [
  "CONNECT /bad/a",
  "CONNECT evil.example:443",
  "TRACE /bad/a",
  "OPTIONS *",
  "PRI *",
  "get /bad/a",
])
  test(`${line} is refused, and the upstream hears nothing`, async () => {
    p.raw.heads.length = 0;
    p.raw.react = answerOk;
    const { text } = await sendRaw(p.server, `${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    assert.ok(statusOf(text) >= 400, text.slice(0, 300));
    assert.equal(p.raw.heads.length, 0);
  });

test("a websocket's first bytes that come before its upstream has agreed are no request to it", async () => {
  p.raw.heads.length = 0;
  p.raw.react = (socket) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  const upgrade =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n";
  const { text } = await sendRaw(
    p.server,
    `GET /bad/a HTTP/1.1\r\nHost: x\r\n${upgrade}\r\nGET /members/smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
  );
  assert.equal(statusOf(text), 200);
  assert.equal(p.raw.heads.length, 1);
  assert.ok(!p.raw.heads.some((head) => head.includes("smuggled")), "it was read here, with its access");
  await lives();
});

test("interim answers do not pass, and what they carry does not either", async () => {
  p.raw.react = (socket) =>
    void socket.write(`HTTP/1.1 103 Early Hints\r\nSet-Cookie: evil=1\r\nLink: </x>\r\n\r\n${OK}`);
  const { text } = await sendRaw(p.server, "GET /bad/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  assert.equal(statusOf(text), 200);
  assert.ok(!/evil|Early|103|<\/x>/.test(text), text);
});

test("an upstream that dribbles its head is 504, however busy it looks", async () => {
  const timers: NodeJS.Timeout[] = [];
  p.raw.react = (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nX-A: ");
    timers.push(setInterval(() => socket.writable && socket.write("a"), 50));
  };
  const { text } = await sendRaw(
    p.server,
    "GET /bad/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    3000,
  );
  for (const timer of timers) clearInterval(timer);
  assert.equal(statusOf(text), 504);
  await lives();
});

// --- smuggling: refused before a byte of it reaches the upstream

const H = "Host: x\r\n";
const C = "Transfer-Encoding: chunked\r\n";
const smuggled = "GET /bad/smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
const requests: [string, string, number][] = [
  ["a length and chunks", `${H}Content-Length: 4\r\n${C}\r\n0\r\n\r\n${smuggled}`, 400],
  ["chunks and a length", `${H}${C}Content-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`, 400],
  ["two lengths", `${H}Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`, 400],
  ["two equal lengths", `${H}Content-Length: 2\r\nContent-Length: 2\r\n\r\nab`, 400],
  ["a list of lengths", `${H}Content-Length: 0, 4\r\n\r\nabcd`, 400],
  ["a length with a sign", `${H}Content-Length: +4\r\n\r\nabcd`, 400],
  ["a length in hex", `${H}Content-Length: 0x4\r\n\r\nabcd`, 400],
  ["a length before a space", `${H}Content-Length : 4\r\n\r\nabcd`, 400],
  ["a length behind a tab", `${H}Content-Length:\t4\r\n\r\nabcd`, 400],
  ["chunks twice", `${H}${C}${C}\r\n0\r\n\r\n`, 400],
  ["chunks that are not the last", `${H}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`, 400],
  ["another coding first", `${H}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 400],
  ["chunks, misspelt", `${H}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, 400],
  ["chunks behind a tab", `${H}Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n`, 400],
  ["chunks before a vertical tab", `${H}Transfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n`, 400],
  ["chunks in a folded line", `${H}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`, 400],
  ["a folded header", `${H}X-A: 1\r\n X-B: 2\r\n\r\n`, 400],
  ["chunks behind a lone LF", `${H}X-A: 1\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  ["chunks behind a lone CR", `${H}X-A: 1\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  ["lone LFs", "Host: x\nContent-Length: 0\n\n", 400],
  ["a NUL", `${H}X-A: 1\x00\r\n\r\n`, 400],
  ["two hosts", `${H}Host: y\r\n\r\n`, 400],
  ["a name with a space", `${H}X A: 1\r\n\r\n`, 400],
  ["chunk lines that end in LF", `${H}${C}\r\n1\na\n0\n\n`, 400],
  ["a chunk of more than it says", `${H}${C}\r\n1\r\nab\r\n0\r\n\r\n`, 400],
  ["a chunk size with a sign", `${H}${C}\r\n-1\r\n\r\n`, 400],
  ["a chunk size behind a space", `${H}${C}\r\n 1\r\na\r\n0\r\n\r\n`, 400],
  ["a chunk extension with an LF", `${H}${C}\r\n1;a\nb\r\na\r\n0\r\n\r\n`, 400],
  ["an endless chunk extension", `${H}${C}\r\n1;${"a".repeat(20_000)}\r\na\r\n0\r\n\r\n`, 400],
  ["a trailer that frames", `${H}${C}\r\n0\r\nContent-Length: 9\r\n\r\n`, 400],
  ["a trailer that signs in", `${H}${C}\r\n0\r\nAuthorization: x\r\n\r\n`, 400],
];
for (const [name, rest, status] of requests)
  test(`a request with ${name} is ${status} and nothing is smuggled`, async () => {
    p.raw.heads.length = 0;
    p.raw.react = () => {}; // it waits for the body's end, which does not come
    const { text, closed } = await sendRaw(
      p.server,
      Buffer.from(`POST /bad/a HTTP/1.1\r\n${rest}`, "latin1"),
      2000,
    );
    assert.equal(statusOf(text), status, text.slice(0, 200));
    assert.equal(text.match(/HTTP\/1\.1 \d{3}/g)?.length, 1, "one answer");
    assert.ok(closed, "the connection is closed");
    assert.ok(!p.raw.heads.some((head) => head.includes("smuggled")), p.raw.heads.join());
    await lives();
  });

test("bytes behind a request are the next request, of the same client", async () => {
  p.raw.heads.length = 0;
  p.raw.react = answerOk;
  const body = "GET /inside HTTP/1.1\r\nHost: x\r\n\r\n";
  const { text } = await sendRaw(
    p.server,
    `POST /bad/outer HTTP/1.1\r\n${H}Content-Length: ${body.length}\r\n\r\n${body}` +
      `GET /bad/next HTTP/1.1\r\n${H}Connection: close\r\n\r\n`,
  );
  assert.equal(text.match(/HTTP\/1\.1 200/g)?.length, 2);
  const outer = p.raw.heads[0] as string;
  assert.ok(outer.startsWith("POST /outer "));
  assert.match(outer, new RegExp(`\r\nContent-Length: ${body.length}\r\n`));
  assert.equal(p.raw.heads.filter((head) => head.startsWith("GET /next ")).length, 1);
});

test("a body that stops is 408, and the upstream does not take it for whole", async () => {
  let ended = false;
  p.raw.react = (socket) => void socket.on("close", () => (ended = true));
  const { text } = await sendRaw(p.server, `POST /bad/a HTTP/1.1\r\n${H}Content-Length: 9\r\n\r\nabc`, 3000);
  assert.equal(statusOf(text), 408);
  await until("the upstream to be cut off", () => ended);
  await lives();
});

test("a client that leaves takes its request to the upstream with it", async () => {
  let asked = false;
  let ended = false;
  p.raw.react = (socket) => {
    asked = true;
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx");
    socket.on("close", () => (ended = true));
  };
  const socket = await openRaw(p.server);
  socket.on("error", () => {});
  socket.write(`GET /bad/a HTTP/1.1\r\n${H}\r\n`);
  await until("the upstream to be asked", () => asked);
  socket.destroy();
  await until("the upstream to be cut off", () => ended);
  await lives();
});

test("a request that goes round in circles ends", async () => {
  p.raw.heads.length = 0;
  const { text } = await sendRaw(
    p.server,
    `GET /bad/a HTTP/1.1\r\n${H}Connection: close\r\nVia: 1.1 tims, 1.1 x\r\nVia: 1.1 tims, 1.1 tims, 1.1 tims\r\n\r\n`,
  );
  assert.equal(statusOf(text), 502);
  assert.match(text, /proxy_loop/);
  assert.equal(p.raw.heads.length, 0);
});

// --- upstreams. `then`: what it does behind these bytes. `cut`: the head arrived, the rest does not look whole.

type Then = "end" | "reset" | "hold";
const L = "Content-Length: 5\r\n";
const answers: [string, string, Then, number | "cut"][] = [
  ["nothing", "", "end", 502],
  ["nothing and a reset", "", "reset", 502],
  ["nothing for ever", "", "hold", 504],
  ["garbage", "what is this?\r\n\r\n", "hold", 502],
  ["binary garbage", "\x00\x01\x02\xff\xfe\r\n\r\n", "hold", 502],
  ["a TLS alert", "\x15\x03\x01\x00\x02\x02\x46", "end", 502],
  ["a request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "hold", 502],
  ["half a head", "HTTP/1.1 200 OK\r\nContent-Le", "end", 502],
  ["half a head for ever", "HTTP/1.1 200 OK\r\nContent-Le", "hold", 504],
  ["HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", "hold", 502],
  ["a status of two digits", `HTTP/1.1 20 OK\r\n${L}\r\nhello`, "hold", 502],
  ["status 000", `HTTP/1.1 000 X\r\n${L}\r\nhello`, "hold", 502],
  ["status 999", `HTTP/1.1 999 X\r\n${L}\r\nhello`, "hold", 502],
  ["a length and chunks", `HTTP/1.1 200 OK\r\n${L}${C}\r\n0\r\n\r\n`, "hold", 502],
  ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "hold", 502],
  ["a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", "hold", 502],
  ["a length beyond numbers", `HTTP/1.1 200 OK\r\nContent-Length: ${"9".repeat(30)}\r\n\r\n`, "hold", 502],
  ["another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "hold", 502],
  ["a folded header", `HTTP/1.1 200 OK\r\nX-A: 1\r\n X-B: 2\r\n${L}\r\nhello`, "hold", 502],
  ["a lone LF in its head", `HTTP/1.1 200 OK\r\nX-A: 1\nSet-Cookie: a=1\r\n${L}\r\nhello`, "hold", 502],
  ["a lone CR in its head", `HTTP/1.1 200 OK\r\nX-A: 1\rSet-Cookie: a=1\r\n${L}\r\nhello`, "hold", 502],
  ["a NUL in its head", `HTTP/1.1 200 OK\r\nX-A: 1\x002\r\n${L}\r\nhello`, "hold", 502],
  ["a header without a colon", `HTTP/1.1 200 OK\r\nnothing\r\n${L}\r\nhello`, "hold", 502],
  ["a name with a space", `HTTP/1.1 200 OK\r\nX A: 1\r\n${L}\r\nhello`, "hold", 502],
  ["a header of 100 KB", `HTTP/1.1 200 OK\r\nX-A: ${"a".repeat(100_000)}\r\n${L}\r\nhello`, "hold", 502],
  [
    "40 KB of headers",
    `HTTP/1.1 200 OK\r\n${`X-A: ${"a".repeat(400)}\r\n`.repeat(100)}${L}\r\nhello`,
    "hold",
    502,
  ],
  ["1,000 headers", `HTTP/1.1 200 OK\r\n${"X-A: 1\r\n".repeat(1000)}${L}\r\nhello`, "hold", 502],
  ["a storm of interim answers", "HTTP/1.1 102 Processing\r\n\r\n".repeat(1000), "hold", 502],
  ["early hints for ever", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "hold", 504],
  [
    "another protocol that nobody asked for",
    "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nx",
    "hold",
    502,
  ],
  ["101 without an upgrade", "HTTP/1.1 101 Go\r\n\r\n", "hold", 502],
  ["less than it announced", `HTTP/1.1 200 OK\r\n${L}\r\nhel`, "end", "cut"],
  ["less than it announced, and a reset", `HTTP/1.1 200 OK\r\n${L}\r\nhel`, "reset", "cut"],
  ["a body that stalls", `HTTP/1.1 200 OK\r\n${L}\r\nhel`, "hold", "cut"],
  ["chunks without an end", `HTTP/1.1 200 OK\r\n${C}\r\n3\r\nhel\r\n`, "end", "cut"],
  ["chunks that stall", `HTTP/1.1 200 OK\r\n${C}\r\n3\r\nhel\r\n`, "hold", "cut"],
  ["a chunk of more than it says", `HTTP/1.1 200 OK\r\n${C}\r\n3\r\nhello\r\n0\r\n\r\n`, "hold", "cut"],
  ["a chunk size that is none", `HTTP/1.1 200 OK\r\n${C}\r\n3\r\nhel\r\nzz\r\n`, "hold", "cut"],
  [
    "a trailer that frames",
    `HTTP/1.1 200 OK\r\n${C}\r\n3\r\nhel\r\n0\r\nContent-Length: 1\r\n\r\n`,
    "hold",
    "cut",
  ],
];
for (const [name, bytes, then, expected] of answers)
  test(`an upstream that answers ${name} is ${expected}`, async () => {
    p.raw.react = (socket) => {
      socket.write(Buffer.from(bytes, "latin1"));
      if (then === "end") socket.end();
      if (then === "reset") setImmediate(() => socket.resetAndDestroy());
    };
    const { text, closed } = await sendRaw(
      p.server,
      `GET /bad/ HTTP/1.1\r\n${H}Connection: close\r\n\r\n`,
      3000,
    );
    if (expected !== "cut") {
      assert.equal(statusOf(text), expected, text.slice(0, 300));
      assert.match(text, /application\/problem\+json/);
      assert.ok(!/Set-Cookie/i.test(text), "nothing of it passes");
      return lives();
    }
    if (statusOf(text) !== 502) {
      // Its head was passed on before the end was known.
      assert.equal(statusOf(text), 200);
      assert.ok(closed, "the client is cut off");
      const body = text.slice(text.indexOf("\r\n\r\n") + 4);
      const announced = Number(/Content-Length: (\d+)/i.exec(text)?.[1] ?? Number.POSITIVE_INFINITY);
      assert.ok(body.length < announced && !body.endsWith("0\r\n\r\n"), "it does not look whole");
    }
    await lives();
  });

test("more than was announced is not passed on, and never mixed into the next answer", async () => {
  p.raw.react = (socket) =>
    void socket.write(
      `HTTP/1.1 200 OK\r\n${L}\r\nhelloHTTP/1.1 200 OK\r\n${L}Set-Cookie: evil=1\r\n\r\nevil!`,
    );
  for (let i = 0; i < 5; i++) {
    const { text } = await sendRaw(p.server, `GET /bad/ HTTP/1.1\r\n${H}Connection: close\r\n\r\n`);
    assert.equal(text.slice(text.indexOf("\r\n\r\n") + 4), "hello");
    assert.ok(!text.includes("evil"));
  }
  await lives();
});

test("bytes that come before they are asked for are not the next answer", async () => {
  let ended = false;
  p.raw.react = (socket) => {
    socket.on("close", () => {
      ended = true;
    });
    socket.write(OK);
    setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), 20);
  };
  const first = await sendRaw(p.server, `GET /bad/ HTTP/1.1\r\n${H}Connection: close\r\n\r\n`);
  assert.ok(first.text.endsWith("ok"));
  await until("the connection to be given up", () => ended, 3000); // it would be kept for four seconds
  await lives();
});

test("a body of HEAD or 304 is none, and its connection is given up", async () => {
  p.raw.react = (socket) => void socket.write(`HTTP/1.1 200 OK\r\n${L}\r\nhello`);
  const head = await sendRaw(p.server, `HEAD /bad/ HTTP/1.1\r\n${H}Connection: close\r\n\r\n`);
  assert.equal(statusOf(head.text), 200);
  assert.ok(head.text.endsWith("\r\n\r\n"));
  p.raw.react = (socket) => void socket.write(`HTTP/1.1 304 Not Modified\r\n${L}\r\nhello`);
  const same = await sendRaw(p.server, `GET /bad/ HTTP/1.1\r\n${H}Connection: close\r\n\r\n`);
  assert.equal(statusOf(same.text), 304);
  assert.ok(same.text.endsWith("\r\n\r\n"));
  await lives();
});

test("a websocket's upstream that agrees to something else is 502", async () => {
  const upgrade = `GET /bad/ HTTP/1.1\r\n${H}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`;
  p.raw.react = (socket) =>
    void socket.write("HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
  assert.equal(statusOf((await sendRaw(p.server, upgrade)).text), 502);
  p.raw.react = (socket) => void socket.write("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
  const { text } = await sendRaw(p.server, upgrade);
  assert.equal(statusOf(text), 403, "its refusal is the answer");
  assert.ok(text.endsWith("no"));
  await lives();
});

test("other upgrades are asked without one", async () => {
  p.raw.heads.length = 0;
  p.raw.react = answerOk;
  for (const name of ["h2c", "TLS/1.0", "websocket, h2c"])
    await sendRaw(
      p.server,
      `GET /bad/ HTTP/1.1\r\n${H}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${name}\r\nHTTP2-Settings: AA\r\n\r\n`,
    );
  assert.equal(p.raw.heads.length, 3);
  for (const head of p.raw.heads) assert.ok(!/upgrade|http2-settings/i.test(head), head);
});

test("a POST whose connection is closed without an answer is not sent twice", async () => {
  p.raw.react = answerOk;
  await lives();
  p.raw.heads.length = 0;
  p.raw.react = (socket) => socket.destroy();
  const { text } = await sendRaw(
    p.server,
    `POST /bad/ HTTP/1.1\r\n${H}Connection: close\r\nContent-Length: 2\r\n\r\nab`,
  );
  assert.equal(statusOf(text), 502);
  assert.equal(p.raw.heads.length, 1);
});
