// What was answered is there after kill -9; a stop or a restart under load loses no request; a full disk is a 503.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { type Client, signedIn } from "../client.ts";
import { databaseUrlOf, onPostgres, runSql } from "../database.ts";
import {
  makeFolder,
  removeFolder,
  run,
  type Server,
  sql,
  startInVain,
  startServer,
  until,
} from "../server.ts";

async function firstChat(client: Client): Promise<string> {
  return (await client.get("/api/chats/")).json.rows[0].id;
}

test("kill -9 in the middle of 1,000 creates keeps every 201 and nothing else", async () => {
  const server = await startServer();
  const client = await signedIn(server, "demo");
  const sent = new Set<string>();
  const answered = new Set<string>();
  let next = 0;
  const worker = async () => {
    while (next < 1000) {
      const title = `crash ${next++}`;
      sent.add(title);
      try {
        const answer = await client.post("/api/chats/start/", { title });
        if (answer.status === 201) answered.add(title);
        if (answered.size === 300) server.process.kill("SIGKILL");
      } catch {
        // The connection died with the server: not answered.
      }
    }
  };
  await Promise.all(Array.from({ length: 64 }, worker));
  assert.ok(answered.size >= 300 && answered.size < 1000, `${answered.size} were answered before the end`);
  await server.exited;
  const again = await startServer({ folder: server.folder });
  const stored = new Set(sql(again, "select title from chat where title like 'crash %'").split("\n"));
  for (const title of answered) assert.ok(stored.has(title), `${title} was answered with 201 and is gone`);
  for (const title of stored) assert.ok(sent.has(title), `${title} was never sent`);
  if (!onPostgres) assert.equal(sql(again, "pragma integrity_check"), "ok");
  // A chat is made together with its first member: half of that would show here.
  assert.equal(
    sql(again, "select count(*) from chat c where not exists (select 1 from member m where m.chat = c.id)"),
    "0",
  );
  await again.stop();
  again.remove();
});

// Clients that reconnect and go on, as browsers do; a request may only be refused before it was taken.
async function load(
  server: Server,
  path: string,
  until: () => boolean,
): Promise<{ ok: number; failed: string[] }> {
  const result = { ok: 0, failed: [] as string[] };
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (!until()) {
        try {
          const answer = await fetch(server.url + path);
          await answer.text();
          if (answer.status === 200) result.ok++;
          else result.failed.push(String(answer.status));
        } catch (error) {
          const code = (error as { cause?: { code?: string } }).cause?.code ?? String(error);
          result.failed.push(code);
        }
      }
    }),
  );
  return result;
}

test("SIGTERM under load answers every request that was taken", async () => {
  const server = await startServer();
  let stopping = false;
  let over = false;
  server.exited.then(() => {
    over = true;
  });
  setTimeout(() => {
    stopping = true;
    server.process.kill("SIGTERM");
  }, 700);
  const result = await load(server, "/health", () => over || stopping);
  const exit = await server.exited;
  assert.equal(exit.code, 0, server.output().slice(-500));
  assert.ok(result.ok > 100, String(result.ok));
  // Only a connection that was not accepted any more may be refused.
  assert.deepEqual(
    result.failed.filter((code) => code !== "ECONNREFUSED"),
    [],
  );
  server.remove();
});

test("SIGHUP under load restarts in place and loses no request", async () => {
  const server = await startServer();
  let over = false;
  const restarts = () => server.output().match(/is ready/g)?.length ?? 0;
  const work = load(server, "/health", () => over);
  await until("some load", () => true);
  for (let expected = 2; expected <= 3; expected++) {
    server.process.kill("SIGHUP");
    await until(`restart ${expected - 1}`, () => restarts() >= expected);
  }
  over = true;
  const result = await work;
  assert.deepEqual(result.failed, []);
  assert.ok(result.ok > 50, String(result.ok));
  await server.stop();
  server.remove();
});

