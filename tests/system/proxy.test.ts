// What is asked of upstreams, and as whom: addresses, headers, cookies, access, the identity that is signed.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { request as ask } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { Client, sendRaw, signedIn, statusOf } from "../client.ts";
import { type Proxied, type Seen, secret, startProxied } from "../proxy.ts";
import { makeFolder, removeFolder, root, run, startInVain } from "../server.ts";

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
