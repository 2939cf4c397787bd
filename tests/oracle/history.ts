// history.ts: what every row was at every position, whoever wrote it.
//
// Triggers of the test's own keep each row as each change has left it, in the same transaction. So what a client claims
// to hold at position p can be compared with what the database was at p, long after it has moved on. How they are read,
// and what a position says, is the database's: history_sqlite.ts, history_postgres.ts.
import { toApi, type Value } from "./values.ts";
import { type Model, userModel, type World } from "./world.ts";

export interface Row {
  id: string;
  raw: Record<string, Value>;
  // As GET shows it; fields that are hidden left out.
  api: Record<string, unknown> & { id: string };
}

// A state of the database: all that had come by a step of the history, and of the next step some transactions.
export interface State {
  step: number;
  also?: ReadonlySet<string>;
}

interface Version {
  step: number;
  transaction: string;
  row: Row | null;
}

// What a trigger has kept; op 1 is an insert. `content` is the row as JSON, null when it is gone.
export interface Change {
  transaction: string;
  model: string;
  op: number;
  row: string;
  content: string | null;
}

export abstract class History {
  protected step = 0;
  protected forgotten = 0; // states before this step are not remembered
  protected readonly models: Map<string, Model>;
  private readonly versions = new Map<string, Map<string, Version[]>>();
  private readonly inserts = new Map<string, number>();
  private readonly marks = new Map<string, number>();

  constructor(world: World) {
    this.models = new Map([...world.models, userModel].map((model) => [model.name, model]));
    for (const name of this.models.keys()) this.versions.set(name, new Map());
  }

  // The position after the last change that is known.
  abstract get position(): number;
  // Positions up to here can be looked up.
  abstract get seen(): number;
  // How often positions have begun anew: then one may have meant something else before.
  get era(): number {
    return 1;
  }
  // Takes in what has been committed, as far as that takes no waiting.
  abstract refresh(): void;
  // Takes in all that has been committed by now.
  abstract poll(): Promise<void>;
  // What the database may have been at a position; none: that is not remembered.
  abstract states(position: number): State[];
  // Why nobody may ever stand at a position; null: somebody may.
  abstract torn(position: number): string | null;
  abstract close(): Promise<void>;

  get now(): State {
    return { step: this.step };
  }

  protected take(change: Change, step: number): void {
    const model = this.models.get(change.model);
    if (!model) return;
    const table = this.versions.get(change.model) as Map<string, Version[]>;
    const list = table.get(change.row) ?? [];
    if (list.length === 0) table.set(change.row, list);
    const row = change.content === null ? null : readRow(model, change.content);
    this.count(change, list.at(-1)?.row ?? null, row);
    list.push({ step, transaction: change.transaction, row });
  }

  private count(change: Change, before: Row | null, after: Row | null): void {
    if (change.op === 1) this.inserts.set(change.row, (this.inserts.get(change.row) ?? 0) + 1);
    const mark = after?.raw.mark;
    if (typeof mark === "string" && mark !== before?.raw.mark)
      this.marks.set(mark, (this.marks.get(mark) ?? 0) + 1);
  }

  protected forget(step: number): void {
    this.forgotten = step;
    for (const table of this.versions.values())
      for (const list of table.values()) {
        const first = list.findLastIndex((version) => version.step <= step);
        if (first > 0) list.splice(0, first);
      }
  }

  // How often a row of this id was inserted, and a mark written.
  insertsOf(id: string): number {
    return this.inserts.get(id) ?? 0;
  }

  marksOf(mark: string): number {
    return this.marks.get(mark) ?? 0;
  }

  rowAt(model: string, id: string, state: State = this.now): Row | null {
    return rowOf(this.versions.get(model)?.get(id) ?? [], state);
  }

  rowsAt(model: string, state: State = this.now): Row[] {
    const lists = [...(this.versions.get(model)?.values() ?? [])];
    return lists.map((list) => rowOf(list, state)).filter((row) => row !== null);
  }

  protected describeStep(step: number): string {
    return `at ${step}`;
  }

  // The latest versions of a row, for people.
  describe(model: string, id: string, state: State): string {
    const list = this.versions.get(model)?.get(id) ?? [];
    const near = list.filter(({ step }) => step <= state.step + 50).slice(-6);
    return near
      .map(({ step, transaction, row }) => {
        const by = transaction ? ` by ${transaction}` : "";
        return `    ${this.describeStep(step)}${by}: ${JSON.stringify(row?.raw ?? "gone")}`;
      })
      .join("\n");
  }
}

function rowOf(list: Version[], { step, also }: State): Row | null {
  const version = list.findLast(
    (one) => one.step <= step || (also !== undefined && one.step === step + 1 && also.has(one.transaction)),
  );
  return version?.row ?? null;
}

function readRow(model: Model, content: string): Row {
  const raw = JSON.parse(content) as Record<string, Value>;
  const api: Row["api"] = { id: String(raw.id) };
  for (const field of model.fields)
    if (!field.hidden) api[field.name] = toApi(field, raw[field.name] ?? null);
  return { id: String(raw.id), raw, api };
}
