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
    CREATE INDEX ON oracle_log (xid);
    CREATE INDEX ON oracle_log (id)`);
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

interface Snapshot {
  end: bigint; // of the numbers of transactions that it knows
  running: ReadonlySet<bigint>;
  position: number;
}

// Of "xmin:xmax:xid,xid".
function readSnapshot(text: string): Snapshot {
  const [, xmax = "", xids = ""] = text.split(":");
  const running = new Set(
    xids
      .split(",")
      .filter((xid) => xid !== "")
      .map(BigInt),
  );
  return { end: BigInt(xmax), running, position: Number(xmax) - 1 - running.size };
}

// All sets of some things, the smallest first.
function setsOf(things: string[]): Set<string>[] {
  const sets = Array.from(
    { length: 2 ** things.length },
    (_, bits) => new Set(things.filter((_, i) => bits & (1 << i))),
  );
  return sets.sort((a, b) => a.size - b.size);
}

interface Look {
  snapshot: string;
  last: string | null;
  changes: Change[] | null;
}

interface Step {
  first: number; // the position at which it was seen first
  last: number; // … and last
  transactions: string[];
  isLeft?: true; // what a crash has left: nobody looked
}

export class PostgresHistory extends History {
  // Transactions that became visible after others which had begun to write later.
  outOfOrder = 0;
  private readonly url: string;
  private client: pg.Client | null = null;
  private snapshot = "1:1:";
  private lastId = "0"; // the greatest of the log's that was taken
  private readonly steps: Step[] = [];
  // Steps at which positions began anew: after a crash numbers of transactions that left no trace come again. Only the
  // numbers of the log's rows do not, so what has come by then is found by these.
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

  get era(): number {
    return this.eras.length;
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
      const { rows } = await client.query<Look>({
        name: "look",
        text: `SELECT pg_current_snapshot()::text AS snapshot,
                 (SELECT max(id)::text FROM oracle_log) AS last,
                 (SELECT json_agg(json_build_object('transaction', xid::text, 'model', model, 'op', op, 'row', "row",
                                                    'content', content) ORDER BY id)
                  FROM oracle_log WHERE id > $2::bigint OR (xid >= pg_snapshot_xmin($1::pg_snapshot)
                    AND NOT pg_visible_in_snapshot(xid, $1::pg_snapshot))) AS changes`,
        values: [this.snapshot, this.lastId],
      });
      const [{ snapshot, last, changes }] = rows as [Look];
      this.takeStep(snapshot, changes ?? []);
      if (last !== null && BigInt(last) > BigInt(this.lastId)) this.lastId = last;
      return true;
    } catch (error) {
      if (!isAway(error)) throw error;
      this.client = null;
      return false;
    }
  }

  private takeStep(text: string, changes: Change[]): void {
    const before = readSnapshot(this.snapshot);
    const { position } = readSnapshot(text);
    this.snapshot = text;
    const transactions = [...new Set(changes.map(({ transaction }) => transaction))];
    const begun = transactions.map(BigInt).filter((xid) => !before.running.has(xid));
    const isAnew = position < this.seen || begun.some((xid) => xid < before.end);
    if (isAnew) this.beginEra(position, transactions.length, begun, before.running.size);
    if (changes.length > 0 || this.steps.length === 0 || isAnew) {
      this.steps.push({ first: position, last: position, transactions });
      this.step = this.steps.length - 1;
      for (const change of changes) this.take(change, this.step);
      this.countOrder(transactions.map(BigInt));
      if (this.step - this.forgotten > 2 * KEPT_STEPS) this.forget(this.step - KEPT_STEPS);
    }
    (this.steps.at(-1) as Step).last = position;
  }

  // Where something has come since the crash, somebody may stand before it: at what the crash has left.
  private beginEra(position: number, came: number, begun: bigint[], running: number): void {
    this.eras.push(this.steps.length);
    if (came === 0) return;
    const first = Math.min(position - came, ...begun.map((xid) => Number(xid) - 1 - running));
    this.steps.push({ first, last: first, transactions: [], isLeft: true });
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
    const isInside = position <= (this.steps[step] as Step).last;
    // Before a crash, too, something may have come that was not looked at.
    if (!isInside && this.steps[step + 1]?.isLeft) step++;
    const next = this.steps[step + 1];
    if (isInside || next === undefined) return [{ step }];
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
