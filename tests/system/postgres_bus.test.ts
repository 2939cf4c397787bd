// What nodes tell each other through Redis, and what becomes of it when a node or Redis is killed.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import WebSocket from "ws";
import { Client, signedIn } from "../client.ts";
import { Demo, told } from "../demo.ts";
import { type LiveSocket, welcomed } from "../live.ts";
import { Redis } from "../redis.ts";
import { makeFolder, type Server, startInVain, until } from "../server.ts";

describe("three nodes", () => {
  let demo: Demo;
  let redis: Redis;
  let one: Server;
  let two: Server;
  let env: Record<string, string>;
  const opened: LiveSocket[] = [];
  before(async () => {
    redis = await Redis.open({ password: "a-secret-of-redis" });
    demo = await Demo.open();
    env = { REDIS_URL: redis.url, LOGIN_FAILURES_MAX: "4" };
    one = await demo.addNode(env);
    two = await demo.addNode(env);
    demo.sql(
      `insert into member (id, chat, "user", joined_at, unread) select gen_random_uuid(), '${demo.chat}', id, now(), 0
         from "user" where username in ('testUser2', 'testUser3')`,
    );
  });
  afterEach(() => {
    for (const socket of opened.splice(0)) socket.close();
  });
  after(async () => {
    await demo?.close();
    await redis?.remove();
  });

  const room = () => `/api/chats/${demo.chat}/`;
  const idOf = (username: string) => demo.sql(`select id from "user" where username = '${username}'`);

  // Everything the room has told; what it says now.
  function shown(socket: LiveSocket): { count: number; users: string[]; partial: boolean } {
    let users: string[] = [];
    let count = 0;
    let partial = false;
    for (const { json } of socket.frames) {
      if (json.t !== "presence") continue;
      count = json.count;
      partial = json.partial ?? false;
      const ids = (list: { id: string }[] = []) => list.map(({ id }) => id);
      if (json.users) users = ids(json.users);
      users = users.filter((id) => ![...ids(json.joined), ...ids(json.left)].includes(id));
      users.push(...ids(json.joined));
    }
    return { count, users: users.sort(), partial };
  }

  async function enter(node: Server, username: string, present = true): Promise<LiveSocket> {
    const socket = await welcomed(await signedIn(node, username));
    opened.push(socket);
    socket.send({ t: "join", id: 1000, url: room(), present });
    await socket.frame("the room", ({ t, join }) => t === "presence" && join === 1000);
    return socket;
  }

  const shows = (socket: LiveSocket, usernames: string[], timeoutMs?: number) => {
    const users = usernames.map(idOf).sort();
    return until(
      `${usernames} to be shown`,
      () => {
        const now = shown(socket);
        return now.count === users.length && now.users.join() === users.join() && !now.partial;
      },
      timeoutMs,
    );
  };

  async function metric(node: Server, name: string): Promise<number> {
    const text = await (await fetch(`${node.url}/metrics`)).text();
    return Number(new RegExp(`^tims_live_${name} (\\d+)$`, "m").exec(text)?.[1]);
  }

  test("what somebody types is seen on the other node", async () => {
    const here = await enter(one, "demo");
    const there = await enter(two, "testUser0");
    here.send({ t: "publish", join: 1000, kind: "typing", data: { long: true } });
    const said = await there.frame("what was typed", ({ t }) => t === "said");
    assert.deepEqual(said.json.items, [{ user: idOf("demo"), kind: "typing", data: { long: true } }]);
  });

  test("what is thrown on one is heard at the tables of both", async () => {
    const heard: { [table: string]: string[] } = { one: [], two: [] };
    const sockets: WebSocket[] = [];
    for (const [table, node, username] of [
      ["one", one, "demo"],
      ["two", two, "testUser0"],
    ] as const) {
      const client = await signedIn(node, username);
      const url = `${node.url.replace(/^http/, "ws")}/ws/chats/${demo.chat}/dice/`;
      const socket = new WebSocket(url, { headers: { cookie: client.cookieHeader() } });
      socket.on("message", (data) => heard[table]?.push(String(data)));
      await new Promise((resolve) => socket.on("open", resolve));
      sockets.push(socket);
    }
    await until("both nodes to listen", () => / 2$/.test(groupChannels().join(" ")));
    sockets[0]?.send("throw");
    await until("both to have heard", () => heard.one?.length === 1 && heard.two?.length === 1);
    assert.deepEqual(heard.one, heard.two);
    sockets[1]?.send("throw");
    await until("both to have heard again", () => heard.one?.length === 2 && heard.two?.length === 2);
    assert.deepEqual(heard.one, heard.two);
    for (const socket of sockets) socket.close();
  });

  // Of the one group there is: how many nodes listen to it.
  function groupChannels(): string[] {
    const [channel] = redis.command("PUBSUB", "CHANNELS", "*:group:*").split("\n");
    return channel ? redis.command("PUBSUB", "NUMSUB", channel).split("\n") : [];
  }

  test("wrong passwords are counted on both nodes", async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 6; i++) {
      const client = new Client(i % 2 === 0 ? one : two);
      await client.refresh();
      const body = { username: "testUser9", password: `not this one ${i}` };
      statuses.push((await client.post("/api/auth/login/", body)).status);
    }
    assert.deepEqual(statuses, [401, 401, 401, 401, 429, 429]);
    redis.command("FLUSHALL"); // for the tests that follow: all of them come from one address
  });

  test("a session that ends on one node ends on the other, with its sockets", async () => {
    const client = await signedIn(one, "testUser1");
    const there = new Client(two);
    there.cookies = new Map(client.cookies);
    await there.refresh();
    assert.equal(there.user?.username, "testUser1");
    const socket = await welcomed(there);
    const ended = performance.now();
    assert.ok((await client.post("/api/auth/logout/", {})).status < 300);
    await until("the socket to be closed", () => socket.closed !== null);
    assert.equal(socket.closed, 4401);
    assert.ok(performance.now() - ended < 2_000);
    for (let i = 0; i < 10; i++) assert.equal((await there.get("/api/chats/")).status, 401);
  });

  test("a change is on the other node's screen soon after its commit", async (t) => {
    const screen = await demo.look(demo.messages, await signedIn(two, "demo"));
    const writer = await signedIn(one, "testUser0");
    const before = await metric(two, "pokes_heard_total");
    const times: number[] = [];
    for (let i = 0; i < 40; i++) {
      const answer = await writer.post("/api/messages/", { chat: demo.chat, text: `across ${i}` });
      const answered = performance.now();
      assert.equal(answer.status, 201);
      await told(screen, answer.json.id);
      times.push(performance.now() - answered);
    }
    times.sort((a, b) => a - b);
    const at = (part: number) => (times[Math.floor(times.length * part)] as number).toFixed(1);
    t.diagnostic(`from the answer to the other node's screen: median ${at(0.5)} ms, 95 % ${at(0.95)} ms`);
    assert.ok((await metric(two, "pokes_heard_total")) > before, "it was told");
    assert.ok(Number(at(0.5)) < 50, `median ${at(0.5)} ms`);
    await demo.rest();
  });

  test("people of a node that is killed are gone within ten seconds", async (t) => {
    const third = await demo.addNode(env);
    const here = await enter(one, "demo");
    const there = await enter(third, "testUser2");
    await shows(here, ["demo", "testUser2"]);
    await shows(there, ["demo", "testUser2"]);
    const killed = performance.now();
    await third.kill();
    await shows(here, ["demo"]);
    const seconds = (performance.now() - killed) / 1000;
    t.diagnostic(`gone after ${seconds.toFixed(1)} s`);
    assert.ok(seconds < 10, `${seconds} s`);
    const again = await demo.addNode(env);
    const late = await enter(again, "testUser2");
    await shows(here, ["demo", "testUser2"]);
    await shows(late, ["demo", "testUser2"]);
    await again.kill();
  });

  test("without Redis for twenty seconds everything goes on, and then all is well", async () => {
    const here = await enter(one, "demo");
    const there = await enter(two, "testUser0");
    await shows(here, ["demo", "testUser0"]);
    await redis.stop();
    for (const socket of [here, there]) await until("it to say so", () => shown(socket).partial);
    const screen = await demo.look(demo.messages, await signedIn(two, "testUser0"));
    const writer = await signedIn(one, "demo");
    const stopped = performance.now();
    for (let i = 0; performance.now() - stopped < 20_000; i++) {
      const answer = await writer.post("/api/messages/", { chat: demo.chat, text: `without Redis ${i}` });
      assert.equal(answer.status, 201);
      await told(screen, answer.json.id);
    }
    assert.deepEqual(shown(here), { count: 1, users: [idOf("demo")], partial: true });
    const late = await enter(one, "testUser3");
    await redis.start();
    for (const socket of [here, there, late]) await shows(socket, ["demo", "testUser0", "testUser3"]);
    here.send({ t: "publish", join: 1000, kind: "hum", data: 1 });
    await there.frame("what was hummed", ({ t, items }) => t === "said" && items[0].kind === "hum");
    await demo.rest();
  });

  test("a Redis that hangs holds nobody up", async () => {
    const here = await enter(one, "demo");
    redis.hang();
    const started = performance.now();
    const client = new Client(two);
    await client.refresh();
    const body = { username: "testUser4", password: "demo-pass-1" };
    assert.equal((await client.post("/api/auth/login/", body)).status, 200);
    assert.ok(performance.now() - started < 5_000);
    await until("it to be noticed", () => shown(here).partial);
    redis.wake();
    await until("it to be over", () => !shown(here).partial);
  });

  test("no secret of Redis is in any log", () => {
    for (const node of demo.nodes) assert.ok(!node.output().includes("a-secret-of-redis"));
    assert.match(one.output(), /event=away/);
  });
});

test("a Redis that will never do ends the start with the reason", async () => {
  const redis = await Redis.open({ password: "right" });
  const folder = makeFolder();
  const demo = await Demo.open();
  try {
    for (const [url, reason] of [
      [redis.url.replace("right", "wrong"), /does not accept the user or password/],
      [`redis://127.0.0.1:${redis.port}`, /asks for a password/],
      [`${redis.url}/99`, /no such database/],
      ["rediss://cache.example", /TLS/],
      ["redis+sentinel://:right@a:26379,b:26379/main", /Sentinel/],
      ["redis-cluster://:right@a", /Cluster/],
    ] as const) {
      const { code, output } = await startInVain(folder, { DATABASE_URL: demo.url, REDIS_URL: url });
      assert.notEqual(code, 0);
      assert.match(output, reason);
      assert.ok(!/wrong|:right@/.test(output), output);
    }
  } finally {
    await demo.close();
    await redis.remove();
  }
});
