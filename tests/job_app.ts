// job_app.ts: tests/jobs/app.c in a folder of its own: servers and workers that can be killed, on one database.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { runSql } from "./database.ts";
import { type Environment, environment, makeFolder, removeFolder, root, until } from "./server.ts";

const program = process.env.TIMS_JOBS_PROGRAM ?? join(root, "build/release/jobs_app");

export interface Many {
  task: string;
  count: number;
  label?: string;
  number?: number; // below 0: each job's is its place
  queue?: string;
  key?: string;
  delay_ms?: number;
  fail?: boolean;
}

export interface Launched {
  process: ChildProcess;
  output: () => string;
  exited: Promise<{ code: number | null; signal: string | null }>;
  stop: () => Promise<void>;
  kill: () => Promise<void>;
}

export interface Program extends Launched {
  url: string; // a server's
}

export class JobApp {
  readonly folder = makeFolder();
  private readonly env: Environment;
  private readonly programs: Launched[] = [];

  constructor(env: Environment = {}) {
    this.env = environment(this.folder, { LOOPS: "1", ...env });
    this.run("migrate");
  }

  // Runs a command to its end. Throws with its output when it fails.
  run(...args: string[]): string {
    return execFileSync(program, args, { cwd: this.folder, env: this.env, encoding: "utf8", stdio: "pipe" });
  }

  sql(statement: string): string {
    return runSql(this.env.DATABASE_URL as string, statement);
  }

  number(statement: string): number {
    return Number(this.sql(statement));
  }

  // Whether somebody is in the middle of a write, or of anything on PostgreSQL.
  private isBusy(): boolean {
    if (!this.env.DATABASE_URL?.startsWith("sqlite:"))
      return (
        this.number(`select count(*) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'`) > 0
      );
    try {
      this.sql("pragma busy_timeout=0; begin immediate; rollback");
      return false;
    } catch {
      return true;
    }
  }

  // Stops it outside of a transaction: one that is stopped within keeps the others from what it holds.
  freeze({ process }: Program): Promise<boolean> {
    return until("it to be frozen between two transactions", () => {
      process.kill("SIGSTOP");
      if (!this.isBusy()) return true;
      process.kill("SIGCONT");
      return false;
    });
  }

  serve(env: Environment = {}): Promise<Program> {
    return this.start(["serve"], env, /is ready: (http:\S+) /);
  }

  worker(args: string[] = [], env: Environment = {}): Promise<Program> {
    return this.start(["worker", ...args], env, /worker is (ready)/);
  }

  // Is not waited for.
  launch(args: string[], env: Environment = {}): Launched {
    const words = ["--pdeathsig", "KILL", program, ...args]; // it ends with the test, however that ends
    const options = { cwd: this.folder, env: { ...this.env, ...env } };
    const child = spawn("setpriv", words, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    const take = (bytes: Buffer) => {
      text += bytes;
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
      child.on("close", (code, signal) => resolve({ code, signal })),
    );
    const end = async (signal: NodeJS.Signals) => {
      child.kill(signal);
      await exited;
    };
    const launched: Launched = {
      process: child,
      output: () => text,
      exited,
      stop: () => end("SIGTERM"),
      kill: () => end("SIGKILL"),
    };
    this.programs.push(launched);
    return launched;
  }

  private async start(args: string[], env: Environment, ready: RegExp): Promise<Program> {
    const launched = this.launch(args, env);
    const found = await until(`${args[0]} to be ready`, () => {
      const { exitCode } = launched.process;
      if (exitCode !== null) throw new Error(`${args[0]} has exited with ${exitCode}:\n${launched.output()}`);
      return ready.exec(launched.output());
    });
    return { ...launched, url: found[1] as string };
  }

  // In one request, which is one transaction. The answer's status.
  async many(server: Program, asked: Many): Promise<number> {
    const answer = await fetch(`${server.url}/many/`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(asked),
    });
    await answer.text();
    return answer.status;
  }

  jobs(): number {
    return this.number("select count(*) from tims_job");
  }

  effects(label: string): number {
    return this.number(`select count(*) from effect where label = '${label}'`);
  }

  // All that still runs is killed.
  async close(): Promise<void> {
    await Promise.all(this.programs.map((one) => one.kill()));
    removeFolder(this.folder);
  }
}
