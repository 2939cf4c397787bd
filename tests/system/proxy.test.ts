// What goes through the proxy, and as whom: streams, websockets, headers, access, health.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { request as ask } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import WebSocket from "ws";
import { Client, openRaw, sendRaw, signedIn, statusOf } from "../client.ts";
import { type Proxied, type Seen, secret, startProxied, startUpstream } from "../proxy.ts";
import { makeFolder, removeFolder, root, run, startInVain, until } from "../server.ts";

let p: Proxied;
let ada: Client; // staff
let bob: Client;
before(async () => {
  p = await startProxied();
  ada = await signedIn(p.server, "ada");
  bob = await signedIn(p.server, "bob");
});
after(() => p.close());

const nobody = () => new Client(p.server);
const page = { accept: "text/html", "sec-fetch-mode": "navigate" };
async function seen(client: Client, path: string, headers: Record<string, string> = {}): Promise<Seen> {
  const answer = await client.get(path, headers);
  assert.equal(answer.status, 200, answer.body);
  return answer.json;
}

test("what follows the prefix is asked of the upstream, with the query as it came", async () => {
  assert.equal((await seen(nobody(), "/open/a/b%20c/?x=%2F&y=1")).url, "/a/b%20c/?x=%2F&y=1");
  assert.equal((await seen(nobody(), "/open/")).url, "/");
  assert.equal((await seen(nobody(), "/deep/page?q")).url, "/base/dir/page?q");
  assert.equal((await nobody().get("/open")).status, 301);
});

test("the upstream is told who asks by us and by nobody else", async () => {
  const { headers, lines } = await seen(nobody(), "/open/echo", {
    "x-forwarded-for": "6.6.6.6",
    "X-Forwarded-Proto": "https",
    "x-forwarded-host": "evil",
    "x-forwarded-prefix": "/evil",
    "x-forwarded-user": "root",
    forwarded: "for=6.6.6.6",
    "x-real-ip": "6.6.6.6",
    "x-forwarded": "for=6.6.6.6",
    "client-ip": "6.6.6.6",
    "x-client-ip": "6.6.6.6",
    "true-client-ip": "6.6.6.6",
    "x-cluster-client-ip": "6.6.6.6",
    "remote-user": "root",
    "x-remote-user": "root",
    "x-remote-group": "wheel",
    "X-WEBAUTH-USER": "root",
    "x-auth-request-email": "root@x",
    "x-http-method": "DELETE",
    "x-method-override": "DELETE",
    "x-tims-identity": "forged",
    x_tims_identity: "forged",
    x_forwarded_for: "6.6.6.6",
    "x-request-id": "forged-by-me",
    "x-csrf-token": "mine",
    proxy: "http://evil",
    "x-own": "stays",
  });
  assert.equal(headers["x-forwarded-for"], "127.0.0.1");
  assert.equal(headers["x-forwarded-proto"], "http");
  assert.equal(headers["x-forwarded-host"], `127.0.0.1:${p.server.port}`);
  assert.equal(headers["x-forwarded-prefix"], "/open");
  assert.equal(headers.host, `127.0.0.1:${p.upstream.port}`);
  assert.equal(headers.via, "1.1 tims");
  assert.equal(headers["x-own"], "stays");
  assert.notEqual(headers["x-request-id"], "forged-by-me");
  for (const name of [
    "x-forwarded-user",
    "forwarded",
    "x-real-ip",
    "x-forwarded",
    "client-ip",
    "x-client-ip",
    "true-client-ip",
    "x-cluster-client-ip",
    "remote-user",
    "x-remote-user",
    "x-remote-group",
    "x-webauth-user",
    "x-auth-request-email",
    "x-http-method",
    "x-method-override",
    "x-tims-identity",
    "x-csrf-token",
    "proxy",
  ])
    assert.equal(headers[name], undefined, name);
  assert.ok(!lines.some((name) => name.includes("_")), "no name that CGI takes for another");
});

test("headers of one hop go no further, nor those that Connection names", async () => {
  const { text } = await sendRaw(
    p.server,
    "GET /open/echo HTTP/1.1\r\nHost: x\r\nConnection: close, X-Secret, X-Forwarded-For, Host\r\nX-Secret: 1\r\n" +
      "TE: trailers\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nX-Kept: 1\r\n\r\n",
  );
  const { headers } = JSON.parse(text.slice(text.indexOf("\r\n\r\n"))) as Seen;
  for (const name of ["x-secret", "te", "keep-alive", "proxy-authorization", "upgrade", "http2-settings"])
    assert.equal(headers[name], undefined, name);
  assert.equal(headers["x-kept"], "1");
  assert.equal(headers["x-forwarded-for"], "127.0.0.1", "Connection takes nothing of ours away");
  assert.equal(headers.host, `127.0.0.1:${p.upstream.port}`);
});

