// What flows through the proxy, both ways: connections that are kept, bodies, websockets, events; and the memory it takes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request as ask } from "node:http";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { Client, openRaw, sendRaw, signedIn } from "../client.ts";
import { type Proxied, type Seen, startProxied, startUpstream } from "../proxy.ts";
import { until } from "../server.ts";

let p: Proxied;
let bob: Client;
before(async () => {
  p = await startProxied();
  bob = await signedIn(p.server, "bob");
});
after(() => p.close());

const nobody = () => new Client(p.server);

test("connections are kept: many requests, few connections", async () => {
  const before = p.upstream.connections();
  for (let i = 0; i < 50; i++) assert.equal((await nobody().get("/open/echo")).status, 200);
  assert.ok(p.upstream.connections() - before <= 2, `${p.upstream.connections() - before} connections`);
});

test("a kept connection that was closed is no error to who asks next", async () => {
  const first = await startUpstream();
  const again = await startProxied({ PROXY_AGAIN: first.url });
  try {
    const client = new Client(again.server);
    assert.equal((await client.get("/again/echo")).status, 200);
    await first.close();
    const second = await startUpstream(first.port);
    assert.equal((await client.get("/again/echo")).status, 200);
    assert.equal((await client.request("PUT", "/again/echo", "x")).status, 200);
    await second.close();
  } finally {
    await again.close();
  }
});

test("bodies arrive as they were sent, with a length or in chunks, at once or in pieces", async () => {
  assert.equal((await nobody().post("/open/echo", "hello")).json.body, "hello");
  assert.equal((await nobody().post("/open/echo")).json.body, "");
  const { text } = await sendRaw(
    p.server,
    "POST /open/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
      "3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n",
  );
  const echoed: Seen = JSON.parse(text.slice(text.indexOf("\r\n\r\n")));
  assert.equal(echoed.body, "abcde");
  assert.equal(echoed.headers["transfer-encoding"], "chunked");
  assert.equal(echoed.headers["content-length"], undefined);
});

test("Expect is answered here, and the body follows", async () => {
  const answer = await new Promise<string>((resolve, reject) => {
    const headers = { expect: "100-continue", "content-length": "4" };
    const request = ask(`${p.server.url}/open/echo`, { method: "POST", headers }, (response) => {
      let text = "";
      response.on("data", (piece) => {
        text += piece;
      });
      response.on("end", () => resolve(text));
    });
    request.on("continue", () => request.end("body"));
    request.on("error", reject);
    request.flushHeaders();
  });
  const echoed: Seen = JSON.parse(answer);
  assert.equal(echoed.body, "body");
  assert.equal(echoed.headers.expect, undefined);
});

test("what is mirrored while it is sent comes back whole", async () => {
  const total = 24 * 1024 * 1024;
  const block = Buffer.alloc(64 * 1024, "m");
  const got = await new Promise<number>((resolve, reject) => {
    const request = ask(`${p.server.url}/open/mirror`, { method: "POST" }, (response) => {
      let bytes = 0;
      response.on("data", (piece: Buffer) => {
        bytes += piece.length;
      });
      response.on("end", () => resolve(bytes));
      response.on("error", reject);
    });
    request.on("error", reject);
    let left = total;
    const more = () => {
      while (left > 0) {
        left -= block.length;
        if (!request.write(block)) return void request.once("drain", more);
      }
      request.end();
    };
    more();
  });
  assert.equal(got, total);
});

test("a client that does not read its answer can still send, and reads all of it later", async () => {
  const total = 32 * 1024 * 1024;
  const socket = await openRaw(p.server);
  socket.pause();
  socket.write(
    `POST /open/both?bytes=${total} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${total}\r\n\r\n`,
  );
  socket.write(Buffer.alloc(total, "u"));
  await until("all of it to be the upstream's", () => p.upstream.taken() === total);
  let bytes = 0;
  for await (const piece of socket) bytes += (piece as Buffer).length;
  assert.ok(bytes > total, `${bytes} bytes`);
});

test("an answer before the end of the request's body arrives", async () => {
  const status = await new Promise<number>((resolve, reject) => {
    const request = ask(`${p.server.url}/open/refuse`, { method: "POST" }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
      request.destroy();
    });
    request.on("error", reject);
    request.write("the first of many");
  });
  assert.equal(status, 413);
});

