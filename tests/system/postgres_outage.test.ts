// PostgreSQL goes, comes back, comes back older, or breaks down and recovers: what clients are told stays true.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, afterEach, before, test } from "node:test";
import { Demo, told } from "../demo.ts";
import { Postgres } from "../postgres.ts";
import { environment, program, until } from "../server.ts";

let demo: Demo;
before(async () => {
  demo = await Demo.open();
});
afterEach(() => demo?.rest());
after(() => demo?.close());

const post = (text: string) => demo.client.post("/api/messages/", { chat: demo.chat, text });
const epochOf = async () =>
  (await demo.client.get(demo.messages)).headers.get("tims-position")?.split("-")[0];
const answers = (status: number) =>
  until(`an answer ${status}`, async () => {
    const answer = await demo.client.get(demo.messages).catch(() => null);
    return answer?.status === status ? answer : null;
  });

test("while it is away answers are 503 with Retry-After; when it is back all goes on by itself", async () => {
  assert.equal((await post("before")).status, 201);
  await demo.postgres.stop("fast");
  for (const answer of [await demo.client.get(demo.messages), await post("meanwhile")]) {
    assert.equal(answer.status, 503, answer.body);
    assert.match(answer.headers.get("retry-after") ?? "", /^\d+$/);
    assert.match(answer.headers.get("content-type") ?? "", /problem\+json/);
    assert.doesNotMatch(answer.body, /postgres:\/\//);
  }
  assert.equal(demo.node.process.exitCode, null);
  await demo.postgres.start();
  await answers(200);
  const written = await until("a write", async () => {
    const answer = await post("after");
    return answer.status === 201 ? answer : null;
  });
  const screen = await demo.lookAgain();
  const prompt = await demo.prompt();
  await told(screen, await demo.write(prompt, "the feed goes on"));
  assert.equal(demo.sql(`select count(*) from message where id = '${written.json.id}'`), "1");
  assert.equal(demo.sql("select count(*) from message where text = 'meanwhile'"), "0");
});

test("backends that are terminated under load cost at most a 503", async () => {
  const statuses = new Map<number, number>();
  let over = false;
  const work = Array.from({ length: 8 }, async (_, worker) => {
    for (let i = 0; !over; i++) {
      const answer = i % 4 === 0 ? await post(`load ${worker} ${i}`) : await demo.client.get(demo.messages);
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      if (answer.status === 201)
        assert.equal(demo.sql(`select count(*) from message where id = '${answer.json.id}'`), "1");
    }
  });
  for (let i = 0; i < 10; i++) {
    demo.terminateAll();
    const before = statuses.get(200) ?? 0;
    await until("answers again", () => (statuses.get(200) ?? 0) > before + 5);
  }
  over = true;
  await Promise.all(work);
  const kinds = [...statuses.keys()].filter((status) => ![200, 201, 429, 503].includes(status));
  assert.deepEqual(kinds, [], JSON.stringify([...statuses]));
});

test("an older base backup is another epoch, and clients fetch anew", async () => {
  const prompt = await demo.prompt();
  const old = await demo.write(prompt, "in the backup");
  await prompt.end();
  await demo.postgres.stop();
  demo.postgres.keep("backup");
  await demo.postgres.start();
  await answers(200);
  const writer = await demo.prompt();
  const lost = await demo.write(writer, "not in the backup");
  await writer.end();
  const page = await answers(200);
  assert.equal(page.json.rows[0].id, lost);
  const epoch = await epochOf();
  const screen = await demo.lookAgain();

  await demo.postgres.stop();
  demo.postgres.restore("backup");
  await demo.postgres.start();
  // As many transactions as were lost, and more: their numbers alone say nothing.
  const after = await demo.prompt();
  const ids: string[] = [];
  for (let i = 0; i < 20; i++) ids.push(await demo.write(after, `after the restore ${i}`));
  await until("another epoch", async () => {
    const now = await epochOf().catch(() => undefined);
    return now !== undefined && now !== epoch;
  });
  await until("the screen to be closed or told", () => screen.socket.closed !== null);
  const { socket } = await demo.lookAgain();
  const snap = await socket.sub(demo.messages, { from: page.headers.get("tims-position") });
  const reset = socket.frames.find(({ json }) => json.t === "reset");
  assert.equal(reset?.json.reason, "epoch", "what it held cannot be continued");
  const rows = snap.json.document.rows.map(({ id }: { id: string }) => id);
  assert.deepEqual(rows.slice(0, 21), [...ids].reverse().concat(old));
  assert.ok(!rows.includes(lost));
});

// PostgreSQL ends all its backends and recovers by itself. What had been given numbers and was not flushed is forgotten,
// so the next transactions have the same numbers: a node that was not looking then must not take them for seen.
test("after a crash from which it recovers by itself no change is taken for one that was seen", async () => {
  await answers(200);
  const screen = await demo.lookAgain();
  const prompt = await demo.prompt();
  await told(screen, await demo.write(prompt, "before the crash"));
  const numbers = await demo.prompt();
  const victim = await demo.prompt();
  const { rows } = await victim.query("select pg_backend_pid() as pid");
  const spend = "begin; select pg_current_xact_id(); rollback;".repeat(200);
  await numbers.query(spend);
  await screen.socket.pong();
  await until("the node to have seen them", async () => {
    const { json } = await screen.socket.pong();
    return (
      json.position >= Number(demo.sql("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1"))
    );
  });
  await numbers.query(spend);
  demo.node.process.kill("SIGSTOP");
  process.kill(rows[0].pid, "SIGKILL");
  const ids: string[] = [];
  const writer = await until("it to recover", async () => {
    const next = await demo.prompt().catch(() => null);
    return next;
  });
  for (let i = 0; i < 500; i++) ids.push(await demo.write(writer, `after the crash ${i}`));
  demo.node.process.kill("SIGCONT");
  await answers(200);
  await demo.write(writer, "and one more");
  const all = await until("a screen that is up to date", async () => {
    const heard = new Set(screen.socket.ops().map(({ id }) => id));
    return screen.socket.closed !== null || heard.has(ids.at(-1));
  });
  assert.ok(all);
  if (screen.socket.closed !== null) return; // it comes back and is told all
  const heard = new Set(screen.socket.ops().map(({ id }) => id));
  assert.deepEqual(
    ids.slice(-50).filter((id) => !heard.has(id)),
    [],
  );
});

// The program with these words, under way: what it has said, and how it ends.
function start(words: string[], url: string) {
  const child = spawn(program, words, {
    cwd: demo.node.folder,
    env: environment(demo.node.folder, { DATABASE_URL: url }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const)
    child[stream].on("data", (bytes) => {
      said[stream] += bytes;
    });
  const ended = new Promise<number | null>((resolve) => child.on("close", (code) => resolve(code)));
  return { said, ended };
}

test("migrate waits for a database that is not there yet, as long as it is told to", async () => {
  const postgres = await Postgres.open();
  try {
    const url = postgres.createDatabase("late");
    await postgres.stop("fast");
    const hasty = start(["migrate"], url);
    assert.equal(await hasty.ended, 1);
    assert.match(hasty.said.stderr, /cannot be used/);
    const brief = start(["migrate", "--wait", "1"], url);
    assert.equal(await brief.ended, 1);
    assert.match(brief.said.stderr, /waiting.*cannot be used: .*refused/);
    const patient = start(["migrate", "--wait=600"], url);
    await until("it to wait", () => /waiting for the database/.test(patient.said.stderr));
    await postgres.start();
    assert.equal(await patient.ended, 0, patient.said.stderr);
    assert.match(patient.said.stdout, /0001/);
    assert.equal(patient.said.stderr.match(/waiting/g)?.length, 1, "said once");
    assert.equal(await start(["migrate", "--wait", "soon"], url).ended, 2);
  } finally {
    await postgres.remove();
  }
});
