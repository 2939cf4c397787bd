// history.ts: what every row was at every position, whoever wrote it.
//
// A trigger of the test's own on the change log keeps each row as it was left by the very change that the log has
// numbered, in the same transaction. So what a client claims to hold at position p can be compared with what the
// database was at p, long after it has moved on.
import { DatabaseSync } from "node:sqlite";
import { toApi, type Value } from "./values.ts";
import { type Model, userModel, type World } from "./world.ts";

export interface Row {
  id: string;
  raw: Record<string, Value>;
  // As GET shows it; fields that are hidden left out.
  api: Record<string, unknown> & { id: string };
}

interface Version {
  position: number;
  row: Row | null;
}

interface LogRow {
  position: number;
  model: string;
  op: number;
  row: string;
  content: string | null;
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

export class History {
  position = 0;
  private readonly models: Map<string, Model>;
  private readonly versions = new Map<string, Map<string, Version[]>>();
  private readonly inserts = new Map<string, number>();
  private readonly marks = new Map<string, number>();
  // Positions in the middle of a transaction that this test wrote itself: nobody may ever stand there.
  private readonly torn: { first: number; last: number }[] = [];
  private readonly database: DatabaseSync;
  private kept = 0;

  constructor(path: string, world: World) {
    this.database = openDatabase(path);
    this.models = new Map([...world.models, userModel].map((model) => [model.name, model]));
    for (const name of this.models.keys()) this.versions.set(name, new Map());
  }

  close(): void {
    this.database.close();
  }

  // Takes in what has been committed since the last time.
  poll(): void {
    const rows = this.database
      .prepare(
        "SELECT position, model, op, row, content FROM oracle_log WHERE position > ? ORDER BY position",
      )
      .all(this.position) as unknown as LogRow[];
    for (const row of rows) this.take(row);
    if (this.position - this.kept > 2 * KEPT_POSITIONS) this.forget();
  }

  private take(entry: LogRow): void {
    this.position = entry.position;
    const model = this.models.get(entry.model);
    if (!model) return;
    const table = this.versions.get(entry.model) as Map<string, Version[]>;
    const list = table.get(entry.row) ?? [];
    if (list.length === 0) table.set(entry.row, list);
    const row = entry.content === null ? null : readRow(model, entry.content);
    this.count(entry, list.at(-1)?.row ?? null, row);
    list.push({ position: entry.position, row });
  }

  private count(entry: LogRow, before: Row | null, after: Row | null): void {
    if (entry.op === 1) this.inserts.set(entry.row, (this.inserts.get(entry.row) ?? 0) + 1);
    const mark = after?.raw.mark;
    if (typeof mark === "string" && mark !== before?.raw.mark)
      this.marks.set(mark, (this.marks.get(mark) ?? 0) + 1);
  }

  private forget(): void {
    this.kept = this.position - KEPT_POSITIONS;
    for (const table of this.versions.values())
      for (const list of table.values()) {
        const first = list.findLastIndex((version) => version.position <= this.kept);
        if (first > 0) list.splice(0, first);
      }
  }

  remembers(position: number): boolean {
    return position >= this.kept;
  }

  // How often a row of this id was inserted, and a mark written.
  insertsOf(id: string): number {
    return this.inserts.get(id) ?? 0;
  }

  marksOf(mark: string): number {
    return this.marks.get(mark) ?? 0;
  }

  addTransaction(first: number, last: number): void {
    if (last > first) this.torn.push({ first, last });
    if (this.torn.length > 5000) this.torn.splice(0, 1000);
  }

  // The transaction in whose middle a position lies.
  tornAt(position: number): { first: number; last: number } | undefined {
    return this.torn.findLast(({ first, last }) => position >= first && position < last);
  }

  rowAt(model: string, id: string, position: number): Row | null {
    const list = this.versions.get(model)?.get(id);
    return list?.findLast((version) => version.position <= position)?.row ?? null;
  }

  rowsAt(model: string, position: number): Row[] {
    const rows: Row[] = [];
    for (const list of this.versions.get(model)?.values() ?? []) {
      const row = list.findLast((version) => version.position <= position)?.row;
      if (row) rows.push(row);
    }
    return rows;
  }

  // The latest versions of a row, for people.
  describe(model: string, id: string, position: number): string {
    const list = this.versions.get(model)?.get(id) ?? [];
    const near = list.filter((version) => version.position <= position + 50).slice(-6);
    return near
      .map((version) => `    ${version.position}: ${JSON.stringify(version.row?.raw ?? "gone")}`)
      .join("\n");
  }
}

function readRow(model: Model, content: string): Row {
  const raw = JSON.parse(content) as Record<string, Value>;
  const api: Row["api"] = { id: String(raw.id) };
  for (const field of model.fields)
    if (!field.hidden) api[field.name] = toApi(field, raw[field.name] ?? null);
  return { id: String(raw.id), raw, api };
}
