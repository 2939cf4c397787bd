// Every GET of a list is live: the same rows by every road, and any writer's changes.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, afterEach, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { canonicalUrl } from "../../packages/client/src/url.ts";
import { type Client, signedIn } from "../client.ts";
import { nowSql, onPostgres, shellCommand } from "../database.ts";
import { LiveSocket, textOf, welcomed } from "../live.ts";
import { type Server, sql, startServer, until } from "../server.ts";

let server: Server;
let demo: Client;
let chat: string;
let messages: string;
const sockets: LiveSocket[] = [];

async function connect(client: Client): Promise<LiveSocket> {
  const socket = await welcomed(client);
  sockets.push(socket);
  return socket;
}
const chatOf = (title: string) => sql(server, `select id from chat where title = '${title}'`);

before(async () => {
  server = await startServer();
  demo = await signedIn(server, "demo");
  chat = chatOf("Welcome");
  messages = `/api/messages/?chat=${chat}`;
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});
after(async () => {
  await server?.stop();
  server?.remove();
});

async function firstEvent(url: string): Promise<string> {
  const leaving = new AbortController();
  const response = await fetch(server.url + url, {
    headers: { accept: "text/event-stream", cookie: demo.cookieHeader() },
    signal: leaving.signal,
  });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let data: RegExpExecArray | null = null;
  while (data === null) {
    const { value, done } = (await reader?.read()) ?? { done: true };
    assert.ok(!done, `the stream ended after ${text}`);
    text += value;
    data = /^data: ([^\n]*)\n/m.exec(text); // U+2028 ends no line here
  }
  leaving.abort();
  return data[1];
}

test("one URL by five roads is the same bytes: JSON, events, socket, page, cache", async () => {
  const odd = 'quotes " and \\ and </script> and ünïcödé 😀 and \u2028';
  assert.equal((await demo.post("/api/messages/", { chat, text: odd })).status, 201);
  const rows = textOf("rows", (await demo.get(messages)).body);
  assert.equal(JSON.parse(rows).length, 50);
  assert.equal(JSON.parse(rows)[0].text, odd);

  assert.equal(textOf("rows", await firstEvent(messages)), rows);

  const snap = await (await connect(demo)).sub(messages);
  assert.equal(snap.json.t, "snap");
  assert.equal(textOf("rows", snap.text), rows);

  const page = await demo.get(`/page-data?path=/chat/${chat}`);
  const key = canonicalUrl(`https://somewhere.example${messages}&include=picture#here`);
  assert.ok(key in page.json.live, "the page names it as the client's cache does");
  assert.equal(textOf("rows", page.body, page.body.indexOf(`"${key}"`)), rows);

  assert.equal(JSON.stringify(JSON.parse(rows)), rows, "and kept by the client it is the same text");
});

test("a page before a row is live like any other, with the rows and the order of its GET", async () => {
  const first = (await demo.get(`${messages}&limit=10`)).json;
  const second = (await demo.get(first.next)).json;
  const third = (await demo.get(second.next)).json;
  const back = await demo.get(third.previous);
  assert.deepEqual(back.json.rows, second.rows);

  const socket = await connect(demo);
  const snap = await socket.sub(third.previous);
  assert.equal(snap.json.t, "snap");
  assert.equal(textOf("rows", snap.text), textOf("rows", back.body));
  assert.equal(textOf("rows", await firstEvent(third.previous)), textOf("rows", back.body));

  const gone = second.rows[4].id;
  sql(server, `delete from message where id = '${gone}'`);
  const put = await until("the next one moves in", () => socket.ops().find(({ op }) => op === "put"));
  assert.equal(put.id, first.rows[9].id);
  assert.ok(socket.ops().some(({ op, id }) => op === "del" && id === gone));
});

test("what the database's own program writes, changes and deletes is told, and only to whom it concerns", async () => {
  const [socket, other] = [await connect(demo), await connect(await signedIn(server, "testUser1"))];
  const { view } = (await socket.sub(messages)).json;
  await other.sub(`/api/messages/?chat=${chatOf("Weekend plans")}`);
  const id = crypto.randomUUID();
  const isOp = (op: string, fits: (row: { text: string }) => boolean = () => true) =>
    until(`${op} of the row`, () =>
      socket.ops().find((one) => one.view === view && one.op === op && one.id === id && fits(one.row)),
    );
  sql(
    server,
    `insert into message (id, chat, sender, text, created_at)
     values ('${id}', '${chat}', '${demo.user.id}', 'by hand', ${nowSql()})`,
  );
  await isOp("put", ({ text }) => text === "by hand");
  sql(server, `update message set text = 'by hand again' where id = '${id}'`);
  await isOp("put", ({ text }) => text === "by hand again");
  sql(server, `delete from message where id = '${id}'`);
  await isOp("del");
  await other.pong();
  assert.deepEqual(other.ops(), []);
});

describe("the metrics", () => {
  const askWith = async (of: Server, headers: Record<string, string>) =>
    (await fetch(`${of.url}/metrics`, { headers })).status;

  test("are for this machine, and not for who was forwarded by it", async () => {
    const answer = await fetch(`${server.url}/metrics`);
    assert.equal(answer.status, 200);
    assert.match(await answer.text(), /^tims_live_sessions \d+$/m);
    assert.equal(await askWith(server, { "X-Forwarded-For": "192.0.2.7" }), 404);
    assert.equal(await askWith(server, { Forwarded: "for=192.0.2.7" }), 404);
  });

  test("with a token are for who has it, from anywhere", async () => {
    const guarded = await startServer({ env: { METRICS_TOKEN: "a-token-for-the-metrics" } });
    try {
      for (const authorization of ["", "Bearer ", "Bearer a-token-for-the-metric", "a-token-for-the-metrics"])
        assert.equal(await askWith(guarded, { authorization }), 404, authorization);
      const authorization = "Bearer a-token-for-the-metrics";
      assert.equal(await askWith(guarded, { authorization }), 200);
      assert.equal(await askWith(guarded, { authorization, "X-Forwarded-For": "192.0.2.7" }), 200);
    } finally {
      await guarded.stop();
      guarded.remove();
    }
  });
});

