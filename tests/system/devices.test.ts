// Native shells as the server sees them: pages of another origin, a bearer token, no cookie at all.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Answer, Client, signedIn } from "../client.ts";
import { LiveSocket } from "../live.ts";
import { password, type Server, sql, startServer, until } from "../server.ts";

// Android's and iOS's.
const SHELLS = ["https://localhost", "capacitor://localhost"];
const STRANGERS = [
  "https://evil.example",
  "http://localhost",
  "https://localhost:444",
  "capacitor://other",
  "null",
];

let server: Server;
before(async () => {
  server = await startServer({ env: { CORS_ORIGINS: SHELLS.join(",") } });
});
after(async () => {
  await server.stop();
  server.remove();
});

const tokenOf = async (username: string): Promise<string> => {
  const answer = await new Client(server).post("/api/auth/token/", { username, password, label: "a phone" });
  assert.equal(answer.status, 201, answer.body);
  assert.equal(answer.json.user.username, username);
  assert.ok(answer.json.expires_in_s > 86_400);
  return answer.json.token;
};

const as = (token: string) => ({ authorization: `Bearer ${token}` });

// As a WebView asks before it sends: what may be sent?
const preflight = (origin: string, method: string, path: string, headers: string): Promise<Answer> =>
  new Client(server).request("OPTIONS", path, undefined, {
    origin,
    "access-control-request-method": method,
    "access-control-request-headers": headers,
  });

for (const origin of SHELLS) {
  test(`${origin}: a preflight allows the method, the token and the key, for ten minutes`, async () => {
    for (const [method, path] of [
      ["POST", "/api/messages/"],
      ["PATCH", "/api/auth/me/"],
      ["DELETE", "/api/auth/token/"],
      ["POST", "/api/auth/token/"],
      ["GET", "/page-data?path=/chats"],
    ]) {
      const answer = await preflight(origin, method, path, "authorization, content-type, idempotency-key");
      assert.equal(answer.status, 204, `${method} ${path}`);
      assert.equal(answer.headers.get("access-control-allow-origin"), origin);
      assert.ok(answer.headers.get("access-control-allow-methods")?.split(", ").includes(method), path);
      assert.match(
        answer.headers.get("access-control-allow-headers") ?? "",
        /authorization.*idempotency-key/,
      );
      assert.equal(answer.headers.get("access-control-max-age"), "600");
    }
  });

  test(`${origin}: answers and refusals are readable, with what the client needs of their headers`, async () => {
    const token = await tokenOf("demo");
    const device = new Client(server);
    const chat = sql(server, "select id from chat where title = 'Welcome'");
    const body = { chat, text: `from ${origin}` };
    const written = await device.post("/api/messages/", body, { origin, ...as(token) });
    assert.equal(written.status, 201, written.body);
    const refused = await device.post("/api/messages/", body, { origin, ...as("x".repeat(43)) });
    assert.equal(refused.status, 401);
    assert.equal(refused.json.code, "session");
    const missing = await device.get("/api/nothing/", { origin, ...as(token) });
    assert.equal(missing.status, 404);
    for (const answer of [written, refused, missing]) {
      assert.equal(answer.headers.get("access-control-allow-origin"), origin);
      assert.match(answer.headers.get("vary") ?? "", /origin/i);
      const readable = answer.headers.get("access-control-expose-headers")?.split(", ") ?? [];
      for (const name of ["Tims-Position", "Retry-After", "X-Request-Id"])
        assert.ok(readable.includes(name), name);
    }
    assert.ok(written.headers.get("tims-position"));
    assert.equal(device.cookies.size, 0); // nothing to leave behind in a WebView
  });

  test(`${origin}: the websocket opens and knows the token's owner`, async () => {
    const token = await tokenOf("demo");
    const socket = new LiveSocket(new Client(server), { origin, token });
    assert.equal(
      (await socket.welcomed()).json.user,
      sql(server, `select id from "user" where username = 'demo'`),
    );
    socket.close();
  });
}

test("pages of other origins get no permission, and no websocket", async () => {
  for (const origin of STRANGERS) {
    const asked = await preflight(origin, "POST", "/api/messages/", "authorization");
    assert.equal(asked.headers.get("access-control-allow-origin"), null, origin);
    const answer = await new Client(server).get("/api/auth/me/", { origin });
    assert.equal(answer.headers.get("access-control-allow-origin"), null, origin);
    const socket = new LiveSocket(new Client(server), { origin });
    await until(`${origin} to be refused`, () => socket.closed !== null);
    assert.deepEqual(socket.frames, []);
  }
});

test("a socket outlives its token: it is told the fresh one, and the old one ends", async () => {
  const old = await tokenOf("testUser6");
  const device = new Client(server);
  const socket = new LiveSocket(device, { token: old });
  await socket.welcomed();
  const answer = await device.post("/api/auth/token/refresh/", {}, as(old));
  assert.equal(answer.status, 200, answer.body);
  const fresh = answer.json.token;
  assert.notEqual(fresh, old);
  assert.equal((await device.get("/api/chats/", as(old))).status, 200); // not used yet
  socket.send({ t: "auth", token: fresh });
  await until(
    "the second welcome",
    () => socket.frames.filter(({ json }) => json.t === "welcome").length === 2,
  );
  await until("the old token to end", async () => (await device.get("/api/chats/", as(old))).status === 401);
  assert.equal((await device.get("/api/chats/", as(fresh))).status, 200);
  await socket.pong(); // it has not been closed
  assert.equal((await device.post("/api/auth/logout/", {}, as(fresh))).status, 200);
  await until("the socket to end", () => socket.closed === 4401);
  assert.equal((await device.get("/api/chats/", as(fresh))).status, 401);
});

test("a page can tell the old session from the new: signing out here leaves the device alone", async () => {
  const token = await tokenOf("testUser7");
  const browser = await signedIn(server, "testUser7");
  assert.ok((await browser.post("/api/auth/logout/", {})).status < 300);
  assert.equal((await new Client(server).get("/api/chats/", as(token))).status, 200);
});
