// history_postgres.ts: the history of a PostgreSQL database. A position is counted from a snapshot: how many transactions
// have ended. Transactions commit in another order than they write, and nothing in the database says in which.
//
// So the test looks every few milliseconds: a snapshot, and what the one before could not see. A step is what came
// between two looks, mostly one transaction. Where a client stands between two looks, the database may have shown any
// set of the whole transactions of that step: the client must agree with one of these states, and all who stand at
// that position with the same one (checker.ts).
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { type Change, History, type State } from "./history.ts";
import { baseKind, type Field, userModel, type World } from "./world.ts";

const KEPT_STEPS = 20_000;
const LOOK_EVERY_MS = 3;
// Sets of so many transactions are tried; where more came at once, nobody is asked.
const SET_MAX = 6;

function contentOf(field: Field): string {
  const column = `r."${field.name}"`;
  switch (baseKind(field)) {
    case "bool":
      return `${column}::int`;
    case "time":
      return `(extract(epoch FROM ${column}) * 1000000)::bigint`;
    case "json":
      return `${column}::text`;
    default:
      return column;
  }
}

// Before the first change. Of each row at each change, so it is another road than the change log's.
export async function installLog(url: string, world: World): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(`
    CREATE TABLE oracle_log (xid xid8 NOT NULL DEFAULT pg_current_xact_id(), id bigserial, model text, op int,
                             "row" text, content text);
    CREATE INDEX ON oracle_log (xid)`);
  for (const model of [...world.models, userModel]) {
    const pairs = model.fields.map((field) => `'${field.name}', ${contentOf(field)}`).join(", ");
    await client.query(`
      CREATE FUNCTION "oracle_${model.name}"() RETURNS trigger LANGUAGE plpgsql AS $$
      DECLARE r "${model.name}" := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
      BEGIN
        INSERT INTO oracle_log (model, op, "row", content) VALUES ('${model.name}',
          CASE TG_OP WHEN 'INSERT' THEN 1 WHEN 'UPDATE' THEN 2 ELSE 3 END, r.id::text,
          CASE WHEN TG_OP <> 'DELETE' THEN json_build_object(${pairs})::text END);
        RETURN NULL;
      END $$;
      CREATE TRIGGER oracle AFTER INSERT OR UPDATE OR DELETE ON "${model.name}"
        FOR EACH ROW EXECUTE FUNCTION "oracle_${model.name}"()`);
  }
  await client.end();
}

// The position of "xmin:xmax:xid,xid".
function positionOf(snapshot: string): number {
  const [, xmax = "", running = ""] = snapshot.split(":");
  return Number(xmax) - 1 - running.split(",").filter((xid) => xid !== "").length;
}

// All sets of some things, the smallest first.
function setsOf(things: string[]): Set<string>[] {
  const sets = Array.from(
    { length: 2 ** things.length },
    (_, bits) => new Set(things.filter((_, i) => bits & (1 << i))),
  );
  return sets.sort((a, b) => a.size - b.size);
}

interface Step {
  first: number; // the position at which it was seen first
  last: number; // … and last
  transactions: string[];
}

export class PostgresHistory extends History {
  // Transactions that became visible after others which had begun to write later.
  outOfOrder = 0;
  private readonly url: string;
  private client: pg.Client | null = null;
  private snapshot = "";
  private readonly steps: Step[] = [];
  // Steps at which positions began anew: after a crash numbers of transactions that left no trace come again.
  private readonly eras = [0];
  private greatest = 0n;
  private looking: Promise<void> = Promise.resolve();
  private closed = false;
  private readonly watching: Promise<void>;

  constructor(url: string, world: World) {
    super(world);
    this.url = url;
    this.watching = this.watch();
  }

