// server.ts: the real program in a folder of its own: migrated, filled with the demo's users, on a free port.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDatabase, databaseUrl, dropDatabase, runSql } from "./database.ts";

export const root = join(import.meta.dirname, "..");
export const program = process.env.TIMS_PROGRAM ?? join(root, "build/release/chat");
export const password = "demo-pass-1";

export type Environment = Record<string, string>;

export interface ServerOptions {
  env?: Environment;
  folder?: string; // reuse a folder (and its database)
  fresh?: boolean; // migrate and fill in; default true unless `folder` is given
  front?: boolean; // start the render server too
  program?: string; // another one than the demo
  namespace?: string; // the network namespace it runs in, where it listens on HOST
}

export interface Server {
  url: string;
  port: number;
  folder: string;
  database: string; // its URL
  process: ChildProcess;
  output: () => string;
  exited: Promise<{ code: number | null; signal: string | null }>;
  stop: () => Promise<void>;
  kill: () => Promise<void>;
  remove: () => void;
}

// A folder with a database of its own.
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tims-test-"));
  createDatabase(folder);
  return folder;
}

export function removeFolder(folder: string): void {
  dropDatabase(folder);
  rmSync(folder, { recursive: true, force: true });
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const listener = createServer().listen(0, "127.0.0.1", () => {
      const { port } = listener.address() as { port: number };
      listener.close(() => resolve(port));
    });
  });
}

export function environment(folder: string, extra: Environment = {}): Environment {
  return {
    PATH: process.env.PATH ?? "",
    HOME: folder,
    HOST: "127.0.0.1",
    PORT: "0",
    LOOPS: "2",
    DATABASE_URL: extra.DATABASE_URL ?? databaseUrl(folder),
    FRONT_DIRECTORY: join(root, "front"),
    CHEAP_PASSWORDS: "true",
    LOGIN_FAILURES_MAX: "1000",
    REGISTRATIONS_MAX: "1000",
    NODE_ENV: "production",
    NEXT_TELEMETRY_DISABLED: "1",
    ...extra,
  };
}

// Runs a command of the program to its end. Throws with its output when it fails.
export function run(
  folder: string,
  args: string[],
  extra: Environment = {},
  input = "",
  which = program,
): string {
  return execFileSync(which, args, {
    cwd: folder,
    env: environment(folder, extra),
    input,
    encoding: "utf8",
  });
}

// Waits until `condition` holds; fails loudly when it does not by then. The time is no promise of the program's: a machine
// that does ten other things gets there, too.
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs = 60_000,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value as NonNullable<T>;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function spawnServer(
  folder: string,
  env: Environment,
  namespace?: string,
  which = program,
): { child: ChildProcess; output: () => string } {
  const inside = namespace ? ["ip", "netns", "exec", namespace] : [];
  const words = ["--pdeathsig", "KILL", ...inside, which, "serve"]; // it ends with the test, however that ends
  const child = spawn("setpriv", words, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  child.stdout?.on("data", (bytes) => {
    text += bytes;
  });
  child.stderr?.on("data", (bytes) => {
    text += bytes;
  });
  return { child, output: () => text };
}

export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const folder = options.folder ?? makeFolder();
  const front: Environment = options.front
    ? { RENDER_COMMAND: `${process.execPath} ${join(root, "front/render.mjs")}`, RENDER_PROCESSES: "1" }
    : {};
  const env = environment(folder, { ...front, ...options.env });
  if (options.fresh ?? !options.folder) {
    run(folder, ["migrate"], options.env, "", options.program);
    run(folder, ["demo"], options.env, "", options.program);
  }
  const { child, output } = spawnServer(folder, env, options.namespace, options.program);
  const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.on("exit", (code, signal) => resolve({ code, signal })),
  );
  const ready = await until("the server to be ready", () => {
    if (child.exitCode !== null) throw new Error(`serve has exited with ${child.exitCode}:\n${output()}`);
    return /is ready: (https?):\/\/\S+:(\d+)/.exec(output());
  });
  const port = Number(ready[2]);
  return {
    url: `${ready[1]}://${env.HOST}:${port}`,
    port,
    folder,
    database: env.DATABASE_URL ?? "",
    process: child,
    output,
    exited,
    stop: async () => {
      child.kill("SIGTERM");
      await exited;
    },
    kill: async () => {
      child.kill("SIGKILL");
      await exited;
    },
    remove: () => removeFolder(folder),
  };
}

// Starts one that must refuse: its exit code and everything it printed.
export async function startInVain(
  folder: string,
  extra: Environment = {},
  which = program,
): Promise<{ code: number | null; output: string }> {
  const { child, output } = spawnServer(folder, environment(folder, extra), undefined, which);
  const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
  const code = await new Promise<number | null>((resolve) => child.on("close", (exit) => resolve(exit)));
  clearTimeout(timer);
  return { code, output: output() };
}

// The database's own program as a foreign writer or reader.
export function sql(server: Server, statement: string): string {
  return runSql(server.database, statement);
}
