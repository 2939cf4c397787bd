// Upstreams that fail, and those that have enough to do: who is asked, who is spared, and what can be read of it.
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, before, test } from "node:test";
import { Client, openRaw, statusOf } from "../client.ts";
import { type Proxied, startProxied } from "../proxy.ts";
import { until } from "../server.ts";

let p: Proxied;
before(async () => {
  p = await startProxied({ BODY_TIMEOUT: "10m" }); // longer than these tests wait
});
after(() => p.close());

const nobody = () => new Client(p.server);

test("an upstream that fails again and again is left alone until it is well", async () => {
  p.raw.react = (socket) => socket.destroy();
  for (let i = 0; i < 3; i++) assert.equal((await nobody().get("/fragile/")).status, 502);
  const heard = p.raw.heads.length;
  const refused = await nobody().get("/fragile/");
  assert.equal(refused.status, 503);
  assert.equal(refused.headers.get("retry-after"), "1");
  assert.equal(p.raw.heads.length, heard, "it was not asked");
  await until("a probe that fails", async () => (await nobody().get("/fragile/")).status === 502);
  assert.match((await nobody().get("/metrics")).body, /tims_proxy_open\{prefix="\/fragile\/"\} 1/);
  p.raw.react = (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  await until("a probe that succeeds", async () => (await nobody().get("/fragile/")).status === 200);
  for (let i = 0; i < 5; i++) assert.equal((await nobody().get("/fragile/")).status, 200);
});

async function open() {
  p.raw.react = (socket) => socket.destroy();
  for (let i = 0; i < 3; i++) assert.equal((await nobody().get("/fragile/")).status, 502);
  assert.equal((await nobody().get("/fragile/")).status, 503);
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// Answers "/fragile/long" with that head and never ends it, and everything else at once.
function answerLong(head: string) {
  p.raw.react = (socket, request) => socket.write(request.startsWith("GET /long ") ? head : ok);
}

test("a probe whose answer goes on for hours is a success from its head on", async () => {
  await open();
  answerLong("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: one\n\n");
  const stop = new AbortController();
  await until("the probe", async () => {
    const response = await fetch(`${p.server.url}/fragile/long`, { signal: stop.signal });
    return response.status === 200;
  });
  assert.equal((await nobody().get("/fragile/")).status, 200);
  stop.abort();
});

// Sends that head until it is not refused but `isThrough`, by what has come back.
async function probeWith(head: string, isThrough: (text: string) => boolean): Promise<Socket> {
  p.raw.heads.length = 0;
  return until("the probe", async () => {
    const socket = await openRaw(p.server);
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes;
    });
    socket.write(head);
    await until("an answer", () => statusOf(text) === 503 || isThrough(text));
    if (isThrough(text)) return socket;
    socket.destroy();
    return null;
  });
}

test("a probe that becomes a websocket is a success from then on", async () => {
  await open();
  answerLong("HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  const socket = await probeWith(
    "GET /fragile/long HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    (text) => statusOf(text) === 101,
  );
  assert.equal((await nobody().get("/fragile/")).status, 200);
  socket.destroy();
});

test("a probe that takes long to be sent keeps the others away for no more than a pause", async () => {
  await open();
  p.raw.react = (socket, head) => head.startsWith("GET ") && socket.write(ok);
  const socket = await probeWith(
    "POST /fragile/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
    () => p.raw.heads.length > 0,
  );
  await until("another probe", async () => (await nobody().get("/fragile/")).status === 200);
  socket.destroy();
});

test("with an address for it, health is asked there and not by somebody's request", async () => {
  p.raw.react = (socket) => socket.destroy();
  for (let i = 0; i < 2; i++) assert.equal((await nobody().get("/watched/x")).status, 502);
  assert.equal((await nobody().get("/watched/x")).status, 503);
  let isWell = false;
  p.raw.heads.length = 0;
  p.raw.react = (socket, head) =>
    socket.write(
      head.startsWith("GET /health ") && !isWell
        ? "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
        : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    );
  await until("its health to be asked", async () => {
    assert.equal((await nobody().post("/watched/x", {})).status, 503);
    return p.raw.heads.length > 0;
  });
  assert.ok(
    p.raw.heads.every((head) => head.startsWith("GET /health ")),
    p.raw.heads.join(),
  );
  isWell = true;
  await until("it to be asked again", async () => (await nobody().post("/watched/x", {})).status === 200);
});

test("more requests at once than the row allows are 503 at once, and the next ones pass", async () => {
  const stops = [new AbortController(), new AbortController()];
  for (const stop of stops) {
    const response = await fetch(`${p.server.url}/few/events`, { signal: stop.signal });
    assert.equal(response.status, 200);
  }
  const asked = p.upstream.asked();
  const refused = await nobody().get("/few/echo");
  assert.equal(refused.status, 503);
  assert.equal(refused.json.code, "upstream_busy");
  assert.equal(refused.headers.get("retry-after"), "1");
  assert.equal(p.upstream.asked(), asked, "the upstream is not asked");
  assert.equal((await nobody().get("/open/echo")).status, 200, "other rows have places of their own");
  assert.match((await nobody().get("/metrics")).body, /tims_proxy_refused_total\{prefix="\/few\/"\} 1/);
  for (const stop of stops) stop.abort();
  await until("their places to be free", async () => (await nobody().get("/few/echo")).status === 200);
  await until("nothing to be under way", async () =>
    /tims_proxy_under_way\{prefix="\/few\/"\} 0/.test((await nobody().get("/metrics")).body),
  );
});

test("what is counted can be read", async () => {
  const { body } = await nobody().get("/metrics");
  assert.match(body, /tims_proxy_requests_total\{prefix="\/fragile\/"\} \d{2,}/);
  assert.match(body, /tims_proxy_failures_total\{prefix="\/fragile\/"\} [1-9]/);
  assert.match(body, /tims_proxy_open\{prefix="\/fragile\/"\} 0/);
});
