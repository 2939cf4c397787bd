// The cache of answers, on an app drawn from a seed (random models, rules and references): what is kept is never older
// than what a read would have given, and never another's. Each answer that is found is also read again by the server.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { onPostgres } from "../database.ts";

process.env.TIMS_PROGRAM = join(import.meta.dirname, "../../build/release/oracle_app");
const { SqliteStage } = await import("../oracle/stage_sqlite.ts");
const { PostgresStage } = await import("../oracle/stage_postgres.ts");
const { counted, Readers } = await import("../oracle/readers.ts");
const { Random } = await import("../oracle/random.ts");

const drawn = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));

for (const seed of onPostgres ? [drawn] : [11, drawn])
  test(`whatever is written, each answer is what the database was at its position (seed ${seed})`, async (t) => {
    const env = { CACHE_CHECK: "true", COMPRESS: "false" };
    const random = new Random(seed);
    const stage = onPostgres
      ? await PostgresStage.open(random, { nodes: 2, partitions: false, env })
      : await SqliteStage.open(random, env);
    try {
      const readers = new Readers(stage, { seed, seconds: 5, readers: 6, urls: 12 });
      await readers.run();
      await readers.quiet();
      const hits = await counted(stage, 'tims_cache_hits_total{kind="json"}');
      const changed = await counted(stage, 'tims_cache_invalidations_total{kind="json"}');
      t.diagnostic(
        `${readers.answered} answers, ${hits} kept, ${readers.notModified} not modified, ${changed} invalidated`,
      );
      assert.equal(await counted(stage, "tims_cache_stale_total"), 0);
      assert.ok(hits > readers.answered / 20, `only ${hits} of ${readers.answered} answers were kept`);
      assert.ok(changed > 0);
      assert.ok(readers.checker.checked > readers.answered / 4);
      assert.equal(stage.complaints().trim(), "");
    } finally {
      await stage.close();
    }
  });