function memoryKilobytes(): number {
  const text = readFileSync(`/proc/${p.server.process.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(text)?.[1]);
}

// What must not be held in memory is many times what may.
const LONG = 192 * 1024 * 1024;
const GROWTH_KB = 24 * 1024;

test("a long answer leaves memory flat, also for a reader who stops in between", async () => {
  await (await fetch(`${p.server.url}/open/stream?bytes=1000000`)).arrayBuffer();
  const start = memoryKilobytes();
  let most = 0;
  const response = await fetch(`${p.server.url}/open/stream?bytes=${LONG}`);
  let bytes = 0;
  let pieces = 0;
  for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
    bytes += piece.length;
    if (pieces++ % 64 === 0) most = Math.max(most, memoryKilobytes());
  }
  assert.equal(bytes, LONG);
  assert.ok(most - start < GROWTH_KB, `grew by ${most - start} KB`);
});

test("a long upload leaves memory flat", async () => {
  const start = memoryKilobytes();
  let most = 0;
  let pieces = 0;
  const block = Buffer.alloc(256 * 1024, "u");
  const text = await new Promise<string>((resolve, reject) => {
    const headers = { "content-length": String(LONG) };
    const request = ask(`${p.server.url}/open/count`, { method: "POST", headers }, (response) => {
      let body = "";
      response.on("data", (piece) => {
        body += piece;
      });
      response.on("end", () => resolve(body));
    });
    request.on("error", reject);
    let left = LONG;
    const more = () => {
      while (left > 0) {
        left -= block.length;
        if (pieces++ % 16 === 0) most = Math.max(most, memoryKilobytes());
        if (!request.write(block)) return void request.once("drain", more);
      }
      request.end();
    };
    more();
  });
  assert.equal(text, String(LONG));
  assert.ok(most - start < GROWTH_KB, `grew by ${most - start} KB`);
});

test("a body over the row's limit is 413", async () => {
  assert.equal((await nobody().post("/small/echo", "x".repeat(1000))).status, 200);
  assert.equal((await nobody().post("/small/echo", "x".repeat(1001))).status, 413);
});

test("methods that a row does not name are 405", async () => {
  assert.equal((await nobody().get("/read-only/echo")).status, 200);
  assert.equal((await nobody().post("/read-only/echo", {})).status, 405);
});

function openSocket(path: string, headers: Record<string, string> = {}): Promise<WebSocket> {
  const ws = new WebSocket(`ws://127.0.0.1:${p.server.port}${path}`, { headers });
  return new Promise((resolve, reject) => {
    ws.once("open", () => resolve(ws));
    ws.once("error", reject);
  });
}
async function say(ws: WebSocket, text: string): Promise<string> {
  const heard = new Promise<string>((resolve) => ws.once("message", (data) => resolve(`${data}`)));
  ws.send(text);
  return heard;
}

test("websockets pass, with the same headers and the same access", async () => {
  await assert.rejects(openSocket("/members/socket"), /401/);
  const cookie = bob.cookieHeader();
  const ws = await openSocket("/members/socket", {
    cookie,
    origin: p.server.url,
    "x-forwarded-for": "6.6.6.6",
  });
  for (const text of ["one", "two", "x".repeat(300_000)]) assert.equal(await say(ws, text), text);
  const headers = JSON.parse(await say(ws, "headers"));
  assert.equal(headers["x-forwarded-for"], "127.0.0.1");
  assert.equal(headers.cookie, undefined);
  assert.equal(typeof headers["x-tims-identity"], "string");
  ws.close();
  await new Promise((resolve) => ws.once("close", resolve));
});

test("another site's page opens no websocket with our cookie", async () => {
  const cookie = bob.cookieHeader();
  await assert.rejects(openSocket("/members/socket", { cookie, origin: "http://evil.example" }), /403/);
  await assert.rejects(openSocket("/read-only/socket"), /Unexpected server response/);
});

test("an event stream arrives event by event and ends with its reader", async () => {
  const stop = new AbortController();
  const response = await fetch(`${p.server.url}/open/events`, { signal: stop.signal });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const first = await reader.read();
  assert.equal(Buffer.from(first.value as Uint8Array).toString(), "data: one\n\n");
  stop.abort();
});
