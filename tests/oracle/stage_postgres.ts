// stage_postgres.ts: some nodes on one PostgreSQL and one Redis. Nodes are killed; PostgreSQL stops as if the power had
// failed, loses a backend, or sends some away; Redis stops for a while; packets between nodes and servers are lost.
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Postgres } from "../postgres.ts";
import { Redis } from "../redis.ts";
import { type Environment, run as runCommand, until } from "../server.ts";
import type { Account } from "./actor.ts";
import { installLog, PostgresHistory } from "./history_postgres.ts";
import { Links, type Loss } from "./links.ts";
import { Node } from "./node.ts";
import type { Random } from "./random.ts";
import { registerAll, type Stage } from "./stage.ts";
import type { Pools } from "./urls.ts";
import { drawWorld, type World } from "./world.ts";
import type { Writer } from "./writer.ts";
import { PostgresWriter } from "./writer_postgres.ts";

const DATABASE = "oracle";
const START_MS = 40_000;

export interface PostgresStageOptions {
  nodes: number;
  partitions: boolean;
  env?: Environment; // more of each node's
}

type Fault = "node" | "power" | "crash" | "terminate" | "redis" | "loss";
// How often at a step of trouble, of which there are some sixty a second.
const CHANCES: Record<Fault, number> = {
  node: 0.005,
  power: 0.001,
  crash: 0.0007,
  terminate: 0.008,
  redis: 0.002,
  loss: 0.008,
};

interface Servers {
  postgres: Postgres;
  redis: Redis;
  links: Links | null;
}

export class PostgresStage implements Stage {
  readonly world: World;
  readonly accounts: Account[];
  readonly history: PostgresHistory;
  readonly nodes: readonly Node[];
  private readonly postgres: Postgres;
  private readonly redis: Redis;
  private readonly links: Links | null;
  private readonly routes: Random;
  private readonly counts: Record<string, number> = {};
  // What brings things back; when `healing` fires, it waits no longer.
  private readonly repairs = new Set<Promise<void>>();
  private healing = new AbortController();
  private writer: PostgresWriter | null = null;
  private readonly killed: number[] = []; // backends
  private redisTimer: NodeJS.Timeout | undefined;

  private constructor(
    world: World,
    servers: Servers,
    nodes: Node[],
    accounts: Account[],
    history: PostgresHistory,
    routes: Random,
  ) {
    this.world = world;
    this.postgres = servers.postgres;
    this.redis = servers.redis;
    this.links = servers.links;
    this.nodes = nodes;
    this.accounts = accounts;
    this.history = history;
    this.routes = routes;
  }

  static async open(random: Random, options: PostgresStageOptions): Promise<PostgresStage> {
    const world = drawWorld(random.fork("world"));
    const links = options.partitions ? new Links() : null;
    const address = links?.address ?? "127.0.0.1";
    const postgres = await Postgres.open({ address, settings: { max_prepared_transactions: "20" } });
    const redis = await Redis.open({ address });
    const url = postgres.createDatabase(DATABASE);
    const described = join(postgres.folder, "world.json");
    writeFileSync(described, JSON.stringify(world, null, 1));
    const env = {
      ORACLE_WORLD: described,
      DATABASE_URL: url,
      REDIS_URL: redis.url,
      ACCESS_LOG: "false",
      LOOPS: String(random.fork("loops").between(1, 3)),
      ...options.env,
    };
    runCommand(postgres.folder, ["migrate"], { ...env, LOG_LEVEL: "warn" });
    await installLog(url, world);
    const nodes: Node[] = [];
    for (let i = 0; i < options.nodes; i++)
      nodes.push(await Node.open({ env, folder: postgres.folder, ...links?.add() }));
    const accounts = await registerAll((nodes[0] as Node).url, (id) =>
      postgres.sql(`UPDATE "user" SET staff = true WHERE id = '${id}'`, DATABASE),
    );
    const history = new PostgresHistory(url, world);
    return new PostgresStage(
      world,
      { postgres, redis, links },
      nodes,
      accounts,
      history,
      random.fork("routes"),
    );
  }

  openWriter(pools: Pools, random: Random, blame: (error: unknown) => void): Writer {
    const url = this.postgres.url(DATABASE);
    this.writer = new PostgresWriter(url, this.world, this.history, pools, random, blame);
    return this.writer;
  }

  // A node that is up, as a load balancer finds out.
  route(): Node {
    const up = this.nodes.filter((node) => node.isUp);
    return this.routes.pick(up.length > 0 ? up : this.nodes);
  }

  // --- trouble ----------------------------------------------------------------------------------------------------

  async trouble(chaos: Random): Promise<void> {
    for (const fault of Object.keys(CHANCES) as Fault[])
      if (chaos.chance(CHANCES[fault])) await this.break(fault, chaos);
  }

