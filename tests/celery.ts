// celery.ts: the real Celery beside our program: one Redis, a Python client that runs snippets, a Python worker, and
// our worker with TASKS_URL. Everything is stopped with close().
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { runSql } from "./database.ts";
import { Redis } from "./redis.ts";
import { type Environment, environment, makeFolder, removeFolder, root, until } from "./server.ts";

export const jobsProgram = process.env.TIMS_JOBS_PROGRAM ?? join(root, "build/release/jobs_app");

const python = "/usr/bin/python3"; // Debian's, which has its packages

export interface Ran {
  value?: unknown;
  error?: { type: string; text: string; trace: string };
}

// A program that ends with the test, however that ends; all it prints.
export class Program {
  readonly process: ChildProcess;
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
  private text = "";

  constructor(words: string[], options: { cwd: string; env: Environment; pipes?: boolean }) {
    this.process = spawn("setpriv", ["--pdeathsig", "KILL", ...words], {
      cwd: options.cwd,
      env: options.env,
      stdio: [options.pipes ? "pipe" : "ignore", "pipe", "pipe"],
    });
    const take = (bytes: Buffer) => {
      this.text += bytes;
    };
    if (!options.pipes) this.process.stdout?.on("data", take);
    this.process.stderr?.on("data", take);
    this.exited = new Promise((resolve) =>
      this.process.on("exit", (code, signal) => resolve({ code, signal })),
    );
  }

  output(): string {
    return this.text;
  }

  // Until it has printed this.
  async said(what: RegExp, timeoutMs = 60_000): Promise<RegExpExecArray> {
    return until(
      `${what} to be said`,
      () => {
        const found = what.exec(this.text);
        if (!found && (this.process.exitCode !== null || this.process.signalCode !== null))
          throw new Error(`it has ended without saying ${what}:\n${this.text}`);
        return found;
      },
      timeoutMs,
    );
  }

  async end(signal: NodeJS.Signals): Promise<{ code: number | null; signal: string | null }> {
    this.process.kill(signal);
    return this.exited;
  }
}

function pythonEnvironment(broker: string): Environment {
  return {
    PATH: process.env.PATH ?? "",
    HOME: "/nonexistent",
    PYTHONPATH: join(root, "tests/celery"),
    PYTHONDONTWRITEBYTECODE: "1",
    PYTHONUNBUFFERED: "1",
    C_FORCE_ROOT: "true",
    BROKER: broker,
  };
}

// The Python client: snippets are run one after the other.
export class Python {
  private readonly program: Program;
  private waiting: ((ran: Ran) => void)[] = [];

  constructor(folder: string, broker: string) {
    this.program = new Program([python, join(root, "tests/celery/client.py")], {
      cwd: folder,
      env: pythonEnvironment(broker),
      pipes: true,
    });
    const { stdout } = this.program.process;
    if (!stdout) throw new Error("python3 has no output");
    createInterface({ input: stdout }).on("line", (line) => this.waiting.shift()?.(JSON.parse(line) as Ran));
    void this.program.exited.then(() => {
      for (const answer of this.waiting)
        answer({ error: { type: "Ended", text: "python3 has ended", trace: this.program.output() } });
      this.waiting = [];
    });
  }

  // The body of a Python function; `given` is there under this name. What it raised is an answer too.
  attempt(code: string, given: unknown = null): Promise<Ran> {
    return new Promise((resolve) => {
      if (this.program.process.exitCode !== null)
        throw new Error(`python3 has ended:\n${this.program.output()}`);
      this.waiting.push(resolve);
      this.program.process.stdin?.write(`${JSON.stringify({ code, given })}\n`);
    });
  }

  async run<T = unknown>(code: string, given: unknown = null): Promise<T> {
    const ran = await this.attempt(code, given);
    if (ran.error) throw new Error(ran.error.trace);
    return ran.value as T;
  }

  async close(): Promise<void> {
    await this.program.end("SIGKILL");
  }
}

