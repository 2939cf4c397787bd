// writer.ts: a program that is not the server and writes into its database: transactions of several rows that move
// rows across filters, parents, orders and window edges, grant and revoke, now and then all at once or taken back.
import type { DatabaseSync } from "node:sqlite";
import type { History } from "./history.ts";
import type { Random } from "./random.ts";
import type { Pools } from "./urls.ts";
import { drawValue, type Value } from "./values.ts";
import type { Field, Model, World } from "./world.ts";

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

export class Writer {
  private readonly database: DatabaseSync;
  private readonly world: World;
  private readonly history: History;
  private readonly pools: Pools;
  private readonly random: Random;

  constructor(database: DatabaseSync, world: World, history: History, pools: Pools, random: Random) {
    this.database = database;
    this.world = world;
    this.history = history;
    this.pools = pools;
    this.random = random;
  }

  // What is there before anybody looks; parents first, so that there is something to point at.
  fill(): void {
    for (const model of this.world.models) {
      const { least, most } = amountOf(model);
      this.transaction(() => {
        for (let i = this.random.between(least, most); i > 0; i--) this.insert(model);
      });
      this.history.poll();
    }
  }

  step(): void {
    if (this.random.chance(0.03)) {
      this.bulk();
      return;
    }
    const count = this.random.chance(0.5) ? 1 : this.random.between(2, 8);
    const takeBack = this.random.chance(0.05);
    this.transaction(() => {
      for (let i = 0; i < count; i++) this.change();
    }, takeBack);
  }

  // Something small, by which everybody can be told that all is quiet.
  touch(): void {
    const user = this.pools.user?.[0] ?? "";
    this.transaction(() =>
      this.run("UPDATE user SET display_name = ? WHERE id = ?", `touched ${this.history.position}`, user),
    );
  }

  private position(): number {
    const row = this.database.prepare("SELECT max(id) AS id FROM tims_change").get() as { id: number | null };
    return row.id ?? 0;
  }

  private transaction(work: () => void, takeBack = false): void {
    this.database.exec("BEGIN IMMEDIATE");
    const before = this.position();
    try {
      work();
    } catch (error) {
      this.database.exec("ROLLBACK");
      throw error;
    }
    const after = this.position();
    this.database.exec(takeBack ? "ROLLBACK" : "COMMIT");
    if (!takeBack) this.history.addTransaction(before + 1, after);
  }

  // A statement that the schema refuses (a parent that is gone, a pair that is there) changes nothing.
  private run(sql: string, ...values: Value[]): void {
    try {
      this.database.prepare(sql).run(...values);
    } catch (error) {
      if (!/constraint/i.test(String(error))) throw error;
    }
  }

  private rows(model: Model) {
    return this.history.rowsAt(model.name, this.history.position);
  }

  private change(): void {
    const { random } = this;
    const granting = this.world.models.filter((model) => model.grants);
    const what = random.weighted({ insert: 3, update: 6, move: 2, delete: 1.5, grant: 3, revoke: 3 });
    const member = granting.length > 0 ? random.pick(granting) : undefined;
    const model = random.pick(this.world.models);
    if (what === "grant" && member) this.insert(member);
    else if (what === "revoke" && member) this.revoke(member);
    else if (what === "insert" && this.rows(model).length < amountOf(model).max) this.insert(model);
    else if (what === "update") this.update(model, (field) => field.name !== "mark" || random.chance(0.3));
    else if (what === "move") this.update(model, (field) => field.to !== undefined);
    else this.remove(model);
  }

  private insert(model: Model): void {
    const values = model.fields.map((field) =>
      field.primary
        ? this.random.pick(this.pools[model.name] ?? [])
        : drawValue(this.random, field, this.targets(field)),
    );
    const names = model.fields.map((field) => `"${field.name}"`).join(", ");
    const places = values.map(() => "?").join(", ");
    this.run(`INSERT OR IGNORE INTO "${model.name}" (${names}) VALUES (${places})`, ...values);
  }

  // What a reference may point at: rows that are there, as far as is known.
  private targets(field: Field): Pools {
    if (!field.to || field.to === "user") return this.pools;
    const ids = this.history.rowsAt(field.to, this.history.position).map((row) => row.id);
    return ids.length > 0 && this.random.chance(0.97) ? { [field.to]: ids } : this.pools;
  }

  private update(model: Model, mayChange: (field: Field) => boolean): void {
    const rows = this.rows(model);
    const fields = model.fields.filter((field) => !field.primary && mayChange(field));
    if (rows.length === 0 || fields.length === 0) return;
    const field = this.random.pick(fields);
    const value = drawValue(this.random, field, this.targets(field));
    this.run(`UPDATE "${model.name}" SET "${field.name}" = ? WHERE id = ?`, value, this.random.pick(rows).id);
  }

  private remove(model: Model): void {
    const rows = this.rows(model);
    if (rows.length > 0) this.run(`DELETE FROM "${model.name}" WHERE id = ?`, this.random.pick(rows).id);
  }

  // One grant, or everything somebody has.
  private revoke(model: Model): void {
    const rows = this.rows(model);
    if (rows.length === 0) return;
    const row = this.random.pick(rows);
    if (this.random.chance(0.15))
      this.run(`DELETE FROM "${model.name}" WHERE user = ?`, row.raw.user ?? null);
    else this.run(`DELETE FROM "${model.name}" WHERE id = ?`, row.id);
  }

  private bulk(): void {
    const model = this.random.pick(this.world.models);
    const fields = model.fields.filter((field) => !field.primary && !field.to);
    const field = this.random.pick(fields);
    const value = drawValue(this.random, field, this.pools);
    this.transaction(() =>
      this.random.chance(0.2)
        ? this.run(`DELETE FROM "${model.name}" WHERE rowid % 3 = ?`, this.random.between(0, 2))
        : this.run(`UPDATE "${model.name}" SET "${field.name}" = ?`, value),
    );
  }
}
