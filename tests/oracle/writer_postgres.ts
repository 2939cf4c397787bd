// writer_postgres.ts: the foreign program on PostgreSQL: several hands at once, whose transactions are long or short,
// have savepoints that are rolled back, are prepared and committed later, and end in another order than they began.
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import type { History } from "./history.ts";
import { isAway } from "./history_postgres.ts";
import type { Random } from "./random.ts";
import type { Pools } from "./urls.ts";
import { formatTime, type Value } from "./values.ts";
import { baseKind, type Field, type World } from "./world.ts";
import { type Hand, type Parameter, Writer } from "./writer.ts";

const HANDS = 4;

// 23: a constraint; 40: a deadlock or the like; 55P03: a lock that somebody holds for long; 25P02: what follows one of
// these; 42704: a prepared transaction that somebody else has ended.
const REFUSED = /^(23|40|55P03|25P02|42704)/;
const isRefused = (error: unknown) => REFUSED.test((error as { code?: string }).code ?? "");

function bind(field: Field, value: Value): Value | boolean {
  if (value === null) return null;
  if (baseKind(field) === "bool") return value === 1;
  return baseKind(field) === "time" ? formatTime(Number(value)) : value;
}

class PostgresHand implements Hand {
  // Whether each statement has a savepoint of its own, so that one that is refused does not spoil the rest.
  careful = false;
  isBusy = false;
  private readonly url: string;
  private client: pg.Client | null = null;

  constructor(url: string) {
    this.url = url;
  }

  private async connect(): Promise<void> {
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: 5_000 });
    client.on("error", () => {
      this.client = null;
    });
    await client.connect();
    await client.query("SET lock_timeout = '3s'");
    this.client = client;
  }

  async begin(): Promise<void> {
    if (!this.client) await this.connect();
    await this.query("BEGIN");
  }

  // On the connection that was there at the beginning.
  async query(sql: string, values: (Value | boolean)[] = []): Promise<pg.QueryResult> {
    if (!this.client) throw new Error("the connection is lost");
    return this.client.query(sql, values);
  }

  async run(sql: string, ...parameters: Parameter[]): Promise<void> {
    let count = 0;
    const text = sql.replaceAll("?", () => `$${++count}`);
    const values = parameters.map(([field, value]) => bind(field, value));
    if (!this.careful) {
      await this.query(text, values);
      return;
    }
    await this.query("SAVEPOINT one");
    try {
      await this.query(text, values);
      await this.query("RELEASE one");
    } catch (error) {
      if (!isRefused(error)) throw error;
      await this.query("ROLLBACK TO one");
    }
  }

  // A connection that may be in the middle of something is not used again.
  async drop(): Promise<void> {
    const { client } = this;
    this.client = null;
    await client?.end().catch(() => undefined);
  }
}

export class PostgresWriter extends Writer {
  // Transactions by how they ended.
  readonly ends: Record<string, number> = {};
  private readonly hands: PostgresHand[];
  private readonly url: string;
  private readonly blame: (error: unknown) => void;
  private names = 0;

  constructor(
    url: string,
    world: World,
    history: History,
    pools: Pools,
    random: Random,
    blame: (error: unknown) => void,
  ) {
    super(world, history, pools, random);
    this.url = url;
    this.hands = Array.from({ length: HANDS }, () => new PostgresHand(url));
    this.blame = blame;
  }

  async close(): Promise<void> {
    for (const hand of this.hands) await hand.drop();
  }

  // Starts a transaction when a hand is free for it.
  async step(): Promise<void> {
    const hand = this.hands.find((one) => !one.isBusy);
    if (hand) void this.use(hand, () => this.anything(hand)).catch(this.blame);
  }

  async transaction(work: (hand: Hand) => Promise<void>): Promise<void> {
    await this.finish();
    const hand = this.hands[0] as PostgresHand;
    hand.careful = true;
    await this.use(hand, async () => {
      await hand.begin();
      await work(hand);
      await hand.query("COMMIT");
      return "committed";
    });
  }

  // A transaction that was refused, or whose database has gone, has changed nothing, or is in the history.
  private async use(hand: PostgresHand, work: () => Promise<string>): Promise<void> {
    hand.isBusy = true;
    let end = "";
    try {
      end = await work();
    } catch (error) {
      await hand.drop();
      if (!isRefused(error) && !isAway(error)) throw error;
      end = isAway(error) ? "lost" : "refused";
    } finally {
      hand.isBusy = false;
      this.ends[end] = (this.ends[end] ?? 0) + 1;
    }
  }

  // How it ended.
  private async anything(hand: PostgresHand): Promise<string> {
    const { random } = this;
    hand.careful = random.chance(0.5);
    const isLong = random.chance(0.2);
    const count = random.chance(0.4) ? 1 : random.between(2, 8);
    await hand.begin();
    if (random.chance(0.03)) await this.bulk(hand);
    for (let i = 0; i < count; i++) {
      if (random.chance(0.15)) await this.takenBack(hand);
      await this.change(hand);
      await pause(random.between(0, isLong ? 400 : 8));
    }
    if (random.chance(0.08)) return this.inTwoPhases(hand);
    const takeBack = random.chance(0.08);
    await hand.query(takeBack ? "ROLLBACK" : "COMMIT");
    return takeBack ? "rolled back" : isLong ? "committed late" : "committed";
  }

  // Changes that a savepoint takes back, inside of changes that stay.
  private async takenBack(hand: PostgresHand): Promise<void> {
    await hand.query("SAVEPOINT taken_back");
    try {
      for (let i = this.random.between(1, 3); i > 0; i--) await this.change(hand);
    } catch (error) {
      if (!isRefused(error)) throw error;
    }
    await hand.query("ROLLBACK TO taken_back");
  }

  private async inTwoPhases(hand: PostgresHand): Promise<string> {
    const name = `'oracle ${++this.names}'`;
    await hand.query(`PREPARE TRANSACTION ${name}`);
    await pause(this.random.between(0, 500));
    const takeBack = this.random.chance(0.3);
    await hand.query(`${takeBack ? "ROLLBACK" : "COMMIT"} PREPARED ${name}`);
    return takeBack ? "rolled back in two phases" : "committed in two phases";
  }

  // Waits for what is open, and commits what was left prepared when its connection was lost.
  async finish(): Promise<void> {
    while (this.hands.some((hand) => hand.isBusy)) await pause(5);
    const client = new pg.Client(this.url);
    await client.connect();
    const { rows } = await client.query(
      "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()",
    );
    for (const { gid } of rows) await client.query(`COMMIT PREPARED '${gid}'`);
    await client.end();
  }
}
