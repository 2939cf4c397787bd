// stage_sqlite.ts: one node on one SQLite file. What can go wrong is the node.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Environment, makeFolder, run as runCommand } from "../server.ts";
import type { Account } from "./actor.ts";
import { installLog, openDatabase, SqliteHistory } from "./history_sqlite.ts";
import { Node } from "./node.ts";
import type { Random } from "./random.ts";
import { registerAll, type Stage } from "./stage.ts";
import type { Pools } from "./urls.ts";
import { drawWorld, type World } from "./world.ts";
import type { Writer } from "./writer.ts";
import { SqliteWriter } from "./writer_sqlite.ts";

export class SqliteStage implements Stage {
  readonly world: World;
  readonly accounts: Account[];
  readonly history: SqliteHistory;
  readonly nodes: readonly [Node];
  private readonly file: string;

  private constructor(world: World, file: string, node: Node, accounts: Account[]) {
    this.world = world;
    this.file = file;
    this.nodes = [node];
    this.accounts = accounts;
    this.history = new SqliteHistory(file, world);
  }

  // `more`: of the node's environment.
  static async open(random: Random, more: Environment = {}): Promise<SqliteStage> {
    const world = drawWorld(random.fork("world"));
    const folder = makeFolder();
    const described = join(folder, "world.json");
    writeFileSync(described, JSON.stringify(world, null, 1));
    const file = join(folder, "app.sqlite3");
    const env = {
      ORACLE_WORLD: described,
      ACCESS_LOG: "false",
      LOOPS: String(random.fork("loops").between(1, 3)),
      ...more,
    };
    runCommand(folder, ["migrate"], { ...env, LOG_LEVEL: "warn" });
    const database = openDatabase(file);
    installLog(database, world);
    const node = await Node.open({ folder, env });
    const accounts = await registerAll(node.url, (id) =>
      database.prepare('UPDATE "user" SET staff = 1 WHERE id = ?').run(id),
    );
    database.close();
    return new SqliteStage(world, file, node, accounts);
  }

  openWriter(pools: Pools, random: Random): Writer {
    return new SqliteWriter(openDatabase(this.file), this.world, this.history, pools, random);
  }

  route(): Node {
    return this.nodes[0];
  }

  async trouble(chaos: Random): Promise<void> {
    if (!chaos.chance(0.004)) return;
    await this.nodes[0].kill();
    await this.nodes[0].start();
  }

  async heal(): Promise<void> {}

  complaints(): string {
    return this.nodes[0].complaints();
  }

  report(): Record<string, number> {
    return { kills: this.nodes[0].kills };
  }

  async close(): Promise<void> {
    await this.history.close();
    await this.nodes[0].close();
  }
}