  private async watch(): Promise<void> {
    while (!this.closed) {
      await this.poll();
      await pause(LOOK_EVERY_MS);
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.watching;
    await this.client?.end().catch(() => undefined);
  }

  get position(): number {
    return this.steps.at(-1)?.first ?? 0;
  }

  get seen(): number {
    return this.steps.at(-1)?.last ?? -1;
  }

  refresh(): void {} // it watches anyway

  // A look that begins now; waits for a database that is away.
  poll(): Promise<void> {
    const look = async () => {
      while (!(await this.look())) {
        if (this.closed) return;
        await pause(20);
      }
    };
    this.looking = this.looking.then(look);
    return this.looking;
  }

  private async connect(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: 5_000 });
    client.on("error", () => {
      this.client = null;
    });
    await client.connect();
    this.client = client;
    return client;
  }

  private async look(): Promise<boolean> {
    try {
      const client = this.client ?? (await this.connect());
      const { rows } = await client.query<{ snapshot: string; changes: Change[] | null }>({
        name: "look",
        text: `SELECT pg_current_snapshot()::text AS snapshot,
                 (SELECT json_agg(json_build_object('transaction', xid::text, 'model', model, 'op', op, 'row', "row",
                                                    'content', content) ORDER BY id)
                  FROM oracle_log WHERE xid >= pg_snapshot_xmin($1::pg_snapshot)
                    AND NOT pg_visible_in_snapshot(xid, $1::pg_snapshot)) AS changes`,
        values: [this.snapshot || "1:1:"],
      });
      const [{ snapshot, changes }] = rows as [{ snapshot: string; changes: Change[] | null }];
      this.takeStep(snapshot, changes ?? []);
      return true;
    } catch (error) {
      if (!isAway(error)) throw error;
      this.client = null;
      return false;
    }
  }

  private takeStep(snapshot: string, changes: Change[]): void {
    const position = positionOf(snapshot);
    this.snapshot = snapshot;
    const isAnew = position < this.seen;
    if (changes.length > 0 || this.steps.length === 0 || isAnew) {
      const transactions = [...new Set(changes.map(({ transaction }) => transaction))];
      this.steps.push({ first: position, last: position, transactions });
      this.step = this.steps.length - 1;
      if (isAnew) this.eras.push(this.step);
      for (const change of changes) this.take(change, this.step);
      this.countOrder(transactions.map(BigInt));
      if (this.step - this.forgotten > 2 * KEPT_STEPS) this.forget(this.step - KEPT_STEPS);
    }
    (this.steps.at(-1) as Step).last = position;
  }

  private countOrder(transactions: bigint[]): void {
    this.outOfOrder += transactions.filter((one) => one < this.greatest).length;
    for (const one of transactions) if (one > this.greatest) this.greatest = one;
  }

  states(position: number): State[] {
    return this.eras.flatMap((first, i) =>
      this.statesIn(first, this.eras[i + 1] ?? this.steps.length, position),
    );
  }

  // `first` … `end`: the steps of one era.
  private statesIn(first: number, end: number, position: number): State[] {
    let step = end - 1;
    while (step >= first && (this.steps[step] as Step).first > position) step--;
    if (step < Math.max(first, this.forgotten)) return [];
    const next = this.steps[step + 1];
    if (position <= (this.steps[step] as Step).last || next === undefined) return [{ step }];
    if (next.transactions.length > SET_MAX) return [];
    return setsOf(next.transactions).map((also) => ({ step, also }));
  }

  protected describeStep(step: number): string {
    const before = this.steps[step - 1];
    return `between ${before?.last ?? "the start"} and ${this.steps[step]?.first}`;
  }

  torn(): null {
    return null; // a position is a snapshot, and a snapshot shows whole transactions
  }
}

// Whether a database has gone, or not come yet, or has ended this connection: the same may go well later.
export function isAway(error: unknown): boolean {
  const { code = "", message = "" } = error as { code?: string; message?: string };
  return /^(57P0|08|ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH)/.test(code) || /[Cc]onnection|timeout/.test(message);
}
