// writer.ts: a program that is not the server and writes into its database: transactions of several rows that move
// rows across filters, parents, orders and window edges, grant and revoke, now and then all at once or taken back.
// How a transaction is made is the database's: writer_sqlite.ts, writer_postgres.ts.
import type { History } from "./history.ts";
import type { Random } from "./random.ts";
import type { Pools } from "./urls.ts";
import { drawValue, type Value } from "./values.ts";
import { type Field, fieldOf, type Model, userModel, type World } from "./world.ts";

const POOL = 400;
const THINGS = { least: 30, most: 60, max: 120 };
// Enough that people see some things of many, and many grants are doubled.
const GRANTS = { least: 120, most: 240, max: 320 };
const amountOf = (model: Model) => (model.grants ? GRANTS : THINGS);

export function drawPools(random: Random, world: World, users: string[]): Pools {
  const pools: Pools = { user: users };
  for (const model of world.models) pools[model.name] = Array.from({ length: POOL }, () => random.id());
  return pools;
}

// A value for a place of a statement, and the field whose kind it has.
export type Parameter = [Field, Value];

// What changes are made through: an open transaction. A statement that the schema refuses (a parent that is gone, a
// pair that is there) changes nothing.
export interface Hand {
  run(sql: string, ...parameters: Parameter[]): Promise<void>;
}

export abstract class Writer {
  protected readonly world: World;
  protected readonly history: History;
  protected readonly random: Random;
  private readonly pools: Pools;

  constructor(world: World, history: History, pools: Pools, random: Random) {
    this.world = world;
    this.history = history;
    this.pools = pools;
    this.random = random;
  }

  // One transaction, committed when this returns.
  abstract transaction(work: (hand: Hand) => Promise<void>): Promise<void>;
  // The next transaction, of any shape; it may still be open when this returns.
  abstract step(): Promise<void>;
  // Ends what is open.
  abstract finish(): Promise<void>;
  abstract close(): Promise<void>;

  // What is there before anybody looks; parents first, so that there is something to point at.
  async fill(): Promise<void> {
    for (const model of this.world.models) {
      const { least, most } = amountOf(model);
      await this.transaction(async (hand) => {
        for (let i = this.random.between(least, most); i > 0; i--) await this.insert(hand, model);
      });
      await this.history.poll();
    }
  }

  // Something small, by which everybody can be told that all is quiet.
  async touch(): Promise<void> {
    const name = `touched ${this.history.position}`;
    await this.transaction((hand) =>
      hand.run(
        'UPDATE "user" SET display_name = ? WHERE id = ?',
        [fieldOf(userModel, "display_name"), name],
        [fieldOf(userModel, "id"), this.pools.user?.[0] ?? ""],
      ),
    );
  }

  protected async change(hand: Hand): Promise<void> {
    const { random } = this;
    const granting = this.world.models.filter((model) => model.grants);
    const what = random.weighted({ insert: 3, update: 6, move: 2, delete: 1.5, grant: 3, revoke: 3 });
    const member = granting.length > 0 ? random.pick(granting) : undefined;
    const model = random.pick(this.world.models);
    if (what === "grant" && member) await this.insert(hand, member);
    else if (what === "revoke" && member) await this.revoke(hand, member);
    else if (what === "insert" && this.rows(model).length < amountOf(model).max)
      await this.insert(hand, model);
    else if (what === "update")
      await this.update(hand, model, (field) => field.name !== "mark" || random.chance(0.3));
    else if (what === "move") await this.update(hand, model, (field) => field.to !== undefined);
    else await this.remove(hand, model);
  }

  private rows(model: Model) {
    return this.history.rowsAt(model.name);
  }

  private async insert(hand: Hand, model: Model): Promise<void> {
    const values = model.fields.map(
      (field): Parameter => [
        field,
        field.primary
          ? this.random.pick(this.pools[model.name] ?? [])
          : drawValue(this.random, field, this.targets(field)),
      ],
    );
    const names = model.fields.map((field) => `"${field.name}"`).join(", ");
    const places = values.map(() => "?").join(", ");
    await hand.run(
      `INSERT INTO "${model.name}" (${names}) VALUES (${places}) ON CONFLICT DO NOTHING`,
      ...values,
    );
  }

  // What a reference may point at: rows that are there, as far as is known.
  private targets(field: Field): Pools {
    if (!field.to || field.to === "user") return this.pools;
    const ids = this.history.rowsAt(field.to).map((row) => row.id);
    return ids.length > 0 && this.random.chance(0.97) ? { [field.to]: ids } : this.pools;
  }

  private async update(hand: Hand, model: Model, mayChange: (field: Field) => boolean): Promise<void> {
    const rows = this.rows(model);
    const fields = model.fields.filter((field) => !field.primary && mayChange(field));
    if (rows.length === 0 || fields.length === 0) return;
    const field = this.random.pick(fields);
    const value = drawValue(this.random, field, this.targets(field));
    const row = this.random.pick(rows);
    await hand.run(
      `UPDATE "${model.name}" SET "${field.name}" = ? WHERE id = ?`,
      [field, value],
      [fieldOf(model, "id"), row.id],
    );
  }

  private async remove(hand: Hand, model: Model): Promise<void> {
    const rows = this.rows(model);
    if (rows.length > 0) await this.removeOne(hand, model, this.random.pick(rows).id);
  }

  private async removeOne(hand: Hand, model: Model, id: string): Promise<void> {
    await hand.run(`DELETE FROM "${model.name}" WHERE id = ?`, [fieldOf(model, "id"), id]);
  }

  // One grant, or everything somebody has.
  private async revoke(hand: Hand, model: Model): Promise<void> {
    const rows = this.rows(model);
    if (rows.length === 0) return;
    const row = this.random.pick(rows);
    const user = fieldOf(model, "user");
    if (this.random.chance(0.15))
      await hand.run(`DELETE FROM "${model.name}" WHERE "user" = ?`, [user, row.raw.user ?? null]);
    else await this.removeOne(hand, model, row.id);
  }

  // A third of a model, or one column of all of it, in one statement.
  protected async bulk(hand: Hand): Promise<void> {
    const model = this.random.pick(this.world.models);
    const fields = model.fields.filter((field) => !field.primary && !field.to);
    const field = this.random.pick(fields);
    const value = drawValue(this.random, field, this.pools);
    const third = this.rows(model).filter((_, i) => i % 3 === 0);
    if (!this.random.chance(0.2))
      await hand.run(`UPDATE "${model.name}" SET "${field.name}" = ?`, [field, value]);
    else if (third.length > 0)
      await hand.run(
        `DELETE FROM "${model.name}" WHERE id IN (${third.map(() => "?").join(", ")})`,
        ...third.map((row): Parameter => [fieldOf(model, "id"), row.id]),
      );
  }
}
