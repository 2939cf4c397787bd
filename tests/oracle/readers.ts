// readers.ts: people who GET the same lists and details again and again while others write: each answer must be what the
// database was at the position it names, and no answer may be older than what anybody had been told before it was asked
// for. So it is for what comes from the cache of answers as for what is read.
import { setTimeout as pause } from "node:timers/promises";
import type { DocumentState } from "../../packages/client/src/documents.ts";
import type { Account } from "./actor.ts";
import { Checker, Divergence } from "./checker.ts";
import { type Asked, readUrl } from "./evaluate.ts";
import { Random } from "./random.ts";
import type { Stage } from "./stage.ts";
import { drawUrl, type Pools } from "./urls.ts";
import { drawPools, type Writer } from "./writer.ts";

interface Got {
  caller: Account;
  asked: Asked;
  status: number;
  body: unknown;
  position: number;
}

export interface ReadersOptions {
  seed: number;
  seconds: number;
  readers: number;
  urls: number; // few, so that each is asked for often
}

export class Readers {
  answered = 0;
  notModified = 0;
  readonly checker: Checker;
  private readonly stage: Stage;
  private readonly options: ReadersOptions;
  private readonly random: Random;
  private readonly writer: Writer;
  private readonly pools: Pools;
  private readonly urls: string[] = [];
  private readonly known = new Map<string, { etag: string; body: unknown }>();
  private got: Got[] = [];
  private newest = 0; // position that anybody was told
  private failure: unknown = null;
  private done = false;

  constructor(stage: Stage, options: ReadersOptions) {
    this.stage = stage;
    this.options = options;
    this.random = new Random(options.seed).fork("readers");
    this.checker = new Checker(stage.world, stage.history, true);
    const ids = stage.accounts.flatMap((account) => (account.id ? [account.id] : []));
    const pools = drawPools(this.random.fork("pools"), stage.world, ids);
    this.writer = stage.openWriter(pools, this.random.fork("writer"), (error) => {
      this.failure ??= error;
    });
    this.pools = pools;
  }

  async run(): Promise<void> {
    const { stage, options, random } = this;
    try {
      await this.writer.fill();
      while (this.urls.length < options.urls)
        this.urls.push(drawUrl(random, stage.world, stage.history, this.pools));
      const readers = Array.from({ length: options.readers }, (_, i) =>
        this.read(random.fork(`reader ${i}`)),
      );
      await this.write(Date.now() + options.seconds * 1000);
      this.done = true;
      await Promise.all(readers);
      await this.writer.finish();
      await this.check();
    } finally {
      this.done = true;
      await this.writer.close();
    }
  }

  // Bursts and pauses: what is kept lives for a while, or not at all.
  private async write(until: number): Promise<void> {
    while (Date.now() < until && !this.failure) {
      for (let steps = this.random.between(0, 3); steps > 0; steps--) await this.writer.step();
      await pause(this.random.chance(0.1) ? 300 : this.random.between(1, 40));
      await this.check();
    }
  }

  private async read(random: Random): Promise<void> {
    while (!this.done && !this.failure)
      try {
        await this.ask(random.pick(this.stage.accounts), random.pick(this.urls), random);
      } catch (error) {
        this.failure ??= error;
      }
  }

  private async ask(caller: Account, url: string, random: Random): Promise<void> {
    const key = `${caller.name} ${url}`;
    const known = random.chance(0.3) ? this.known.get(key) : undefined;
    const headers: Record<string, string> = caller.token ? { Authorization: `Bearer ${caller.token}` } : {};
    if (known) headers["If-None-Match"] = known.etag;
    const before = this.newest;
    const answer = await fetch(random.pick(this.stage.nodes).url + url, { headers });
    const text = await answer.text();
    const named = answer.headers.get("Tims-Position")?.split("-")[1];
    const etag = answer.headers.get("ETag");
    this.answered++;
    if (answer.status === 304) this.notModified++;
    const body = answer.status === 304 ? known?.body : JSON.parse(text);
    if (etag && answer.status === 200) this.known.set(key, { etag, body });
    if (named === undefined) {
      if (answer.status >= 500 || answer.status === 400 || answer.status === 429)
        throw new Error(`${key}: ${answer.status} ${text}`);
      // A refusal names no position; that it is right is seen when all is quiet.
      return;
    }
    const position = Number(named);
    if (position < before)
      throw new Divergence(`${key}: answered at ${position}, though somebody was told ${before} before`);
    this.newest = Math.max(this.newest, position);
    const status = answer.status === 304 ? 200 : answer.status;
    this.got.push({ caller, asked: readUrl(this.stage.world, url), status, body, position });
  }

  private async check(): Promise<void> {
    if (this.failure) throw this.failure;
    await this.stage.history.poll();
    const got = this.got.filter(({ position }) => position <= this.stage.history.seen);
    this.got = this.got.filter(({ position }) => position > this.stage.history.seen);
    for (const one of got) {
      const document = { position: one.position, status: "GET" } as unknown as DocumentState;
      const claim = { caller: one.caller, client: "reader", asked: one.asked, document };
      this.checker.checkAnswer(claim, one.status, one.body as never);
    }
  }

  // When all is quiet, everybody asks for everything twice: what is refused is refused for a reason.
  async quiet(): Promise<void> {
    for (const caller of this.stage.accounts)
      for (const url of this.urls)
        for (const node of this.stage.nodes) {
          const headers: Record<string, string> = caller.token
            ? { Authorization: `Bearer ${caller.token}` }
            : {};
          const answer = await fetch(node.url + url, { headers });
          const body = (await answer.json()) as never;
          await this.stage.history.poll();
          const position = Number(
            answer.headers.get("Tims-Position")?.split("-")[1] ?? this.stage.history.position,
          );
          const document = { position, status: "GET" } as unknown as DocumentState;
          const asked = readUrl(this.stage.world, url);
          this.checker.checkAnswer({ caller, client: "GET", asked, document }, answer.status, body);
        }
  }
}

// What the nodes have counted, by name, with its labels.
export async function counted(stage: Stage, name: string): Promise<number> {
  let sum = 0;
  for (const node of stage.nodes) {
    const text = await (await fetch(`${node.url}/metrics`)).text();
    const line = text.split("\n").find((one) => one.startsWith(`${name} `));
    if (!line) throw new Error(`/metrics has no ${name}`);
    sum += Number(line.slice(name.length + 1));
  }
  return sum;
}
