// What one address, one account or one user may take: past it there is an answer, and others go on.
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import { type Answer, Client, openRaw, sendRaw, signedIn, statusOf } from "../client.ts";
import { timeSql } from "../database.ts";
import {
  type Environment,
  makeFolder,
  password,
  run,
  type Server,
  sql,
  startServer,
  until,
} from "../server.ts";

async function withServer(env: Environment, use: (server: Server) => Promise<void>): Promise<void> {
  const server = await startServer({ env });
  try {
    await use(server);
  } finally {
    await server.stop();
    server.remove();
  }
}

const greeting = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

function greet(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once("data", (bytes) => resolve(bytes.toString("latin1")));
    socket.once("close", () => resolve(""));
    socket.write(greeting);
  });
}

test("the connections of one address are bounded, and a place is free again when one has gone", () =>
  withServer({ CONNECTIONS_PER_ADDRESS_MAX: "4", CONNECTIONS_UNCOUNTED: "10.0.0.0/8" }, async (server) => {
    const sockets = await Promise.all([1, 2, 3, 4].map(() => openRaw(server)));
    for (const socket of sockets) {
      socket.on("error", () => {});
      assert.equal(statusOf(await greet(socket)), 200);
    }
    const { text, closed } = await sendRaw(server, greeting);
    assert.equal(statusOf(text), 503, text);
    assert.match(text, /too_many_connections/);
    assert.ok(closed);
    assert.equal(statusOf(await greet(sockets[0])), 200, "who is in stays in");
    sockets[3].destroy();
    await until("a free place", async () => statusOf((await sendRaw(server, greeting)).text) === 200);
    for (const socket of sockets) socket.destroy();
  }));

test("this machine's own connections are not counted", () =>
  withServer({ CONNECTIONS_PER_ADDRESS_MAX: "1" }, async (server) => {
    const sockets = await Promise.all([1, 2, 3].map(() => openRaw(server)));
    for (const socket of sockets) assert.equal(statusOf(await greet(socket)), 200);
    for (const socket of sockets) socket.destroy();
  }));

const from = (address: string) => ({ "x-forwarded-for": address });

async function login(client: Client, address: string, secret = password): Promise<Answer> {
  return client.post("/api/auth/login/", { username: "testUser1", password: secret }, from(address));
}

test("nobody is locked out of an account from an address or in a session that it knows", () =>
  withServer(
    { LOGIN_FAILURES_MAX: "3", ACCOUNT_FAILURES_MAX: "6", TRUSTED_PROXIES: "127.0.0.1" },
    async (server) => {
      const [home, signedInThere, stranger] = [new Client(server), new Client(server), new Client(server)];
      for (const client of [home, signedInThere, stranger]) await client.refresh();
      assert.equal((await login(home, "10.0.0.1")).status, 200);
      assert.equal((await login(signedInThere, "10.0.0.1")).status, 200);
      await signedInThere.refresh();
      const statuses = [];
      for (let i = 0; i < 8; i++)
        statuses.push((await login(stranger, `10.0.1.${i >> 1}`, `wrong-${i}-pass`)).status);
      assert.deepEqual(statuses, [401, 401, 401, 401, 401, 401, 429, 429]);
      const late = await login(stranger, "10.0.2.1");
      assert.equal(late.status, 429, "a strange address has to wait, with the right password too");
      assert.equal(late.json.code, "login_throttled");
      assert.ok(Number(late.headers.get("retry-after")) > 0);
      const again = new Client(server);
      await again.refresh();
      assert.equal((await login(again, "10.0.0.1")).status, 200);
      assert.equal((await login(signedInThere, "10.0.3.1")).status, 200);
    },
  ));

test("an address makes so many accounts an hour", () =>
  withServer({ REGISTRATIONS_MAX: "2", TRUSTED_PROXIES: "127.0.0.1" }, async (server) => {
    const register = async (username: string, address: string) => {
      const client = new Client(server);
      await client.refresh();
      return client.post("/api/auth/register/", { username, password: "a quiet river" }, from(address));
    };
    assert.equal((await register("first-one", "10.0.0.1")).status, 201);
    assert.equal((await register("x", "10.0.0.1")).status, 422, "a mistake is not counted");
    assert.equal((await register("FIRST-one", "10.0.0.1")).status, 409, "what tells of somebody else is");
    const third = await register("third-one", "10.0.0.1");
    assert.equal(third.status, 429);
    assert.equal(third.json.code, "registration_throttled");
    assert.ok(Number(third.headers.get("retry-after")) > 3000);
    assert.equal((await register("third-one", "10.0.0.2")).status, 201);
    assert.equal(sql(server, `select count(*) from "user" where username like '%-one'`), "2");
  }));

test("a user has so many sessions, and the one that was not used for longest gives way", () =>
  withServer({ SESSIONS_MAX: "2" }, async (server) => {
    const first = await signedIn(server, "demo");
    const second = await signedIn(server, "demo");
    sql(
      server,
      `update auth_session set last_used_at = ${timeSql(1)}
       where id = (select id from auth_session order by id limit 1)`,
    );
    const third = await signedIn(server, "demo");
    await until("the first to be signed out", async () => {
      await first.refresh();
      return first.user === null;
    });
    for (const client of [second, third]) {
      await client.refresh();
      assert.ok(client.user);
    }
    assert.equal(sql(server, "select count(*) from auth_session"), "2");
  }));

test("what has ended is swept though nobody signs in", async () => {
  const folder = makeFolder();
  run(folder, ["migrate"]);
  run(folder, ["demo"]);
  run(folder, [
    "shell",
    `insert into auth_session (id, token_hash, "user", device, label, created_at, expires_at, last_used_at)
     select u.id, 'old-' || u.id, u.id, false, '', ${timeSql(1)}, ${timeSql(2)}, ${timeSql(1)}
     from "user" u`,
  ]);
  const server = await startServer({ folder });
  try {
    await until("an empty table", () => sql(server, "select count(*) from auth_session") === "0");
  } finally {
    await server.stop();
    server.remove();
  }
});

test("reads past the throttle are 429 with Retry-After, and the same user still writes", () =>
  withServer({}, async (server) => {
    const client = await signedIn(server, "demo");
    const one = `GET /api/chats/?limit=1 HTTP/1.1\r\nHost: x\r\nCookie: ${client.cookieHeader()}\r\n`;
    const { text } = await sendRaw(
      server,
      `${`${one}\r\n`.repeat(1199)}${one}Connection: close\r\n\r\n`,
      5000,
    );
    const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1]);
    assert.equal(statuses.length, 1200);
    const served = statuses.filter((status) => status === "200").length;
    assert.ok(served >= 200, `${served} were served`);
    assert.equal(statuses.filter((status) => status === "429").length, 1200 - served);
    assert.ok(served < 1200, "some were refused");
    assert.match(text, /Retry-After: \d/);
    assert.equal((await client.post("/api/chats/start/", { title: "still here" })).status, 201);
  }));