test("our own cookies and Authorization stay here unless they are asked for", async () => {
  const cookie = `theirs=1; ${bob.cookieHeader()}; __Host-tims_session=x; CSRF=y; =tims_session=z; last="2"`;
  const sent = { cookie, authorization: "Basic eDp5" };
  const { headers } = await seen(nobody(), "/open/echo", sent);
  assert.equal(headers.cookie, 'theirs=1; last="2"');
  assert.equal(headers.authorization, undefined);
  const asked = (await seen(nobody(), "/asked/echo", sent)).headers;
  assert.equal(asked.cookie, cookie);
  assert.equal(asked.authorization, "Basic eDp5");
  assert.equal(asked.host, `127.0.0.1:${p.server.port}`);
});

test("cookies of the upstream that could be taken for ours are dropped, the rest arrives", async () => {
  const answer = await nobody().get("/open/cookies");
  assert.deepEqual(answer.headers.getSetCookie(), ["theirs=1; Path=/", "another=2"]);
  assert.equal(answer.headers.get("x-kept"), "yes");
  for (const name of ["x-hop", "strict-transport-security", "alt-svc", "clear-site-data"])
    assert.equal(answer.headers.get(name), null, name);
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff", "the site's own headers are there");
});

test("redirects of the upstream lead to where the client can follow", async () => {
  const rows = [
    ["/open/redirect", "/login", "/open/login"],
    ["/open/redirect", `${p.upstream.url}a?b`, "/open/a?b"],
    ["/open/redirect", "next", "next"],
    ["/open/redirect", "https://elsewhere.example/", "https://elsewhere.example/"],
    ["/open/redirect", "/open/knows", "/open/knows"],
    ["/open/redirect", `https://127.0.0.1:${p.upstream.port}/a`, "/open/a"],
    ["/open/redirect", `http://127.0.0.1:${p.upstream.port}`, "/open/"],
    ["/open/redirect", `http://127.0.0.1:${p.upstream.port}?a=b`, "/open/?a=b"],
    ["/open/redirect", `${p.server.url}/login`, `${p.server.url}/login`],
    ["/asked/redirect", `${p.server.url}/login`, "/asked/login"],
    ["/asked/redirect", `${p.server.url}/asked/login`, `${p.server.url}/asked/login`],
    ["/asked/redirect", "https://elsewhere.example/", "https://elsewhere.example/"],
    ["/deep/redirect", "/base/dir/x", "/deep/x"],
    ["/deep/redirect", "/other", "/other"],
  ];
  for (const [path, to, expected] of rows) {
    const answer = await nobody().get(`${path}?to=${encodeURIComponent(to as string)}`);
    assert.equal(answer.headers.get("location"), expected, `${path} ${to}`);
  }
});