export class Cluster {
  readonly folder: string;
  readonly redis: Redis;
  readonly broker: string;
  readonly python: Python;
  private readonly programs: Program[] = [];
  private readonly servers: Program[] = [];

  private constructor(folder: string, redis: Redis) {
    this.folder = folder;
    this.redis = redis;
    this.broker = `${redis.url}/0`;
    this.python = new Python(folder, this.broker);
  }

  static async open(): Promise<Cluster> {
    try {
      execFileSync(python, ["-c", "import celery, redis"], { stdio: "pipe" });
    } catch {
      throw new Error("Celery is missing; install it: tools/setup test");
    }
    const cluster = new Cluster(makeFolder(), await Redis.open());
    try {
      cluster.ours(["migrate"]);
    } catch (problem) {
      await cluster.close(); // else what it has started would keep the tests from ending
      throw problem;
    }
    return cluster;
  }

  private env(extra: Environment = {}): Environment {
    return environment(this.folder, {
      TASKS_URL: this.broker,
      WORKER_LEASE: "2s",
      WORKER: "false",
      ...extra,
    });
  }

  // Runs a command of our program to its end; what it prints.
  ours(words: string[]): string {
    const options = { cwd: this.folder, env: this.env(), encoding: "utf8" as const };
    return execFileSync(jobsProgram, words, options).trim();
  }

  // Our worker, ready.
  async worker(words: string[] = [], extra: Environment = {}): Promise<Program> {
    const program = new Program([jobsProgram, "worker", ...words], {
      cwd: this.folder,
      env: this.env(extra),
    });
    this.programs.push(program);
    await program.said(/worker is ready/);
    return program;
  }

  // Our server, ready, without a worker inside unless `extra` says so: its address.
  async server(extra: Environment = {}): Promise<string> {
    const program = new Program([jobsProgram, "serve"], { cwd: this.folder, env: this.env(extra) });
    this.programs.push(program);
    this.servers.push(program);
    const ready = await program.said(/is ready: (http:\/\/[^:]+:\d+)/);
    return ready[1] as string;
  }

  // Stops our servers; their exit statuses.
  async stopServers(): Promise<(number | null)[]> {
    const ended = this.servers.splice(0).map((server) => server.end("SIGTERM"));
    return (await Promise.all(ended)).map(({ code }) => code);
  }

  // A worker of the real Celery, ready.
  async pythonWorker(queues: string, name = "python@tests"): Promise<Program> {
    const words = [python, "-m", "celery", "-A", "tasks", "worker", "-Q", queues, "-n", name];
    words.push("--pool", "threads", "--concurrency", "2", "--loglevel", "INFO");
    const program = new Program(words, { cwd: this.folder, env: pythonEnvironment(this.broker) });
    this.programs.push(program);
    await program.said(/ready\./);
    return program;
  }

  // The command `celery -A tasks …`, to its end.
  celery(...words: string[]): string {
    const options = {
      cwd: this.folder,
      env: pythonEnvironment(this.broker),
      encoding: "utf8" as const,
    };
    return execFileSync(python, ["-m", "celery", "-A", "tasks", ...words], options).trim();
  }

  sql(statement: string): string {
    return runSql(environment(this.folder).DATABASE_URL as string, statement);
  }

  // How often a run of this label has had its effect: rows of `effect`.
  effects(label: string): number {
    return Number(this.sql(`SELECT count(*) FROM effect WHERE label = '${label}'`));
  }

  // Whether workers have noted this id as revoked: 0 or 1.
  revokedCount(id: string): number {
    const scores = this.redis.command("ZMSCORE", "tims:revoked", id, `waiting:${id}`);
    return /\d/.test(scores) ? 1 : 0;
  }

  async close(): Promise<void> {
    for (const program of this.programs) await program.end("SIGKILL");
    await this.python.close();
    await this.redis.remove();
    removeFolder(this.folder);
  }
}