  private async break(fault: Fault, chaos: Random): Promise<void> {
    switch (fault) {
      case "node":
        return this.killNode(chaos);
      case "power":
        return this.stopPostgres(chaos);
      case "crash":
        return this.crashBackend();
      case "terminate":
        return this.terminate(chaos);
      case "redis":
        return this.stopRedis(chaos);
      case "loss":
        return this.losePackets(chaos);
    }
  }

  private count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by;
  }

  // Does `repair` after a while, or when all is to be healed.
  private later(ms: number, repair: () => Promise<void> | void): void {
    const wait = pause(ms, undefined, { signal: this.healing.signal }).catch(() => undefined);
    const done: Promise<void> = wait.then(repair).finally(() => this.repairs.delete(done));
    this.repairs.add(done);
  }

  private async killNode(chaos: Random): Promise<void> {
    const node = chaos.pick(this.nodes);
    if (!node.isUp) return;
    this.count("nodesKilled");
    await node.kill();
    this.later(chaos.between(0, 3_000), () => this.revive(node));
  }

  // As often as a supervisor would: it does not start without its database.
  private async revive(node: Node): Promise<void> {
    const deadline = Date.now() + START_MS;
    this.setLosses(node, []);
    for (;;) {
      try {
        await node.start();
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await pause(100);
      }
    }
  }

  private async stopPostgres(chaos: Random): Promise<void> {
    if (!this.postgres.isRunning) return;
    this.count("postgresStopped");
    await this.postgres.stop("immediate");
    this.later(chaos.between(0, 2_000), () => this.postgres.start());
  }

  // A backend that dies takes all others with it, and PostgreSQL recovers without having been started anew.
  private crashBackend(): void {
    const pid = this.ask(
      `SELECT pid FROM pg_stat_activity WHERE datname = '${DATABASE}' AND pid <> pg_backend_pid() LIMIT 1`,
    );
    if (!pid) return;
    this.count("backendsKilled");
    process.kill(Number(pid), "SIGKILL");
    this.killed.push(Number(pid));
  }

  private terminate(chaos: Random): void {
    const pids = `SELECT pid FROM pg_stat_activity WHERE datname = '${DATABASE}' AND pid <> pg_backend_pid()
                  ORDER BY random() LIMIT ${chaos.between(1, 5)}`;
    const count = this.ask(`SELECT count(pg_terminate_backend(pid)) FROM (${pids}) AS chosen`);
    this.count("backendsTerminated", Number(count));
  }

  // What PostgreSQL answers, if it is there.
  private ask(statement: string): string {
    try {
      return this.postgres.isRunning ? this.postgres.sql(statement) : "";
    } catch {
      return ""; // it recovers
    }
  }

  // For up to 20 s, whether all is quiet meanwhile or not: everything but presence goes on without it.
  private async stopRedis(chaos: Random): Promise<void> {
    if (!this.redis.isRunning) return;
    this.count("redisStopped");
    await this.redis.stop();
    this.redisTimer = setTimeout(() => this.redis.start(), chaos.between(500, 20_000));
  }

  private losePackets(chaos: Random): void {
    if (!this.links) return;
    const node = chaos.pick(this.nodes);
    const percent = chaos.pick([5, 20, 100, 100]);
    const ports = chaos.pick([
      [this.postgres.port],
      [this.redis.port],
      [this.postgres.port, this.redis.port],
    ]);
    this.count(percent === 100 ? "linksCut" : "linksLossy");
    this.setLosses(
      node,
      ports.map((port) => ({ port, percent })),
    );
    this.later(chaos.between(100, 3_000), () => this.setLosses(node, []));
  }

  private setLosses(node: Node, losses: Loss[]): void {
    if (node.namespace) this.links?.set(node.namespace, losses);
  }

  async heal(): Promise<void> {
    this.healing.abort();
    this.healing = new AbortController();
    await Promise.all(this.repairs);
    // Until its postmaster has heard of a death, PostgreSQL answers as if nothing had happened.
    const isGone = (pid: number) => !existsSync(`/proc/${pid}`);
    await until("backends that were killed to be gone", () => this.killed.every(isGone), START_MS);
    this.killed.length = 0;
    await until("PostgreSQL to have recovered", () => this.ask("SELECT 1") !== "", START_MS);
  }

  complaints(): string {
    return this.nodes.map((node) => node.complaints()).join("\n");
  }

  report(): Record<string, number> {
    return { ...this.counts, outOfOrder: this.history.outOfOrder, ...this.writer?.ends };
  }

  async close(): Promise<void> {
    clearTimeout(this.redisTimer);
    await Promise.allSettled(this.repairs);
    for (const node of this.nodes) await node.kill();
    await this.history.close();
    await this.postgres.remove();
    await this.redis.remove();
    this.links?.remove();
  }
}