// What the upstream is told of a Host, and which are refused before it is asked.
test("an odd Host passes as it came, or not at all", async () => {
  const long = `${"a".repeat(60)}.example`;
  const passing = [
    "example.org:8443",
    "[::1]",
    "[::1]:8000",
    "EXAMPLE.Org",
    "nobody-knows.example",
    "example.org.",
    long,
  ];
  const refused = [
    "",
    "[::1",
    "::1",
    "[]",
    "[fe80::1%25eth0]",
    "x:",
    "x:port",
    "x:99999",
    "x/y",
    "a@x",
    "a,b",
    "*",
    "%41",
  ];
  const ask = async (prefix: string, host: string) => {
    const { text } = await sendRaw(
      p.server,
      `GET ${prefix}echo HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
    return { status: statusOf(text), body: JSON.parse(text.slice(text.indexOf("\r\n\r\n"))) };
  };
  for (const host of passing) {
    const { headers } = (await ask("/open/", host)).body as Seen;
    assert.equal(headers["x-forwarded-host"], host);
    assert.equal(headers.host, `127.0.0.1:${p.upstream.port}`, host);
    assert.equal(((await ask("/asked/", host)).body as Seen).headers.host, host);
  }
  const before = p.upstream.asked();
  for (const host of refused)
    for (const prefix of ["/open/", "/asked/"]) assert.equal((await ask(prefix, host)).status, 400, host);
  assert.equal(p.upstream.asked(), before, "the upstream was not asked");
});

test("HTTP/1.0 without a Host: the upstream is told its own", async () => {
  const { text } = await sendRaw(p.server, "GET /asked/echo HTTP/1.0\r\n\r\n");
  const { headers } = JSON.parse(text.slice(text.indexOf("\r\n\r\n"))) as Seen;
  assert.equal(headers.host, `127.0.0.1:${p.upstream.port}`);
  assert.equal(headers["x-forwarded-host"], undefined);
});

test("answers without a body keep their status and headers", async () => {
  for (const code of [204, 304, 404, 500]) {
    const answer = await nobody().get(`/open/status?code=${code}`);
    assert.equal(answer.status, code);
    assert.equal(answer.headers.get("etag"), '"e"');
  }
  const head = await nobody().request("HEAD", "/open/stream?bytes=100");
  assert.equal(head.status, 200);
  assert.equal(head.body, "");
});

// fetch says of itself that it is no navigation, whatever it is told to say.
function look(
  path: string,
  client = nobody(),
  method = "GET",
): Promise<{ status: number; location?: string }> {
  const headers = { ...page, ...(client.cookies.size > 0 && { cookie: client.cookieHeader() }) };
  return new Promise((resolve, reject) => {
    const request = ask(p.server.url + path, { method, headers }, (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, location: response.headers.location });
    });
    request.on("error", reject);
    request.end();
  });
}

test("pages lead to the sign-in, programs get 401 and 403", async () => {
  const led = await look("/members/page?x=1");
  assert.deepEqual(led, { status: 303, location: "/login?next=%2Fmembers%2Fpage%3Fx%3D1" });
  const refused = await nobody().get("/members/echo");
  assert.equal(refused.status, 401);
  assert.match(refused.headers.get("content-type") ?? "", /problem\+json/);
  assert.equal(
    (await look("/members/echo", nobody(), "POST")).status,
    401,
    "a form would be lost on the way",
  );
  assert.equal((await look("/members/echo", bob)).status, 200);
  assert.equal((await bob.get("/staff/echo")).status, 403);
  assert.equal((await look("/staff/echo", bob)).status, 403);
  assert.equal((await look("/staff/echo")).status, 303);
  assert.equal((await ada.get("/staff/echo")).status, 200);
});

test("a row inside another has its own access, however it is spelt", async () => {
  assert.equal((await nobody().get("/open/inner/echo")).status, 401);
  assert.equal((await ada.get("/open/inner/echo")).status, 200);
  for (const path of [
    "/open/%69nner/echo",
    "/open//inner/echo",
    "/open/./inner/echo",
    "/open/x/../inner/echo",
  ]) {
    const { text } = await sendRaw(p.server, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    assert.ok([400, 401].includes(statusOf(text)), `${path}: ${statusOf(text)}`);
  }
});

test("a change with a session's cookie must come from a page of this site", async () => {
  const own = { origin: p.server.url };
  assert.equal((await bob.post("/members/echo", {}, own)).status, 200);
  assert.equal((await bob.post("/members/echo", {}, { "sec-fetch-site": "same-origin" })).status, 200);
  assert.equal((await bob.post("/members/echo", {}, { origin: "http://evil.example" })).status, 403);
  assert.equal((await bob.post("/members/echo", {}, { origin: "null" })).status, 403);
  assert.equal((await bob.post("/members/echo", {}, { "sec-fetch-site": "same-site" })).status, 403);
  assert.equal((await bob.post("/open/echo", {}, { origin: "http://evil.example" })).status, 403);
  const basic = { origin: "http://evil.example", authorization: "Basic eDp5" };
  assert.equal((await bob.post("/asked/echo", {}, basic)).status, 403, "browsers send Basic by themselves");
  assert.equal((await nobody().post("/open/echo", {}, { origin: "http://evil.example" })).status, 200);
});

test("the identity can be verified as the reference shows, and not forged", async () => {
  const reference = readFileSync(join(root, "docs/reference/proxy.md"), "utf8");
  const example = /```js\n([\s\S]*?)```/.exec(reference)?.[1] ?? "";
  const file = join(p.server.folder, "identity.mjs");
  writeFileSync(file, example);
  const { verifyIdentity } = await import(pathToFileURL(file).href);
  const token = (await seen(bob, "/members/echo")).headers["x-tims-identity"] as string;
  const who = verifyIdentity(token, secret, "/members/");
  assert.equal(who.sub, bob.user.id);
  assert.equal(who.staff, false);
  assert.ok(who.exp - Date.now() / 1000 > 30 && who.exp - Date.now() / 1000 <= 60);
  assert.equal(verifyIdentity(token, secret, "/members/", who.exp * 1000 + 1000), null, "expired");
  assert.equal(verifyIdentity(token, `${secret}?`, "/members/"), null, "another secret");
  assert.equal(verifyIdentity(token, secret, "/other/"), null, "for another upstream");
  const [head, claims, signature] = token.split(".") as [string, string, string];
  const forged = Buffer.from(JSON.stringify({ ...who, staff: true })).toString("base64url");
  assert.equal(verifyIdentity(`${head}.${forged}.${signature}`, secret, "/members/"), null, "changed");
  const none = Buffer.from('{"alg":"none"}').toString("base64url");
  assert.equal(verifyIdentity(`${none}.${claims}.`, secret, "/members/"), null, "unsigned");
  assert.equal(verifyIdentity("", secret, "/members/"), null);
  assert.equal(
    (await seen(nobody(), "/open/echo")).headers["x-tims-identity"],
    undefined,
    "nobody is nobody",
  );
  assert.equal(
    (await seen(bob, "/asked/echo")).headers["x-tims-identity"],
    undefined,
    "only where asked for",
  );
});

test("connections are kept: many requests, few connections", async () => {
  const before = p.upstream.connections();
  for (let i = 0; i < 50; i++) await seen(nobody(), "/open/echo");
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

test("an upstream that fails again and again is left alone until it is well", async () => {
  p.raw.react = (socket) => socket.destroy();
  for (let i = 0; i < 3; i++) assert.equal((await nobody().get("/fragile/")).status, 502);
  const heard = p.raw.heads.length;
  const refused = await nobody().get("/fragile/");
  assert.equal(refused.status, 503);
  assert.equal(refused.headers.get("retry-after"), "1");
  assert.equal(p.raw.heads.length, heard, "it was not asked");
  await until("a probe that fails", async () => (await nobody().get("/fragile/")).status === 502);
  assert.equal((await nobody().get("/fragile/")).status, 503, "closed again by the probe");
  p.raw.react = (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  await until("a probe that succeeds", async () => (await nobody().get("/fragile/")).status === 200);
  for (let i = 0; i < 5; i++) assert.equal((await nobody().get("/fragile/")).status, 200);
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
  assert.match(body, /tims_proxy_requests_total\{prefix="\/open\/"\} \d{2,}/);
  assert.match(body, /tims_proxy_failures_total\{prefix="\/fragile\/"\} [1-9]/);
  assert.match(body, /tims_proxy_open\{prefix="\/fragile\/"\} 0/);
});

test("a table that cannot work is said at the start", async () => {
  const program = process.env.TIMS_PROXY_PROGRAM ?? join(root, "build/release/proxy_app");
  const rows: [Record<string, string>, RegExp][] = [
    [{ PROXY_OPEN: "ftp://docs/" }, /\/open\/.*no upstream/],
    [{ PROXY_OPEN: "http://docs/no-slash" }, /\/open\/.*no upstream/],
    [{ PROXY_OPEN: "http://docs/a/../b/" }, /\/open\/.*no upstream/],
    [{ PROXY_OPEN: "https://docs/", PROXY_OPEN_CA: "/nowhere" }, /\/open\/.*PROXY_OPEN_CA.*\/nowhere/],
    [{ PROXY_OPEN_SECRET: "short" }, /PROXY_OPEN_SECRET.*32/],
    [{ PROXY_MEMBERS_SECRET: "" }, /PROXY_MEMBERS_SECRET/],
  ];
  const secrets = { PROXY_OPEN_SECRET: secret, PROXY_MEMBERS_SECRET: secret };
  const folder = makeFolder();
  run(folder, ["migrate"], {}, "", program);
  for (const [env, message] of rows) {
    const { code, output } = await startInVain(folder, { ...secrets, ...env }, program);
    assert.equal(code, 1, output);
    assert.match(output, message);
  }
  removeFolder(folder);
});
