// Every committed change of a PostgreSQL database is told once, when it is visible, whatever its transaction did.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, afterEach, before, test } from "node:test";
import { promisify } from "node:util";
import { shellCommand } from "../database.ts";
import { Demo, type Screen, told, toldOf } from "../demo.ts";
import { until } from "../server.ts";

let demo: Demo;
before(async () => {
  demo = await Demo.open({ settings: { max_prepared_transactions: "10" } });
});
afterEach(() => demo?.rest());
after(() => demo?.close());

// Everything that is committed by now has been told: a change after it has come.
async function settled(screen: Screen): Promise<void> {
  const prompt = await demo.prompt();
  await told(screen, await demo.write(prompt, "the last one"));
}

const ids = (screen: Screen, of: string[]) =>
  screen.socket
    .ops()
    .filter(({ op, id }) => op === "put" && of.includes(id))
    .map(({ id }) => id);

test("transactions that commit in the reverse order of their writes are told as they commit", async () => {
  const screen = await demo.look();
  const [first, second, third] = [await demo.prompt(), await demo.prompt(), await demo.prompt()];
  for (const prompt of [first, second, third]) await prompt.query("begin");
  const a = await demo.write(first, "begun first");
  const b = await demo.write(second, "begun second");
  const c = await demo.write(third, "begun third");
  await third.query("commit");
  await told(screen, c);
  await settled(screen);
  assert.deepEqual(ids(screen, [a, b, c]), [c]);
  // Who comes now stands between them, and goes on from there.
  const page = await demo.client.get(demo.messages);
  const seen = page.json.rows.map(({ id }: { id: string }) => id);
  assert.deepEqual(
    [a, b, c].filter((id) => seen.includes(id)),
    [c],
  );
  await second.query("commit");
  await told(screen, b);
  await first.query("commit");
  await told(screen, a);
  await settled(screen);
  assert.deepEqual(ids(screen, [a, b, c]), [c, b, a]);
  const later = await demo.look(demo.messages);
  const resumed = await later.socket.sub(`${demo.messages}&limit=50`, {
    from: page.headers.get("tims-position"),
  });
  assert.equal(resumed.json.t, "resumed", resumed.text.slice(0, 200));
  const missed = resumed.json.ops.map(({ id }: { id: string }) => id);
  assert.ok(missed.includes(a) && missed.includes(b), "what the page could not show comes");
  assert.ok(!missed.includes(c), "what it has shown does not");
});

test("a transaction that stays open for long loses nothing and holds up nobody", async () => {
  const screen = await demo.look();
  const slow = await demo.prompt();
  await slow.query("begin");
  const late = [await demo.write(slow, "late 0")];
  const quick: string[] = [];
  for (let i = 0; i < 30; i++) {
    const answer = await demo.client.post("/api/messages/", { chat: demo.chat, text: `quick ${i}` });
    assert.equal(answer.status, 201);
    quick.push(answer.json.id);
    if (i % 10 === 0) late.push(await demo.write(slow, `late ${late.length}`));
  }
  await told(screen, quick.at(-1) as string);
  // Within one frame rows come as the list has them; ids grow with time.
  assert.deepEqual(ids(screen, quick).sort(), quick, "each once, while the other is open");
  assert.deepEqual(ids(screen, late), []);
  await slow.query("commit");
  await told(screen, late.at(-1) as string);
  await settled(screen);
  assert.deepEqual(ids(screen, late).sort(), [...late].sort());
  assert.deepEqual(ids(screen, quick).sort(), quick, "and nothing twice");
});

test("what a savepoint takes back is not told, what stays is", async () => {
  const screen = await demo.look();
  const prompt = await demo.prompt();
  await prompt.query("begin");
  const before = await demo.write(prompt, "before the savepoint");
  await prompt.query("savepoint one");
  const undone = await demo.write(prompt, "taken back");
  await prompt.query("savepoint two");
  const undoneToo = await demo.write(prompt, "taken back too");
  await prompt.query("release two");
  await prompt.query("rollback to one");
  const after = await demo.write(prompt, "after the savepoint");
  await prompt.query("savepoint three");
  const kept = await demo.write(prompt, "in a savepoint that is kept");
  await prompt.query(`update message set text = 'changed in it' where id = '${before}'`);
  await prompt.query("release three");
  await prompt.query("commit");
  await settled(screen);
  assert.deepEqual(
    ids(screen, [before, undone, undoneToo, after, kept]).sort(),
    [before, after, kept].sort(),
  );
  assert.equal(toldOf(screen, before)[0]?.row?.text, "changed in it");
  await prompt.query("begin");
  const never = await demo.write(prompt, "rolled back");
  await prompt.query("rollback");
  await settled(screen);
  assert.deepEqual(toldOf(screen, never), []);
});

