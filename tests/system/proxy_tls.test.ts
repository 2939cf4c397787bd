// Upstreams behind https: which certificates are good enough, and what passes then.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import {
  type AddressInfo,
  createServer as createNetServer,
  type Server as NetServer,
  type Socket,
} from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import WebSocket from "ws";
import { Client, sendRaw, statusOf } from "../client.ts";
import { type Proxied, type Seen, startProxied, startUpstream, type Upstream } from "../proxy.ts";
import { makeFolder, removeFolder } from "../server.ts";

const folder = makeFolder();
const file = (name: string) => join(folder, name);
const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "pipe" });
const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

// Signed by our authority, or by itself.
function makeCertificate(name: string, hosts: string, days: string, isSelfSigned = false) {
  const key = file(`${name}.key`);
  const cert = file(`${name}.pem`);
  const subject = ["-subj", `/CN=${name}`];
  if (isSelfSigned) {
    openssl(
      "req",
      "-x509",
      ...ec,
      "-keyout",
      key,
      "-out",
      cert,
      ...subject,
      "-addext",
      `subjectAltName=${hosts}`,
    );
  } else {
    openssl("req", ...ec, "-keyout", key, "-out", file("request"), ...subject);
    writeFileSync(file("names"), `subjectAltName=${hosts}`);
    const authority = ["-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-CAcreateserial"];
    openssl(
      "x509",
      "-req",
      "-in",
      file("request"),
      ...authority,
      "-days",
      days,
      "-extfile",
      file("names"),
      "-out",
      cert,
    );
  }
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

let p: Proxied;
let good: Upstream;
const bad: Record<string, Upstream> = {};
const listeners: NetServer[] = [];
const sockets = new Set<Socket>();
async function listen(server: NetServer): Promise<number> {
  listeners.push(server);
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

before(async () => {
  openssl("req", "-x509", ...ec, "-keyout", file("ca.key"), "-out", file("ca.pem"), "-subj", "/CN=Test CA");
  const right = makeCertificate("right", "DNS:localhost,IP:127.0.0.1", "2");
  good = await startUpstream(0, right);
  bad.host = await startUpstream(0, makeCertificate("host", "DNS:other.example", "2"));
  bad.expired = await startUpstream(0, makeCertificate("expired", "DNS:localhost", "-1"));
  bad.self = await startUpstream(0, makeCertificate("self", "DNS:localhost", "2", true));
  const silent = await listen(createNetServer());
  const garbage = await listen(createNetServer((socket) => void socket.end("HTTP/1.1 200 OK\r\n\r\n")));
  // Its answer ends with the connection, which ends without a word of TLS.
  const cut = createTlsServer(right, (socket) => {
    socket.on("error", () => {});
    socket.once("data", () =>
      socket.write("HTTP/1.1 200 OK\r\n\r\nhalf", () => setImmediate(() => socket.destroy())),
    );
  });
  const cutPort = await listen(cut);
  const ca = file("ca.pem");
  p = await startProxied({
    PROXY_OPEN: `https://localhost:${good.port}/`,
    PROXY_OPEN_CA: ca,
    PROXY_DEEP: `https://127.0.0.1:${good.port}/base/`,
    PROXY_DEEP_CA: ca,
    PROXY_AGAIN: `https://localhost:${good.port}/`,
    PROXY_ASKED: `https://localhost:${bad.host.port}/`,
    PROXY_ASKED_CA: ca,
    PROXY_FEW: `https://localhost:${bad.expired.port}/`,
    PROXY_FEW_CA: ca,
    PROXY_SMALL: `https://localhost:${bad.self.port}/`,
    PROXY_SMALL_CA: ca,
    PROXY_BAD: `https://127.0.0.1:${silent}/`,
    PROXY_BAD_CA: ca,
    PROXY_WATCHED: `https://127.0.0.1:${garbage}/`,
    PROXY_WATCHED_CA: ca,
    PROXY_READ_ONLY: `https://localhost:${cutPort}/`,
    PROXY_READ_ONLY_CA: ca,
  });
});
after(async () => {
  await p?.close();
  for (const upstream of [good, ...Object.values(bad)]) await upstream?.close();
  for (const socket of sockets) socket.destroy();
  for (const listener of listeners) listener.close();
  removeFolder(folder);
});

const get = (path: string) => new Client(p.server).get(path);

test("a certificate of the authority, for the host, is good: by name and by address", async () => {
  const { headers } = (await get("/open/echo")).json as Seen;
  assert.equal(headers.host, `localhost:${good.port}`);
  assert.equal(headers["x-forwarded-proto"], "http", "the client's, not ours");
  assert.equal((await get("/deep/echo")).json.url, "/base/echo");
});

test("redirects of an upstream behind TLS lead to where the client can follow", async () => {
  const rows: [string, string, string][] = [
    ["/open/", `https://localhost:${good.port}/a?b`, "/open/a?b"],
    ["/open/", `HTTPS://LocalHost:${good.port}`, "/open/"],
    ["/open/", `http://localhost:${good.port}/a`, "/open/a"],
    ["/open/", `https://localhost:${good.port}1/a`, `https://localhost:${good.port}1/a`],
    ["/open/", "https://localhost/a", "https://localhost/a"],
    ["/deep/", `https://127.0.0.1:${good.port}/base/a`, "/deep/a"],
    ["/deep/", `https://127.0.0.1:${good.port}/other`, `https://127.0.0.1:${good.port}/other`],
  ];
  for (const [prefix, to, expected] of rows) {
    const answer = await get(`${prefix}redirect?to=${encodeURIComponent(to)}`);
    assert.equal(answer.headers.get("location"), expected, to);
  }
});

test("connections are kept under TLS too", async () => {
  await get("/open/echo");
  const connections = good.connections();
  for (let i = 0; i < 20; i++) assert.equal((await get("/open/echo")).status, 200);
  assert.ok(good.connections() - connections <= 1, `${good.connections() - connections} more`);
});

test("bodies pass whole, both ways", async () => {
  const text = "0123456789abcdef".repeat(256 * 1024); // 4 MB
  const answer = await new Client(p.server).post("/open/mirror", text);
  assert.ok(answer.body === text, `${answer.body.length} of ${text.length} bytes`);
  const bytes = (await (await fetch(`${p.server.url}/open/stream?bytes=20000000`)).arrayBuffer()).byteLength;
  assert.equal(bytes, 20_000_000);
});

test("websockets pass under TLS", async () => {
  const ws = new WebSocket(`ws://127.0.0.1:${p.server.port}/open/socket`);
  await new Promise((resolve, reject) => ws.once("open", resolve).once("error", reject));
  for (const text of ["one", "x".repeat(300_000)]) {
    const heard = new Promise<string>((resolve) => ws.once("message", (data) => resolve(`${data}`)));
    ws.send(text);
    assert.ok((await heard) === text);
  }
  ws.close();
  await new Promise((resolve) => ws.once("close", resolve));
});

const refused: [string, string, () => Upstream, RegExp][] = [
  ["for another host", "/asked/", () => bad.host as Upstream, /hostname mismatch/i],
  ["that has expired", "/few/", () => bad.expired as Upstream, /expired/],
  ["signed by itself", "/small/", () => bad.self as Upstream, /self-signed/],
  ["of an authority that the system does not know", "/again/", () => good, /issuer certificate/],
];
for (const [name, path, upstream, why] of refused)
  test(`a certificate ${name} is 502, and nothing is asked`, async () => {
    const asked = upstream().asked();
    const answer = await get(`${path}echo`);
    assert.equal(answer.status, 502, answer.body);
    assert.equal(answer.json.code, "upstream_untrusted");
    assert.match(answer.json.detail, why);
    assert.equal(upstream().asked(), asked);
  });

test("an upstream that speaks no TLS is 502, one that says nothing 504", async () => {
  const answer = await get("/watched/");
  assert.equal(answer.status, 502, answer.body);
  assert.equal((await get("/bad/")).status, 504);
});

test("an answer whose end was not said under TLS is not whole", async () => {
  const { text, closed } = await sendRaw(
    p.server,
    "GET /read-only/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    3000,
  );
  assert.ok(closed);
  assert.ok(statusOf(text) === 502 || !text.endsWith("0\r\n\r\n"), text);
});
