// A backup that is put back: its positions were given out already, for something else. A new epoch tells clients.
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { signedIn } from "../client.ts";
import { removeFolder, type Server, sql, startServer } from "../server.ts";

const isSqlite = (process.env.TIMS_TEST_DATABASE ?? "sqlite") === "sqlite";

let server: Server;
before(async () => {
  server = await startServer();
});
after(async () => {
  await server?.stop();
  if (server) removeFolder(server.folder);
});

const fileOf = (one: Server) => join(one.folder, one.database.replace(/^sqlite:/, "").replace(/^.*\//, ""));
async function standsAt(): Promise<{ epoch: string; position: number }> {
  const answer = await (await signedIn(server, "demo")).get("/api/chats/");
  const [epoch = "", position] = answer.json.position.split("-");
  return { epoch, position: Number(position) };
}
async function say(count: number): Promise<void> {
  const demo = await signedIn(server, "demo");
  const chat = sql(server, "select id from chat where title = 'Welcome'");
  for (let i = 0; i < count; i++)
    assert.equal((await demo.post("/api/messages/", { chat, text: `word ${i}` })).status, 201);
}
async function again(meanwhile: () => void = () => {}): Promise<void> {
  await server.stop();
  meanwhile();
  server = await startServer({ folder: server.folder });
}

test("a restart keeps the epoch", { skip: !isSqlite }, async () => {
  const before = await standsAt();
  await say(2);
  await again();
  const now = await standsAt();
  assert.equal(now.epoch, before.epoch);
  assert.ok(now.position >= before.position + 2);
});

test("an older copy begins another, though it has caught up since", { skip: !isSqlite }, async () => {
  const copy = `${fileOf(server)}.copy`;
  sql(server, `vacuum into '${copy}'`);
  await say(5);
  const before = await standsAt();
  await again(() => {
    for (const end of ["-wal", "-shm"]) rmSync(fileOf(server) + end, { force: true });
    copyFileSync(copy, fileOf(server));
  });
  await say(10);
  const now = await standsAt();
  assert.notEqual(now.epoch, before.epoch);
  assert.ok(now.position >= before.position, "by its number alone it would pass for the same");
  await again();
  assert.equal((await standsAt()).epoch, now.epoch);
});

for (const [name, text] of [
  ["none", null],
  ["a torn", "0123456789abcdef-4"],
  ["another database's", "0123456789abcdef-4\n"],
  ["an unreadable", "\u0000\u0001\n"],
] as const)
  test(`${name} witness begins an epoch`, { skip: !isSqlite }, async () => {
    const before = await standsAt();
    const path = `${fileOf(server)}-witness`;
    assert.match(readFileSync(path, "utf8"), new RegExp(`^${before.epoch}-\\d+\n$`));
    await again(() => (text === null ? rmSync(path) : writeFileSync(path, text)));
    assert.notEqual((await standsAt()).epoch, before.epoch);
  });