test("a page behind a cursor is followed where nothing was read since the start", async () => {
  const first = await startServer();
  const page = (of: Client, url: string) => of.get(url).then(({ json }) => json);
  const before = await signedIn(first, "demo");
  const welcome = sql(first, "select id from chat where title = 'Welcome'");
  const { next } = await page(before, `/api/messages/?chat=${welcome}&limit=1`);
  const { rows, position } = await page(before, next);
  await first.stop();
  const again = await startServer({ folder: first.folder });
  try {
    const socket = await welcomed(await signedIn(again, "demo"));
    const { json } = await socket.sub(next, { from: position, limit: 1 });
    assert.equal(json.t, "resumed");
    sql(again, `update message set text = 'of the second page' where id = '${rows[0].id}'`);
    const isPut = ({ op, id }: { op: string; id: string }) => op === "put" && id === rows[0].id;
    await until("the row of the second page", () => socket.ops().find(isPut));
    socket.close();
  } finally {
    await again.stop();
    again.remove();
  }
});

test("one socket too many of a user is closed with 4429; the others stay, and other users come", async () => {
  const narrow = await startServer({ env: { SOCKETS_PER_USER: "3" } });
  const opened: LiveSocket[] = [];
  try {
    const [one, another] = [await signedIn(narrow, "demo"), await signedIn(narrow, "testUser0")];
    for (let i = 0; i < 3; i++) opened.push(await welcomed(one));
    const refused = new LiveSocket(one);
    await until("the fourth to be closed", () => refused.closed);
    assert.equal(refused.closed, 4429);
    assert.deepEqual(
      refused.frames.map(({ json }) => [json.t, json.reason]),
      [["bye", "too_many"]],
    );
    opened.push(await welcomed(another));
    for (const socket of opened) await socket.pong();
    opened[0].close();
    const again = async () => {
      const socket = new LiveSocket(one);
      await until("an answer", () => socket.frames.length > 0);
      if (socket.frames[0].json.t === "welcome") opened.push(socket);
      return socket.frames[0].json.t === "welcome";
    };
    await until("the place of the one that has left", again);
  } finally {
    for (const socket of opened) socket.close();
    await narrow.stop();
    narrow.remove();
  }
});

describe("a transaction of very many rows", () => {
  const ROWS = onPostgres ? 200_000 : 1_000_000; // there references and indexes take a minute for a million
  const GROWTH_BYTES_MAX = 150 * 1024 * 1024;

  function residentBytes(): number {
    const status = readFileSync(`/proc/${server.process.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  }

  // Of nobody's making but a foreign program's, which the server hears of when it is all there.
  function insertRows(): Promise<unknown> {
    const [id, time] = onPostgres
      ? [
          "('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid",
          "to_timestamp(1700000000 + i / 1e6)",
        ]
      : ["printf('01900000-0000-7000-8000-%012x', i)", "1700000000000000 + i"];
    const statement = `
      with recursive n(i) as (select 1 union all select i + 1 from n where i < ${ROWS})
      insert into message (id, chat, sender, text, created_at)
      select ${id}, '${chat}', '${demo.user.id}', 'row ' || i, ${time} from n`;
    return promisify(execFile)(...shellCommand(server.database, statement));
  }

  let other: LiveSocket;

  test("is one load for those concerned, and takes no memory of its size", async () => {
    const concerned = await connect(demo);
    other = await welcomed(await signedIn(server, "testUser1"));
    const url = `${messages}&order=created_at`;
    const { sub, view, document } = (await concerned.sub(url)).json;
    await other.sub(`/api/messages/?chat=${chatOf("Weekend plans")}`);
    await concerned.pong();
    const before = residentBytes();
    let peak = before;
    const inserted = insertRows();
    const isLoad = (op: { op: string; sub?: number; view?: number; reason?: string }) =>
      op.op === "load" && (op.sub === sub || op.view === view);
    const load = await until(
      "the load",
      () => {
        peak = Math.max(peak, residentBytes());
        return concerned.ops().find(isLoad);
      },
      100_000,
    );
    await inserted;
    assert.equal(load.reason, "lagging");
    assert.notDeepEqual(load.document.rows, document.rows);
    assert.equal(load.document.rows.at(-1).text, "row 50");
    await concerned.pong();
    assert.equal(concerned.ops().length, 1, "and nothing else");
    peak = Math.max(peak, residentBytes());
    assert.ok(peak - before < GROWTH_BYTES_MAX, `it grew by ${((peak - before) / 2 ** 20).toFixed(0)} MiB`);
  });

  test("is nothing for others", async () => {
    await other.pong();
    assert.deepEqual(
      other.ops().map(({ op, reason }) => [op, reason]),
      [],
    );
    other.close();
  });

  test("and what is changed afterwards is told row by row again", async () => {
    const socket = await connect(demo);
    await socket.sub(messages);
    const answer = await demo.post("/api/messages/", { chat, text: "afterwards" });
    assert.equal(answer.status, 201);
    await until("its put", () => socket.ops().find(({ op, id }) => op === "put" && id === answer.json.id));
  });
});
