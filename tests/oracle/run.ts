// run.ts: one seed: one world on real servers, its clients, and rounds of trouble, each of which ends in quiet, when
// everything must be right.
import { setTimeout as pause } from "node:timers/promises";
import { Actor } from "./actor.ts";
import { Checker, Divergence } from "./checker.ts";
import { Network } from "./network.ts";
import { Random } from "./random.ts";
import { asksForProtocol2, type Stage } from "./stage.ts";
import { PostgresStage } from "./stage_postgres.ts";
import { SqliteStage } from "./stage_sqlite.ts";
import { drawUrl, type Pools } from "./urls.ts";
import { drawPools, type Writer } from "./writer.ts";

export interface RunOptions {
  seed: number;
  clients: number;
  seconds: number;
  // PostgreSQL and Redis, and how many nodes on them; null: SQLite.
  postgres: { nodes: number; partitions: boolean } | null;
}

export interface RunReport {
  exact: boolean;
  checked: number;
  ambiguous: number;
  passedOver: number;
  forgotten: number;
  kept: number;
  rounds: number;
  position: number;
  writes: Record<string, number>;
  restarts: number;
  stage: Record<string, number>;
}

const ROUND_MS = 3_000;
const QUIET_MS = 40_000;

class Run {
  readonly checker: Checker;
  readonly actors: Actor[] = [];
  restarts = 0;
  private readonly options: RunOptions;
  private readonly stage: Stage;
  private readonly writer: Writer;
  private readonly pools: Pools;
  private readonly chaos: Random;
  private failure: Error | null = null;

  // `exact`: whether the server speaks protocol 2: then windows and positions are exact at every step.
  constructor(options: RunOptions, stage: Stage, exact: boolean) {
    const random = new Random(options.seed);
    this.options = options;
    this.stage = stage;
    this.chaos = random.fork("chaos");
    this.checker = new Checker(stage.world, stage.history, exact);
    const ids = stage.accounts.flatMap((account) => (account.id ? [account.id] : []));
    this.pools = drawPools(random.fork("pools"), stage.world, ids);
    this.writer = stage.openWriter(this.pools, random.fork("writer"), (error) => this.blame(error));
  }

  async open(): Promise<void> {
    await this.writer.fill();
    const random = new Random(this.options.seed).fork("clients");
    const { accounts, world } = this.stage;
    for (let i = 0; i < this.options.clients; i++) {
      const account = accounts[i % accounts.length] as (typeof accounts)[number];
      const network = await Network.open(() => this.stage.route());
      const own = random.fork(String(i));
      const actor = new Actor(`client ${i}`, account, network, world, this.checker, own);
      this.actors.push(actor);
      // Some look at what others look at, so that results are shared.
      const copied = i > 0 && random.chance(0.5) ? [...random.pick(this.actors).followed.keys()] : [];
      for (const url of copied) actor.follow(url);
      for (let u = random.between(2, 5); u > 0; u--) actor.follow(this.drawUrl(random));
    }
  }

  private drawUrl(random: Random): string {
    return drawUrl(random, this.stage.world, this.stage.history, this.pools);
  }

  // A claim that is wrong is found inside an event of a client, so it is kept and thrown where somebody waits.
  check(): void {
    if (this.failure) throw this.failure;
    for (const node of this.stage.nodes) node.check();
    this.checker.work();
  }

  blame(error: unknown): void {
    this.failure ??= error instanceof Error ? error : new Error(String(error));
  }

  // --- trouble ----------------------------------------------------------------------------------------------------

  async trouble(): Promise<void> {
    const { chaos } = this;
    const until = Date.now() + Math.min(ROUND_MS, this.options.seconds * 1000);
    while (Date.now() < until) {
      this.stage.history.refresh();
      for (let steps = chaos.between(0, 4); steps > 0; steps--) await this.writer.step();
      if (chaos.chance(0.5)) chaos.pick(this.actors).mutate(this.stage.history, this.pools);
      if (chaos.chance(0.08)) this.disturb(chaos.pick(this.actors));
      if (chaos.chance(0.08)) chaos.pick(this.actors).follow(this.drawUrl(chaos));
      if (chaos.chance(0.05)) chaos.pick(this.actors).leaveOne();
      if (chaos.chance(0.08)) chaos.pick(this.actors).loadMore();
      if (chaos.chance(0.02)) this.startAgain(chaos.pick(this.actors));
      await this.stage.trouble(chaos);
      await pause(chaos.between(1, 25));
      this.check();
    }
  }

  private disturb(actor: Actor): void {
    const fault = this.chaos.pick(["cut", "cut", "hang", "deaf", "slow", "closed"] as const);
    actor.network.set(fault);
    setTimeout(() => actor.network.set("none"), this.chaos.between(50, 1_500)).unref();
  }

  private startAgain(actor: Actor): void {
    this.restarts++;
    actor.restart();
  }

  // --- quiet ------------------------------------------------------------------------------------------------------

  async quiet(): Promise<void> {
    const { history } = this.stage;
    for (const actor of this.actors) actor.network.set("none");
    await this.stage.heal();
    await this.writer.finish();
    const deadline = Date.now() + QUIET_MS;
    await this.settle(deadline, 0);
    await this.writer.touch();
    await history.poll();
    await this.settle(deadline, history.position);
    // Rows that others have pushed behind a window are let go of within half a second; what is lost is at once.
    for (const actor of this.actors) await actor.client.save();
    await history.poll();
    this.checker.work();
    for (const actor of this.actors) actor.checkAll();
    await this.checkGets();
    this.checkWrites();
  }

