// engine.ts: a container engine of the tests' own: dockerd beside any other of this machine, with its images below build/ so
// that the next file of tests has them, and a bridge of its own (two engines on one undo each other's rules).
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, until } from "../server.ts";
import { makeBases } from "./bases.ts";
import { installPlugins } from "./plugins.ts";

const CLIENT = "/usr/bin/docker";
const DAEMON = "/usr/sbin/dockerd";
const LONG_MS = 1_200_000;
const LOG_BYTES_MAX = 64 * 1024 * 1024;

export const registry = "localhost:5000";
export const owner = "tests";
export const tag = "tests";
export const images = ["backend", "frontend", "docs", "backend-dev", "frontend-dev"] as const;
export type ImageName = (typeof images)[number];

export function nameOf(image: ImageName): string {
  return `${registry}/${owner}/tims-stack-${image}:${tag}`;
}

// The commit that images are labelled with.
export const revision = execFileSync("git", ["rev-parse", "HEAD"], { cwd: root, encoding: "utf8" }).trim();

export class Engine {
  private readonly folder: string;
  private readonly bridge: string;
  private readonly daemon: ChildProcess;

  private constructor(folder: string, bridge: string, daemon: ChildProcess) {
    this.folder = folder;
    this.bridge = bridge;
    this.daemon = daemon;
  }

  // A started engine, or a sentence that says why this machine has none.
  static async start(): Promise<Engine | string> {
    if (process.getuid?.() !== 0) return "No container engine: it takes root to start one.";
    if (!existsSync(DAEMON) || !existsSync(CLIENT)) return "No container engine: docker.io is not installed.";
    const data = join(root, "build/engine");
    mkdirSync(data, { recursive: true });
    const folder = mkdtempSync(join(tmpdir(), "tims-engine-"));
    const bridge = `tims${process.pid}`;
    const net = process.pid % 250;
    removeLeftBridges();
    try {
      ip("link", "add", bridge, "type", "bridge");
      ip("address", "add", `10.213.${net}.1/24`, "dev", bridge);
      ip("link", "set", bridge, "up");
    } catch (error) {
      rmSync(folder, { recursive: true });
      return `No container engine: this machine lets nobody make a bridge (${firstLine(error)}).`;
    }
    const log = openSync(join(folder, "log"), "w");
    const daemon = spawn(
      "setpriv",
      [
        ...["--pdeathsig", "TERM", DAEMON],
        ...["--data-root", data, "--exec-root", join(folder, "exec"), "--pidfile", join(folder, "pid")],
        ...["-H", `unix://${join(folder, "socket")}`, "--bridge", bridge],
        ...["--default-address-pool", `base=10.214.0.0/16,size=24`],
      ],
      // Into a file: nobody would empty a pipe while a client is waited for, and dockerd stands still once it is full.
      { stdio: ["ignore", log, log] },
    );
    closeSync(log);
    const engine = new Engine(folder, bridge, daemon);
    const ready = await until("dockerd to answer or to end", () => {
      if (daemon.exitCode !== null) return "ended";
      try {
        return engine.docker("version", "--format", "{{.Server.Version}}");
      } catch {
        return undefined;
      }
    });
    if (ready === "ended") {
      const said = readFileSync(join(folder, "log"), "utf8");
      const why = said.split("\n").filter((line) => /level=(fatal|error)|failed/i.test(line));
      engine.remove();
      return `No container engine: dockerd has ended: ${why.at(-1) ?? said.slice(-300)}`;
    }
    engine.removeContainers();
    return engine;
  }

  // What programs that talk to it need in their environment.
  get environment(): Record<string, string> {
    return {
      PATH: process.env.PATH ?? "",
      HOME: this.folder,
      DOCKER_HOST: `unix://${join(this.folder, "socket")}`,
      DOCKER_CONFIG: join(this.folder, "config"),
      DOCKER_BUILDKIT: "1",
      BUILDKIT_PROGRESS: "plain",
    };
  }

  private run(words: string[], env: Record<string, string> = {}): string {
    return execFileSync(CLIENT, words, {
      cwd: root,
      env: { ...this.environment, ...env },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      timeout: LONG_MS,
      killSignal: "SIGKILL",
      maxBuffer: LOG_BYTES_MAX,
    }).trim();
  }

  // Runs the client; its output. Throws with what it said when it fails.
  docker(...words: string[]): string {
    return this.run(words);
  }

  // Compose v2 in the repository's folder.
  compose(env: Record<string, string>, ...words: string[]): string {
    mkdirSync(join(this.folder, "config/cli-plugins"), { recursive: true });
    installPlugins(join(this.folder, "config/cli-plugins"));
    return this.run(["compose", ...words], env);
  }

  // Builds these images (the engine keeps what has not changed), on stand-ins for the bases that they name.
  build(...wanted: ImageName[]): void {
    makeBases(this);
    for (const image of wanted) {
      const file = `docker/${image.replace("-", "_")}.Dockerfile`;
      this.docker("build", "-f", file, "-t", nameOf(image), "--build-arg", `REVISION=${revision}`, ".");
    }
  }

  inspect(what: string): Inspected {
    return (JSON.parse(this.docker("inspect", what)) as Inspected[])[0] as Inspected;
  }

  removeContainers(): void {
    const all = this.docker("ps", "-aq").split("\n").filter(Boolean);
    if (all.length > 0) this.docker("rm", "-f", "-v", ...all);
  }

  async stop(): Promise<void> {
    this.removeContainers();
    this.docker("network", "prune", "-f");
    this.docker("volume", "prune", "-f");
    const pid = Number(readFileSync(join(this.folder, "pid"), "utf8"));
    const exited = new Promise((resolve) => this.daemon.once("exit", resolve));
    process.kill(pid, "SIGTERM");
    await exited;
    this.remove();
  }

  private remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
    ip("link", "delete", this.bridge);
  }
}

export interface Inspected {
  Size: number;
  RootFS: { Layers: string[] };
  Config: { User: string; Labels: Record<string, string> | null; Env: string[]; Entrypoint: string[] };
  State: { Pid: number; Running: boolean; ExitCode: number };
  NetworkSettings: { IPAddress: string };
}

// Of tests that were ended by force.
function removeLeftBridges(): void {
  for (const name of readdirSync("/sys/class/net")) {
    const pid = /^tims(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) ip("link", "delete", name);
  }
}

function ip(...words: string[]): void {
  execFileSync("ip", words, { stdio: ["ignore", "ignore", "pipe"] });
}

export function firstLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: Buffer | string; message: string };
  return (String(stderr ?? "").trim() || message).split("\n")[0] as string;
}
