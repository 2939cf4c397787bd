// The oracle's own memory of a PostgreSQL database: nothing that was committed is missing in it, also after a crash.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { installLog, PostgresHistory } from "../oracle/history_postgres.ts";
import { Network } from "../oracle/network.ts";
import type { World } from "../oracle/world.ts";
import { Postgres } from "../postgres.ts";
import { until } from "../server.ts";

const DATABASE = "oracle";
const ID = "00000000-0000-7000-8000-000000000001";

let postgres: Postgres;
let network: Network; // between the history and the database
let history: PostgresHistory;
before(async () => {
  // What is not committed is not written either, so a crash takes it back, and its number.
  postgres = await Postgres.open({ settings: { wal_writer_delay: "10s" } });
  const url = postgres.createDatabase(DATABASE);
  postgres.sql(
    `CREATE TABLE "user" (id text PRIMARY KEY, username text, display_name text, avatar text, staff bool,
                          created_at timestamptz)`,
    DATABASE,
  );
  const world = { models: [], resources: [] } as unknown as World;
  await installLog(url, world);
  network = await Network.open(() => ({ host: postgres.address, port: postgres.port }));
  history = new PostgresHistory(url.replace(String(postgres.port), String(network.port)), world);
});
after(async () => {
  network?.set("none");
  await history?.close();
  network?.close();
  await postgres?.remove();
});

const name = (display: string) => `UPDATE "user" SET display_name = '${display}' WHERE id = '${ID}'`;
const held = (state = history.now) => history.rowAt("user", ID, state)?.raw.display_name;
const lastNumber = () => Number(postgres.sql("SELECT pg_snapshot_xmax(pg_current_snapshot())", DATABASE)) - 1;
// Numbers of transactions that leave nothing.
const waste = (count: number) => postgres.sql(`BEGIN; ${name("never")}; ROLLBACK; `.repeat(count), DATABASE);

test("a transaction under a number that a crash has taken from another is in the history", async () => {
  postgres.sql(
    `INSERT INTO "user" (id, username, display_name) VALUES ('${ID}', 'one', 'at first')`,
    DATABASE,
  );
  await history.poll();
  const before = history.position;
  waste(3);
  await history.poll();
  const seen = history.seen;
  assert.equal(held(), "at first");

  // The history is kept away until more has come than there was.
  network.set("closed");
  await postgres.stop("immediate");
  await postgres.start();
  const lost = lastNumber();
  assert.ok(lost < seen, `the crash has taken no number: ${lost}, ${seen}`);
  postgres.sql(name("after the crash"), DATABASE);
  assert.equal(lastNumber(), lost + 1);
  waste(seen + 1 - lost);
  network.set("none");
  await history.poll();
  await until("the history to have come to where the database is", () => history.seen === seen + 2);

  assert.equal(held(), "after the crash");
  assert.equal(history.insertsOf(ID), 1);
  assert.equal(history.era, 2);
  // A position that has been there twice means either; one that was not looked at in between, too.
  const of = (position: number) => new Set(history.states(position).map((state) => held(state)));
  assert.deepEqual(of(before), new Set(["at first"]));
  assert.deepEqual(of(seen), new Set(["at first", "after the crash"]));
  // Who stood there before the crash, unseen, may have had neither.
  assert.deepEqual(of(seen + 2), new Set(["at first", "after the crash"]));

  postgres.sql(name("and on"), DATABASE);
  await history.poll();
  assert.equal(held(), "and on");
  assert.equal(history.era, 2);
});
