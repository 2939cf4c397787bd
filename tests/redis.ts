// redis.ts: a Redis of a test's own, which can be stopped, killed, made deaf and started again.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, until } from "./server.ts";

export interface RedisOptions {
  address?: string; // where it listens; 127.0.0.1
  password?: string;
}

export class Redis {
  readonly folder = mkdtempSync(join(tmpdir(), "tims-redis-"));
  readonly address: string;
  readonly port: number;
  private readonly password: string;
  isRunning = false; // and ready
  private process: ChildProcess | null = null;
  private exited: Promise<unknown> = Promise.resolve();
  private output = "";

  private constructor(port: number, options: RedisOptions) {
    this.port = port;
    this.address = options.address ?? "127.0.0.1";
    this.password = options.password ?? "";
  }

  static async open(options: RedisOptions = {}): Promise<Redis> {
    const server = new Redis(await freePort(), options);
    await server.start();
    return server;
  }

  get url(): string {
    const secret = this.password ? `:${this.password}@` : "";
    return `redis://${secret}${this.address}:${this.port}`;
  }

  // Runs a command; what redis-cli says.
  command(...words: string[]): string {
    const where = ["-h", this.address, "-p", String(this.port)];
    const secret = this.password ? { REDISCLI_AUTH: this.password } : {};
    const env = { ...process.env, ...secret };
    return execFileSync("redis-cli", [...where, ...words], { encoding: "utf8", env }).trim();
  }

  // On the same port as before, and empty.
  async start(): Promise<void> {
    const flags = ["--bind", this.address, "--port", String(this.port), "--dir", this.folder];
    flags.push("--save", "", "--appendonly", "no", "--protected-mode", "no");
    if (this.password) flags.push("--requirepass", this.password);
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "redis-server", ...flags], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    child.stdout.on("data", (text) => {
      this.output = (this.output + text).slice(-20_000);
    });
    this.process = child;
    this.exited = new Promise((resolve) => child.on("exit", resolve));
    await until("Redis to be ready", () => {
      if (child.exitCode !== null) throw new Error(`Redis has not started:\n${this.output}`);
      return this.accepts();
    });
    this.isRunning = true;
  }

  private accepts(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, this.address, () => resolve(true));
      socket.on("connect", () => socket.destroy());
      socket.on("error", () => resolve(false));
    });
  }

  async stop(): Promise<void> {
    await this.end("SIGTERM");
  }

  async kill(): Promise<void> {
    await this.end("SIGKILL");
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    this.isRunning = false;
    this.process?.kill(signal);
    await this.exited;
    this.process = null;
  }

  // It hears and answers nothing, but nothing is closed either.
  hang(): void {
    this.process?.kill("SIGSTOP");
  }

  wake(): void {
    this.process?.kill("SIGCONT");
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
