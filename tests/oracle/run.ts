// run.ts: one seed: one world on the real server, its clients, and rounds of trouble, each of which ends in quiet,
// when everything must be right.
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { makeFolder, run as runCommand, type Server, startServer } from "../server.ts";
import { type Account, Actor } from "./actor.ts";
import { Checker, Divergence } from "./checker.ts";
import { History, installLog, openDatabase } from "./history.ts";
import { Network } from "./network.ts";
import { Random } from "./random.ts";
import { drawUrl, type Pools } from "./urls.ts";
import { drawWorld, type World } from "./world.ts";
import { drawPools, Writer } from "./writer.ts";

export interface RunOptions {
  seed: number;
  clients: number;
  seconds: number;
  // Whether the server speaks protocol 2: then windows and positions are exact at every step.
  exact?: boolean;
}

export interface RunReport {
  exact: boolean;
  checked: number;
  passedOver: number;
  kept: number;
  rounds: number;
  position: number;
  writes: Record<string, number>;
  kills: number;
  restarts: number;
}

const PEOPLE = 9;
const PASSWORD = "oracle-pass-1";
const ROUND_MS = 3_000;
const QUIET_MS = 40_000;

// --- the stage ----------------------------------------------------------------------------------------------------

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const listener = createServer().listen(0, "127.0.0.1", () => {
      const { port } = listener.address() as { port: number };
      listener.close(() => resolve(port));
    });
  });
}

async function register(url: string, username: string): Promise<Account> {
  const post = async (path: string, body: unknown) => {
    const answer = await fetch(url + path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path} answers ${answer.status}: ${await answer.text()}`);
    return answer.json();
  };
  const secret = { username, password: PASSWORD };
  const { user } = (await post("/api/auth/register/", secret)) as { user: { id: string } };
  const { token } = (await post("/api/auth/token/", secret)) as { token: string };
  return { id: user.id, name: username, staff: false, token };
}

// Which protocol the server speaks, asked of the server.
function asksForProtocol2(url: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/live`);
    socket.onopen = () => socket.send(JSON.stringify({ t: "hello", protocol: 2 }));
    socket.onmessage = (event) => {
      resolve(JSON.parse(String(event.data)).t === "welcome");
      socket.close();
    };
    socket.onerror = () => reject(new Error("the server does not open /live"));
  });
}

class Run {
  readonly history: History;
  readonly checker: Checker;
  readonly writer: Writer;
  readonly actors: Actor[] = [];
  kills = 0;
  restarts = 0;
  private readonly options: RunOptions;
  private readonly world: World;
  private readonly env: Record<string, string>;
  private readonly pools: Pools;
  private readonly chaos: Random;
  private server: Server;
  private failure: Error | null = null;

  constructor(
    options: RunOptions,
    stage: { world: World; server: Server; env: Record<string, string>; accounts: Account[]; exact: boolean },
  ) {
    const random = new Random(options.seed);
    this.options = options;
    this.world = stage.world;
    this.server = stage.server;
    this.env = stage.env;
    this.chaos = random.fork("chaos");
    this.history = new History(stage.server.database, stage.world);
    this.checker = new Checker(stage.world, this.history, stage.exact);
    const ids = stage.accounts.flatMap((account) => (account.id ? [account.id] : []));
    this.pools = drawPools(random.fork("pools"), stage.world, ids);
    const database = openDatabase(stage.server.database);
    this.writer = new Writer(database, stage.world, this.history, this.pools, random.fork("writer"));
    this.writer.fill();
  }

  async open(accounts: Account[]): Promise<void> {
    const random = new Random(this.options.seed).fork("clients");
    for (let i = 0; i < this.options.clients; i++) {
      const account = accounts[i % accounts.length] as Account;
      const network = await Network.open(this.server.port);
      const actor = new Actor(
        `client ${i}`,
        account,
        network,
        this.world,
        this.checker,
        random.fork(String(i)),
      );
      this.actors.push(actor);
      // Some look at what others look at, so that results are shared.
      const copied = i > 0 && random.chance(0.5) ? [...random.pick(this.actors).followed.keys()] : [];
      for (const url of copied) actor.follow(url);
      for (let u = random.between(2, 5); u > 0; u--) actor.follow(this.drawUrl(random));
    }
  }

  private drawUrl(random: Random): string {
    return drawUrl(random, this.world, this.history, this.pools);
  }