  private async settle(deadline: number, position: number): Promise<void> {
    for (;;) {
      this.check();
      const restless = this.actors.map((actor) => actor.restless(position));
      const at = restless.findIndex((reason) => reason !== null);
      if (at < 0) return;
      const actor = this.actors[at] as Actor;
      if (Date.now() > deadline)
        throw new Divergence(
          `${actor.name} (${actor.account.name}) does not come to rest at position ${position}: ${restless[at]}\n` +
            `  connection: ${JSON.stringify(actor.client.state.connection)}`,
        );
      for (const one of this.actors) one.hurry();
      await pause(25);
    }
  }

  // What each URL answers to each caller, straight from the nodes.
  private async checkGets(): Promise<void> {
    const done = new Set<string>();
    for (const actor of this.actors)
      for (const [url, { asked }] of actor.followed) {
        const key = `${actor.account.name} ${url}`;
        if (done.has(key)) continue;
        done.add(key);
        const { token } = actor.account;
        const headers: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
        const node = this.stage.nodes[done.size % this.stage.nodes.length];
        const answer = await ask(node?.url + url, headers);
        const body = (await answer.json()) as never;
        await this.stage.history.poll();
        const named = answer.headers.get("Tims-Position")?.split("-")[1];
        const document = { ...actor.document(url), position: Number(named ?? this.stage.history.position) };
        const claim = { caller: actor.account, client: "GET", asked, document: document as never };
        this.checker.checkAnswer(claim, answer.status, body);
      }
  }

  // Every write that was answered is there exactly once, and none that was refused.
  private checkWrites(): void {
    const { history } = this.stage;
    for (const actor of this.actors)
      for (const sent of actor.sent) {
        const inserts = history.insertsOf(sent.id);
        const marks = sent.mark ? history.marksOf(sent.mark) : 0;
        const what = `${actor.name}: ${sent.kind} of ${sent.id}, mark ${sent.mark}, ${sent.outcome} ${sent.problem}, ${sent.attempts} attempts`;
        if (sent.problem.startsWith("500")) throw new Divergence(what);
        // What was sent again may be refused by one node, and happen at the other that has not heard of it yet.
        if (sent.outcome === "refused" && marks > 0 && sent.attempts === 1)
          throw new Divergence(`${what}: it was refused, but is there`);
        if (sent.outcome === "done" && sent.kind !== "delete" && marks === 0)
          throw new Divergence(`${what}: it was answered, but is not there`);
        if (sent.kind === "create" && marks > 1) throw new Divergence(`${what}: it is there ${marks} times`);
        // The id may have been there before, and have gone: then the mark alone says how often this one came.
        if (sent.kind === "create" && sent.outcome === "done" && inserts === 0)
          throw new Divergence(`${what}: it was inserted ${inserts} times`);
      }
  }

  report(rounds: number): RunReport {
    const writes: Record<string, number> = {};
    for (const actor of this.actors)
      for (const { outcome, problem } of actor.sent) {
        const name = `${outcome} ${problem}`.trim();
        writes[name] = (writes[name] ?? 0) + 1;
      }
    const { exact, checked, ambiguous, passedOver, forgotten, kept } = this.checker;
    return {
      exact,
      checked,
      ambiguous,
      passedOver,
      forgotten,
      kept,
      rounds,
      position: this.stage.history.position,
      writes,
      restarts: this.restarts,
      stage: this.stage.report(),
    };
  }

  async close(): Promise<void> {
    for (const actor of this.actors) actor.close();
    await this.writer.close();
  }
}

// A node that has just got its database back may say once more that it is away, and when to come again.
async function ask(url: string, headers: Record<string, string>): Promise<Response> {
  for (let attempt = 0; ; attempt++) {
    const answer = await fetch(url, { headers });
    if (answer.status !== 503 || !answer.headers.has("retry-after") || attempt === 3) return answer;
    await pause(1_000 * Number(answer.headers.get("retry-after")));
  }
}

function openStage({ seed, postgres }: RunOptions): Promise<Stage> {
  const random = new Random(seed);
  return postgres ? PostgresStage.open(random, postgres) : SqliteStage.open(random);
}

// Throws Divergence when somebody was told something wrong.
export async function runSeed(options: RunOptions): Promise<RunReport> {
  const stage = await openStage(options);
  const run = new Run(options, stage, await asksForProtocol2((stage.nodes[0] as { url: string }).url));
  const blame = (error: unknown) => run.blame(error);
  process.on("uncaughtException", blame);
  process.on("unhandledRejection", blame);
  try {
    await run.open();
    const until = Date.now() + options.seconds * 1000;
    let rounds = 0;
    do {
      await run.trouble();
      await run.quiet();
      rounds++;
    } while (Date.now() < until);
    return run.report(rounds);
  } catch (error) {
    if (error instanceof Divergence)
      error.message += `\n${JSON.stringify(run.report(0).stage)}\n${stage.complaints()}`;
    throw error;
  } finally {
    await run.close();
    await stage.close();
    process.off("uncaughtException", blame);
    process.off("unhandledRejection", blame);
  }
}