test("SIGTERM ends a server that is about to restart", async () => {
  const server = await startServer();
  const slow = connect(server.port, "127.0.0.1"); // a request whose body is on its way: the restart waits for it
  slow.write("POST /api/auth/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
  slow.on("error", () => undefined);
  await once(slow, "connect");
  await (await fetch(`${server.url}/health`)).text(); // it has been accepted by now
  server.process.kill("SIGHUP");
  await until("the restart to begin", () => /restarting: the sockets are kept/.test(server.output()));
  server.process.kill("SIGTERM");
  await until("it to be told so", () => /stopping: no new connections/.test(server.output()));
  slow.destroy();
  assert.deepEqual(await server.exited, { code: 0, signal: null });
  assert.equal(server.output().match(/is ready: http/g)?.length, 1);
  server.remove();
});

// The URL of a database on a small disk.
function databaseOn(disk: string): string {
  if (!onPostgres) return `sqlite:${join(disk, "app.sqlite3")}`;
  const [name, admin] = ["small disk", databaseUrlOf("postgres")];
  execFileSync("chmod", ["755", dirname(disk)]);
  execFileSync("chown", ["postgres:", disk]);
  runSql(admin, `create tablespace "${name}" location '${disk}'`);
  runSql(admin, `create database "${name}" tablespace "${name}"`);
  return databaseUrlOf(name);
}

test("a full disk is 503, nothing is half-written, and it heals when there is room", async () => {
  const folder = makeFolder();
  const small = join(folder, "small");
  mkdirSync(small);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=30m", "tmpfs", small]);
  const env = { DATABASE_URL: databaseOn(small) };
  let server: Server | null = null;
  try {
    server = await startServer({ folder, env, fresh: true });
    const { bavail, bsize } = statfsSync(small);
    writeFileSync(join(small, "ballast"), Buffer.alloc(bavail * bsize - 2 ** 20));
    const client = await signedIn(server, "demo");
    const chat = await firstChat(client);
    const count = async () =>
      (await client.get(`/api/messages/?chat=${chat}&search=filler&limit=1`)).json.total as number;
    let written = 0;
    let refused = 0;
    // As fast as the throttle lets it through.
    for (const until_ms = Date.now() + 90_000; refused < 3 && Date.now() < until_ms; ) {
      const answer = await client.post("/api/messages/", {
        chat,
        text: `filler ${randomBytes(1950).toString("hex")}`,
      });
      if (answer.status === 201) written++;
      else if (answer.status === 429) continue;
      else {
        assert.equal(answer.status, 503, answer.body);
        refused++;
      }
    }
    assert.equal(refused, 3, "the disk has become full");
    assert.equal(await count(), written, "reads go on, and exactly what was answered with 201 is there");
    rmSync(join(small, "ballast"));
    const healed = await until("writes to work again", async () => {
      const answer = await client.post("/api/messages/", { chat, text: "filler again" });
      return answer.status === 201 ? answer : null;
    });
    assert.equal(healed.status, 201);
  } finally {
    await server?.kill();
    if (onPostgres) runSql(databaseUrlOf("postgres"), 'drop database "small disk" with (force)');
    if (onPostgres) runSql(databaseUrlOf("postgres"), 'drop tablespace "small disk"');
    execFileSync("umount", ["-l", small]);
    removeFolder(folder);
  }
});

// Many nodes serve one PostgreSQL: see postgres_nodes.test.ts.
if (!onPostgres)
  test("a second serve on the same database says so in one line", async () => {
    const server = await startServer();
    const second = await startInVain(server.folder);
    assert.equal(second.code, 1);
    assert.match(second.output.trim(), /^chat: .*(another|already|in use|owns|serv).*$/i);
    assert.equal((await fetch(`${server.url}/health`)).status, 200);
    await server.stop();
    server.remove();
  });

test("a taken port is one clear line", async () => {
  const server = await startServer();
  const folder = makeFolder();
  run(folder, ["migrate"]);
  const second = await startInVain(folder, { PORT: String(server.port) });
  assert.equal(second.code, 1);
  assert.match(second.output, new RegExp(`chat: .*${server.port}`));
  await server.stop();
  server.remove();
});

test("pending migrations are named with their command", async () => {
  const folder = makeFolder();
  const answer = await startInVain(folder);
  assert.equal(answer.code, 1);
  assert.match(answer.output, /chat migrate|migrate/);
});

test("wrong settings are reported all at once, without secrets", async () => {
  const answer = await startInVain(makeFolder(), { PORT: "eighty", LOG_LEVEL: "loud", IDLE_TIMEOUT: "soon" });
  assert.equal(answer.code, 2);
  for (const name of ["PORT", "LOG_LEVEL", "IDLE_TIMEOUT"]) assert.match(answer.output, new RegExp(name));
});

test("a certificate without its key is refused", async () => {
  const answer = await startInVain(makeFolder(), { TLS_CERTIFICATE: "/nowhere.pem" });
  assert.equal(answer.code, 2);
  assert.match(answer.output, /TLS_KEY/);
});
