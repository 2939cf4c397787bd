// Several nodes on one PostgreSQL and one Redis are one app: sessions, screens, presence and limits do not ask which
// node they are on.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, afterEach, before, describe, test } from "node:test";
import { Client, signedIn } from "../client.ts";
import { Demo, told } from "../demo.ts";
import type { LiveSocket } from "../live.ts";
import { Postgres } from "../postgres.ts";
import { Redis } from "../redis.ts";
import {
  environment,
  makeFolder,
  program,
  removeFolder,
  type Server,
  startServer,
  until,
} from "../server.ts";

// Runs a command to its end, beside others.
function start(
  folder: string,
  args: string[],
  url: string,
): Promise<{ code: number | null; output: string }> {
  const child = spawn(program, args, { cwd: folder, env: environment(folder, { DATABASE_URL: url }) });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text) => {
      output += text;
    });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, output })));
}

test("ten that migrate at once migrate once, and ten that serve at once all serve", async () => {
  const postgres = await Postgres.open();
  const url = postgres.createDatabase("many");
  const folder = makeFolder();
  const nodes: Server[] = [];
  try {
    const ends = await Promise.all(Array.from({ length: 10 }, () => start(folder, ["migrate"], url)));
    for (const { code, output } of ends) assert.equal(code, 0, output);
    const applied = ends.flatMap(({ output }) => output.match(/\b\w+\/0\d+\w*|\b0\d{3}_\w+/g) ?? []);
    assert.equal(applied.length, new Set(applied).size, `each is applied by one: ${applied}`);
    assert.ok(applied.length >= 2, applied.join(" "));
    nodes.push(
      ...(await Promise.all(
        Array.from({ length: 10 }, () =>
          startServer({ folder, fresh: false, env: { DATABASE_URL: url, LOOPS: "1" } }),
        ),
      )),
    );
    for (const node of nodes) assert.equal((await fetch(`${node.url}/health`)).status, 200);
  } finally {
    for (const node of nodes) await node.kill();
    removeFolder(folder);
    await postgres.remove();
  }
});

describe("two nodes", () => {
  let demo: Demo;
  let redis: Redis;
  let here: Server;
  let there: Server;
  before(async () => {
    redis = await Redis.open();
    demo = await Demo.open();
    const env = { REDIS_URL: redis.url, REGISTRATIONS_MAX: "4" };
    here = await demo.addNode(env);
    there = await demo.addNode(env);
  });
  afterEach(() => demo?.rest());
  after(async () => {
    await demo?.close();
    await redis?.remove();
  });

  // The same person at another node: cookies are sent there too.
  function at(node: Server, client: Client): Client {
    const other = new Client(node);
    other.cookies = client.cookies;
    other.csrf = client.csrf;
    other.user = client.user;
    return other;
  }

  test("a session is valid on both, and ends on both", async () => {
    const client = await signedIn(here, "testUser0");
    const other = at(there, client);
    assert.equal((await other.get(demo.messages)).status, 200);
    assert.equal((await other.post("/api/messages/", { chat: demo.chat, text: "from there" })).status, 201);
    assert.ok((await other.post("/api/auth/logout/", {})).status < 300);
    await until("the session to end here", async () => (await client.get("/api/chats/")).status === 401);
  });

  test("what is written on one is on the screens of the other at once", async (t) => {
    const demoThere = await signedIn(there, "demo");
    const screen = await demo.look(demo.messages, demoThere);
    const writer = await signedIn(here, "testUser0");
    const times: number[] = [];
    for (let i = 0; i < 20; i++) {
      const started = performance.now();
      const answer = await writer.post("/api/messages/", { chat: demo.chat, text: `across ${i}` });
      assert.equal(answer.status, 201);
      await told(screen, answer.json.id);
      times.push((screen.socket.frames.find(({ text }) => text.includes(answer.json.id))?.at ?? 0) - started);
    }
    times.sort((a, b) => a - b);
    t.diagnostic(`from the request to the other node's screen: median ${times[10]?.toFixed(1)} ms`);
    assert.ok((times[10] as number) < 100, `median ${times[10]} ms`);
  });

  const people = (socket: LiveSocket): number | undefined =>
    socket.frames.findLast(({ json }) => json.t === "presence")?.json.count;

  async function join(node: Server, username: string): Promise<LiveSocket> {
    const client = await signedIn(node, username);
    const { socket } = await demo.look(demo.messages, client);
    socket.send({ t: "join", id: 1000, url: `/api/chats/${demo.chat}/`, present: true });
    await socket.frame("the room", ({ t }) => t === "presence");
    return socket;
  }

  test("people of both are in one room; without Redis the feed goes on; with it all is well again", async () => {
    const one = await join(here, "demo");
    const two = await join(there, "testUser0");
    await until("both in the room", () => people(one) === 2 && people(two) === 2);

    await redis.stop();
    const demoThere = await signedIn(there, "demo");
    const screen = await demo.look(demo.messages, demoThere);
    const writer = await signedIn(here, "testUser0");
    const answer = await writer.post("/api/messages/", { chat: demo.chat, text: "without Redis" });
    assert.equal(answer.status, 201);
    await told(screen, answer.json.id);

    await redis.start();
    await until("both in the room again", () => people(one) === 2 && people(two) === 2);
    two.close();
    await until("the other to have left", () => people(one) === 1);
  });

  test("a limit counts on both", async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 8; i++) {
      const client = new Client(i % 2 === 0 ? here : there);
      await client.refresh();
      const body = { username: `newcomer${i}`, password: "a quiet river" };
      statuses.push((await client.post("/api/auth/register/", body)).status);
    }
    assert.deepEqual(statuses, [201, 201, 201, 201, 429, 429, 429, 429]);
  });
});