  // A claim that is wrong is found inside an event of a client, so it is kept and thrown where somebody waits.
  check(): void {
    if (this.failure) throw this.failure;
    const { exitCode, signalCode } = this.server.process;
    if (exitCode !== null || signalCode !== null)
      throw new Divergence(
        `the server has ended (${exitCode ?? signalCode}):\n${this.server.output().slice(-2000)}`,
      );
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
      this.history.poll();
      for (let steps = chaos.between(0, 4); steps > 0; steps--) this.writer.step();
      if (chaos.chance(0.5)) chaos.pick(this.actors).mutate(this.history, this.pools);
      if (chaos.chance(0.08)) this.disturb(chaos.pick(this.actors));
      if (chaos.chance(0.08)) chaos.pick(this.actors).follow(this.drawUrl(chaos));
      if (chaos.chance(0.05)) chaos.pick(this.actors).leaveOne();
      if (chaos.chance(0.08)) chaos.pick(this.actors).loadMore();
      if (chaos.chance(0.02)) this.startAgain(chaos.pick(this.actors));
      if (chaos.chance(0.004)) await this.killServer();
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

  private async killServer(): Promise<void> {
    this.kills++;
    await this.server.kill();
    this.server = await startServer({ folder: this.server.folder, env: this.env });
  }

  // --- quiet ------------------------------------------------------------------------------------------------------

  async quiet(): Promise<void> {
    for (const actor of this.actors) actor.network.set("none");
    const deadline = Date.now() + QUIET_MS;
    await this.settle(deadline, 0);
    this.writer.touch();
    this.history.poll();
    await this.settle(deadline, this.history.position);
    // Rows that others have pushed behind a window are let go of within half a second; what is lost is at once.
    for (const actor of this.actors) await actor.client.save();
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

  // What each URL answers to each caller, straight from the server.
  private async checkGets(): Promise<void> {
    const done = new Set<string>();
    for (const actor of this.actors)
      for (const [url, { asked }] of actor.followed) {
        const key = `${actor.account.name} ${url}`;
        if (done.has(key)) continue;
        done.add(key);
        const { token } = actor.account;
        const headers: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
        const answer = await fetch(this.server.url + url, { headers });
        const body = (await answer.json()) as never;
        this.history.poll();
        const position = Number(answer.headers.get("Tims-Position")?.split("-")[1] ?? this.history.position);
        const document = { ...actor.document(url), position } as never;
        this.checker.checkAnswer(
          { caller: actor.account, client: "GET", asked, document },
          answer.status,
          body,
        );
      }
  }

  // Every write that was answered is there exactly once, and none that was refused.
  private checkWrites(): void {
    for (const actor of this.actors)
      for (const sent of actor.sent) {
        const inserts = this.history.insertsOf(sent.id);
        const marks = sent.mark ? this.history.marksOf(sent.mark) : 0;
        const what = `${actor.name}: ${sent.kind} of ${sent.id}, mark ${sent.mark}, ${sent.outcome} ${sent.problem}`;
        if (sent.outcome === "refused" && marks > 0)
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
    const { exact, checked, passedOver, kept } = this.checker;
    return {
      exact,
      checked,
      passedOver,
      kept,
      rounds,
      position: this.history.position,
      writes,
      kills: this.kills,
      restarts: this.restarts,
    };
  }

  async close(): Promise<void> {
    for (const actor of this.actors) actor.close();
    this.history.close();
    await this.server.kill();
    this.server.remove();
  }
}

// --- one seed -----------------------------------------------------------------------------------------------------

async function openStage(options: RunOptions) {
  const random = new Random(options.seed);
  const world = drawWorld(random.fork("world"));
  const folder = makeFolder();
  const file = join(folder, "world.json");
  writeFileSync(file, JSON.stringify(world, null, 1));
  const env = {
    ORACLE_WORLD: file,
    PORT: String(await freePort()),
    LOG_LEVEL: "warn",
    ACCESS_LOG: "false",
    LOOPS: String(random.fork("loops").between(1, 3)),
  };
  runCommand(folder, ["migrate"], env);
  const database = openDatabase(join(folder, "app.sqlite3"));
  installLog(database, world);
  const server = await startServer({ folder, env: { ...env, LOG_LEVEL: "info" } });
  const accounts: Account[] = [];
  for (let i = 0; i < PEOPLE; i++) accounts.push(await register(server.url, `person${i}`));
  for (const account of accounts.slice(0, 2)) {
    database.prepare("UPDATE user SET staff = 1 WHERE id = ?").run(account.id);
    account.staff = true;
  }
  database.close();
  accounts.push({ id: null, name: "nobody", staff: false, token: null });
  return {
    world,
    server,
    env: { ...env, LOG_LEVEL: "info" },
    accounts,
    exact: options.exact ?? (await asksForProtocol2(server.url)),
  };
}

// Throws Divergence when somebody was told something wrong.
export async function runSeed(options: RunOptions): Promise<RunReport> {
  const stage = await openStage(options);
  const run = new Run(options, stage);
  const blame = (error: unknown) => run.blame(error);
  process.on("uncaughtException", blame);
  process.on("unhandledRejection", blame);
  try {
    await run.open(stage.accounts);
    const until = Date.now() + options.seconds * 1000;
    let rounds = 0;
    do {
      await run.trouble();
      await run.quiet();
      rounds++;
    } while (Date.now() < until);
    return run.report(rounds);
  } finally {
    await run.close();
    process.off("uncaughtException", blame);
    process.off("unhandledRejection", blame);
  }
}
