// postgres.ts: a PostgreSQL of a test's own, with the settings it comes with: it can be stopped in every way, killed,
// copied and started again.
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { postgresProgram, runSql } from "./database.ts";
import { freePort, until } from "./server.ts";

const USER = "tims";

export interface PostgresOptions {
  address?: string; // where it listens; 127.0.0.1
  settings?: Record<string, string>;
}

// smart: when everybody has gone · fast: sends everybody away · immediate: as if the power had failed
export type StopMode = "smart" | "fast" | "immediate";
const SIGNALS = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;

// PostgreSQL refuses to run as root; then it runs as the user that its package made. It ends with the test.
const isRoot = process.getuid?.() === 0;

function asPostgres(program: string, args: string[]): [string, string[]] {
  const user = isRoot ? ["--reuid=postgres", "--regid=postgres", "--clear-groups"] : [];
  return ["setpriv", ["--pdeathsig", "QUIT", ...user, postgresProgram(program), ...args]];
}

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tims-postgres-"));
  if (isRoot) execFileSync("chown", ["postgres:", folder]);
  return folder;
}

export class Postgres {
  readonly folder = makeFolder();
  readonly address: string;
  readonly port: number;
  private readonly settings: Record<string, string>;
  isRunning = false; // and ready
  private process: ChildProcess | null = null;
  private exited: Promise<unknown> = Promise.resolve();
  private output = "";

  private constructor(port: number, options: PostgresOptions) {
    this.port = port;
    this.address = options.address ?? "127.0.0.1";
    this.settings = options.settings ?? {};
  }

  static async open(options: PostgresOptions = {}): Promise<Postgres> {
    const server = new Postgres(await freePort(), options);
    const how = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
    const [program, args] = asPostgres("initdb", ["-D", server.data, `--username=${USER}`, ...how]);
    execFileSync(program, args, { stdio: "pipe" });
    appendFileSync(join(server.data, "pg_hba.conf"), "host all all samenet trust\n");
    await server.start();
    return server;
  }

  // The postmaster's, while it runs.
  get pid(): number | undefined {
    return this.process?.pid;
  }

  private get data(): string {
    return join(this.folder, "data");
  }

  url(database = "postgres"): string {
    return `postgres://${USER}@${this.address}:${this.port}/${database}`;
  }

  sql(statement: string, database?: string): string {
    return runSql(this.url(database), statement);
  }

  // Its URL.
  createDatabase(name: string): string {
    this.sql(`CREATE DATABASE "${name}"`);
    return this.url(name);
  }

  // On the same port and data as before.
  async start(): Promise<void> {
    const settings = {
      port: String(this.port),
      listen_addresses: this.address,
      unix_socket_directories: "",
      ...this.settings,
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const [program, args] = asPostgres("postgres", ["-D", this.data, ...flags]);
    const run = () => {
      const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
      this.output = "";
      child.stderr.on("data", (text) => {
        this.output = (this.output + text).slice(-20_000);
      });
      this.process = child;
      this.exited = new Promise((resolve) => child.on("exit", resolve));
      return child;
    };
    let child = run();
    const question = ["-q", "-h", this.address, "-p", String(this.port)];
    await until(
      "PostgreSQL to be ready",
      () => {
        // Children of a postmaster that was killed are still about: they end by themselves.
        if (child.exitCode !== null && this.output.includes("shared memory block")) child = run();
        else if (child.exitCode !== null) throw new Error(`PostgreSQL has not started:\n${this.output}`);
        return spawnSync(postgresProgram("pg_isready"), question).status === 0;
      },
      60_000,
    );
    this.isRunning = true;
  }

  async stop(mode: StopMode = "fast"): Promise<void> {
    await this.end(SIGNALS[mode]);
  }

  // The postmaster alone: its children find out by themselves, and the next one waits for them.
  async kill(): Promise<void> {
    await this.end("SIGKILL");
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    this.isRunning = false;
    this.process?.kill(signal);
    await this.exited;
    this.process = null;
  }

  async restart(mode: StopMode = "fast"): Promise<void> {
    await this.stop(mode);
    await this.start();
  }

  // Ends other people's connections to a database, at most `most`, drawn by chance; how many they were.
  terminate(database: string, most = 1000): number {
    const others = `SELECT pid FROM pg_stat_activity WHERE datname = '${database}' AND pid <> pg_backend_pid()`;
    const chosen = `${others} ORDER BY random() LIMIT ${most}`;
    return Number(this.sql(`SELECT count(pg_terminate_backend(pid)) FROM (${chosen}) AS chosen`));
  }

  // Keeps the data of a server that is stopped, and puts it back.
  keep(name: string): void {
    this.copy(this.data, join(this.folder, name));
  }

  restore(name: string): void {
    this.copy(join(this.folder, name), this.data);
  }

  private copy(from: string, to: string): void {
    if (this.process) throw new Error("the data of a server that runs cannot be copied: stop it first");
    rmSync(to, { recursive: true, force: true });
    execFileSync("cp", ["-a", from, to]);
  }

  async remove(): Promise<void> {
    await this.stop("immediate");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
