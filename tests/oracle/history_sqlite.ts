// history_sqlite.ts: the history of an SQLite database. A position is the number of a change in the log, so each change
// is a step of its own; only some of them are ends of transactions.
import { DatabaseSync } from "node:sqlite";
import { type Change, History, type State } from "./history.ts";
import { userModel, type World } from "./world.ts";

interface LogRow extends Omit<Change, "transaction"> {
  position: number;
}

// Versions that are this far behind are forgotten; who stands further back is not asked.
const KEPT_POSITIONS = 60_000;

export function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA busy_timeout = 20000; PRAGMA foreign_keys = ON; PRAGMA synchronous = NORMAL");
  return database;
}

// Before the first change.
export function installLog(database: DatabaseSync, world: World): void {
  const content = [...world.models, userModel].map((model) => {
    const pairs = model.fields.map((field) => `'${field.name}', "${field.name}"`).join(", ");
    return `WHEN '${model.name}' THEN (SELECT json_object(${pairs}) FROM "${model.name}" WHERE id = new.row)`;
  });
  database.exec(`
    CREATE TABLE oracle_log (position INTEGER PRIMARY KEY, model TEXT, op INTEGER, row TEXT, content TEXT);
    CREATE TRIGGER oracle_log AFTER INSERT ON tims_change BEGIN
      INSERT INTO oracle_log VALUES (new.id, new.model, new.op, new.row, CASE new.model ${content.join("\n")} END);
    END`);
}

export class SqliteHistory extends History {
  // Positions in the middle of a transaction that this test wrote itself.
  private readonly inside: { first: number; last: number }[] = [];
  private readonly database: DatabaseSync;

  constructor(path: string, world: World) {
    super(world);
    this.database = openDatabase(path);
  }

  async close(): Promise<void> {
    this.database.close();
  }

  get position(): number {
    return this.step;
  }

  get seen(): number {
    return this.step;
  }

  refresh(): void {
    const rows = this.database
      .prepare(
        "SELECT position, model, op, row, content FROM oracle_log WHERE position > ? ORDER BY position",
      )
      .all(this.step) as unknown as LogRow[];
    for (const row of rows) {
      this.step = row.position;
      this.take({ ...row, transaction: "" }, row.position);
    }
    if (this.step - this.forgotten > 2 * KEPT_POSITIONS) this.forget(this.step - KEPT_POSITIONS);
  }

  async poll(): Promise<void> {
    this.refresh();
  }

  states(position: number): State[] {
    return position >= this.forgotten ? [{ step: position }] : [];
  }

  addTransaction(first: number, last: number): void {
    if (last > first) this.inside.push({ first, last });
    if (this.inside.length > 5000) this.inside.splice(0, 1000);
  }

  torn(position: number): string | null {
    const found = this.inside.findLast(({ first, last }) => position >= first && position < last);
    return found ? `${position} lies in the transaction ${found.first}…${found.last}` : null;
  }
}
