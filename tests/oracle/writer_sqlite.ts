// writer_sqlite.ts: the foreign program on SQLite: one writer, so one transaction after the other.
import type { DatabaseSync } from "node:sqlite";
import type { SqliteHistory } from "./history_sqlite.ts";
import type { Random } from "./random.ts";
import type { Pools } from "./urls.ts";
import type { World } from "./world.ts";
import { type Hand, type Parameter, Writer } from "./writer.ts";

export class SqliteWriter extends Writer {
  private readonly database: DatabaseSync;
  private readonly log: SqliteHistory;
  private readonly hand: Hand = { run: async (sql, ...parameters) => this.run(sql, parameters) };

  constructor(database: DatabaseSync, world: World, history: SqliteHistory, pools: Pools, random: Random) {
    super(world, history, pools, random);
    this.database = database;
    this.log = history;
  }

  async close(): Promise<void> {
    this.database.close();
  }

  async finish(): Promise<void> {}

  async step(): Promise<void> {
    if (this.random.chance(0.03)) {
      await this.transaction((hand) => this.bulk(hand));
      return;
    }
    const count = this.random.chance(0.5) ? 1 : this.random.between(2, 8);
    const takeBack = this.random.chance(0.05);
    await this.transaction(async (hand) => {
      for (let i = 0; i < count; i++) await this.change(hand);
    }, takeBack);
  }

  private position(): number {
    const row = this.database.prepare("SELECT max(id) AS id FROM tims_change").get() as { id: number | null };
    return row.id ?? 0;
  }

  async transaction(work: (hand: Hand) => Promise<void>, takeBack = false): Promise<void> {
    this.database.exec("BEGIN IMMEDIATE");
    const before = this.position();
    try {
      await work(this.hand);
    } catch (error) {
      this.database.exec("ROLLBACK");
      throw error;
    }
    const after = this.position();
    this.database.exec(takeBack ? "ROLLBACK" : "COMMIT");
    if (!takeBack) this.log.addTransaction(before + 1, after);
  }

  private run(sql: string, parameters: Parameter[]): void {
    try {
      this.database.prepare(sql).run(...parameters.map(([, value]) => value));
    } catch (error) {
      if (!/constraint/i.test(String(error))) throw error;
    }
  }
}
