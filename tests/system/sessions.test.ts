// Cookies, CSRF, tokens and throttles, as an attacker would try them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, signedIn } from "../client.ts";
import { timeSql } from "../database.ts";
import { password, type Server, sql, startServer } from "../server.ts";

let server: Server;
before(async () => {
  server = await startServer({ env: { LOGIN_FAILURES_MAX: "5" } });
});
after(async () => {
  await server.stop();
  server.remove();
});

test("without a session the API says 401 or shows nothing", async () => {
  const nobody = new Client(server);
  const answer = await nobody.get("/api/messages/");
  assert.ok(answer.status === 401 || answer.json.rows.length === 0, answer.body);
  assert.equal((await nobody.post("/api/chats/start/", { title: "x" })).status, 401);
});

test("a forged cookie is nobody", async () => {
  const client = await signedIn(server, "demo");
  const [name, value] = [...client.cookies].find(([key]) => /session/.test(key)) ?? ["", ""];
  const last = value.at(-1) === "A" ? "B" : "A";
  client.cookies.set(name, value.slice(0, -1) + last);
  await client.refresh();
  assert.equal(client.user, null);
});

test("the cookie of a logged-out session is nobody, at once, on every connection", async () => {
  const client = await signedIn(server, "demo");
  const kept = new Map(client.cookies);
  assert.ok((await client.post("/api/auth/logout/", {})).status < 300);
  for (let i = 0; i < 20; i++) {
    const thief = new Client(server);
    thief.cookies = new Map(kept);
    await thief.refresh();
    assert.equal(thief.user, null);
  }
});

test("an expired session is nobody", async () => {
  const client = await signedIn(server, "demo");
  await client.get("/api/chats/");
  sql(server, `update auth_session set expires_at = ${timeSql(1)}`);
  const deadline = Date.now() + 3000;
  do await client.refresh();
  while (client.user !== null && Date.now() < deadline);
  assert.equal(client.user, null);
});

test("sign out everywhere ends the other sessions", async () => {
  const [here, there] = [await signedIn(server, "testUser1"), await signedIn(server, "testUser1")];
  assert.ok((await here.post("/api/auth/logout-everywhere/", {})).status < 300);
  await there.refresh();
  assert.equal(there.user, null);
});

test("a write without its CSRF token is 403 and writes nothing", async () => {
  const client = await signedIn(server, "testUser2");
  for (const token of ["", "x".repeat(43)]) {
    const answer = await client.post("/api/chats/start/", { title: "forged" }, { "x-csrf-token": token });
    assert.equal(answer.status, 403);
  }
  assert.equal(sql(server, "select count(*) from chat where title = 'forged'"), "0");
});

test("a bearer token works without CSRF and dies when it is revoked", async () => {
  const client = new Client(server);
  const made = await client.post("/api/auth/token/", { username: "testUser3", password });
  assert.equal(made.status, 201, made.body);
  const device = new Client(server);
  const bearer = { authorization: `Bearer ${made.json.token}` };
  assert.equal((await device.post("/api/chats/start/", { title: "from a device" }, bearer)).status, 201);
  assert.ok((await device.request("DELETE", "/api/auth/token/", undefined, bearer)).status < 300);
  assert.equal((await device.post("/api/chats/start/", { title: "again" }, bearer)).status, 401);
});

test("a flood of logins is throttled with Retry-After, and others still get in", async () => {
  const client = new Client(server);
  await client.refresh();
  const answers = [];
  for (let i = 0; i < 8; i++)
    answers.push(
      await client.post("/api/auth/login/", { username: "testUser4", password: `wrong-${i}-pass` }),
    );
  const throttled = answers.filter((answer) => answer.status === 429);
  assert.ok(throttled.length >= 2, answers.map((answer) => answer.status).join());
  assert.ok(Number(throttled[0].headers.get("retry-after")) > 0);
  assert.equal((await client.post("/api/auth/login/", { username: "testUser4", password })).status, 429);
});

test("passwords, tokens and cookies are in no log line", async () => {
  await signedIn(server, "testUser5").catch(() => null);
  assert.ok(!server.output().includes(password));
  assert.ok(!/tims_session=|Bearer /.test(server.output()));
});