test("a row of 1 MB is told whole when another of its columns changes", async () => {
  const screen = await demo.look();
  const prompt = await demo.prompt();
  const large = "0123456789abcdef".repeat(65_536);
  const id = await demo.write(prompt, large);
  await told(screen, id);
  await prompt.query("update message set created_at = created_at + interval '1 second' where id = $1", [id]);
  await until("the second put", () => toldOf(screen, id).length === 2);
  const [first, second] = toldOf(screen, id);
  assert.equal(second?.row?.text, large);
  assert.notEqual(second?.row?.created_at, first?.row?.created_at);
  await prompt.query("delete from message where id = $1", [id]);
  await told(screen, id, "del");
});

test("a prepared transaction is told when it is committed, and not before", async () => {
  const screen = await demo.look();
  const [prompt, other] = [await demo.prompt(), await demo.prompt()];
  await prompt.query("begin");
  const kept = await demo.write(prompt, "in two phases");
  await prompt.query("prepare transaction 'kept'");
  await prompt.query("begin");
  const dropped = await demo.write(prompt, "given up in the second phase");
  await prompt.query("prepare transaction 'dropped'");
  await prompt.end();
  await settled(screen);
  assert.deepEqual(ids(screen, [kept, dropped]), []);
  await other.query("commit prepared 'kept'");
  await other.query("rollback prepared 'dropped'");
  await told(screen, kept);
  await settled(screen);
  assert.deepEqual(ids(screen, [kept, dropped]), [kept]);
});

test("what psql writes is on screens within 100 ms", async (t) => {
  const screen = await demo.look();
  const prompt = await demo.prompt();
  const times: number[] = [];
  for (let i = 0; i < 40; i++) {
    const id = crypto.randomUUID();
    const started = performance.now();
    if (i % 4 === 0)
      await promisify(execFile)(
        ...shellCommand(
          demo.url,
          `insert into message (id, chat, sender, text, created_at)
           values ('${id}', '${demo.chat}', '${demo.client.user.id}', 'by psql', now())`,
        ),
      );
    else await demo.write(prompt, `by hand ${i}`, id);
    await told(screen, id);
    const frame = screen.socket.frames.find(({ text }) => text.includes(id));
    times.push((frame?.at ?? Number.POSITIVE_INFINITY) - started);
  }
  times.sort((a, b) => a - b);
  const [median, most] = [times[20] as number, times.at(-1) as number];
  t.diagnostic(
    `from the statement to the screen: median ${median.toFixed(1)} ms, at most ${most.toFixed(1)} ms`,
  );
  assert.ok(median <= 100, `median ${median} ms`);
  assert.ok(most <= 1000, `at most ${most} ms`);
});

test("an update in one statement of many rows is one step", async () => {
  const screen = await demo.look();
  const prompt = await demo.prompt();
  await prompt.query("update message set text = text || '!' where chat = $1", [demo.chat]);
  const isPut = ({ op }: { op: string }) => op === "put";
  const steps = () => screen.socket.frames.filter(({ json }) => json.t === "tx" && json.ops.some(isPut));
  await until("the puts", () => steps().length > 0);
  await settled(screen);
  const counts = steps().map(({ json }) => json.ops.filter(isPut).length);
  assert.ok((counts[0] as number) >= 50, `${counts}`);
  const page = await demo.client.get(demo.messages);
  assert.equal(page.json.rows.filter(({ text }: { text: string }) => text.endsWith("!")).length, 49);
});

test("TRUNCATE empties every screen", async () => {
  const screen = await demo.look();
  const prompt = await demo.prompt();
  await prompt.query("truncate message");
  const load = await until("a load", () => screen.socket.ops().find(({ op }) => op === "load"));
  assert.deepEqual(load.document.rows, []);
  assert.equal(load.document.total, 0);
  const id = await demo.write(prompt, "the first again");
  await told(screen, id);
});
