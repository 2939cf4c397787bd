// follow.ts: somebody who does exactly what the pages of the tutorial say, in a folder of their own. Only the port is
// another one.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { freePort, root, until } from "../server.ts";
import { type Block, blocksOf } from "./blocks.ts";

export class Reader {
  readonly port: number;
  readonly home = mkdtempSync(join(tmpdir(), "tims-guide-"));
  readonly variables: NodeJS.ProcessEnv = {}; // what pages ask for: "say where it is"
  private folder = this.home;
  private server: ChildProcess | null = null;
  private said = "";

  private constructor(port: number) {
    this.port = port;
  }

  static async start(): Promise<Reader> {
    return new Reader(await freePort());
  }

  get url(): string {
    return `http://localhost:${this.port}`;
  }

  private get environment(): NodeJS.ProcessEnv {
    const { DATABASE_URL: _, REDIS_URL: __, ...environment } = process.env;
    return {
      ...environment,
      TIMS_STACK: root,
      PORT: String(this.port),
      NEXT_TELEMETRY_DISABLED: "1",
      CCACHE_BASEDIR: this.home,
      CCACHE_NOHASHDIR: "1",
      ...this.variables,
    };
  }

  private script(block: Block): string {
    return block.text.replaceAll("localhost:8000", `localhost:${this.port}`);
  }

  // Runs a block to its end; what it printed. A folder that it went into is where the next one begins.
  private run(block: Block, where: string): string {
    const place = join(this.home, ".place");
    const command = `set -euo pipefail\n${this.script(block)}\npwd > '${place}'`;
    const { status, stdout, stderr } = spawnSync("bash", ["-c", command], {
      cwd: this.folder,
      env: this.environment,
      encoding: "utf8",
      timeout: 300_000,
    });
    if (status !== 0) throw new Error(`${where}: ended with ${status}:\n${stdout}${stderr}`);
    this.folder = readFileSync(place, "utf8").trim();
    return stdout;
  }

  async stop(): Promise<void> {
    const { server } = this;
    this.server = null;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const exited = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGTERM"); // the shell has become the program
    await exited;
  }

  private async serve(block: Block, where: string): Promise<void> {
    await this.stop();
    this.said = "";
    const server = spawn("setpriv", ["--pdeathsig", "KILL", "bash", "-c", this.script(block)], {
      cwd: this.folder,
      env: this.environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.server = server;
    for (const stream of [server.stdout, server.stderr])
      stream?.on("data", (bytes) => {
        this.said += bytes;
      });
    await until(
      "the tutorial's server",
      () => {
        if (server.exitCode !== null)
          throw new Error(`${where}: ended with ${server.exitCode}:\n${this.said}`);
        return /is ready/.test(this.said);
      },
      30_000,
    );
    // Its first pages may come late, and there is no exported shell in the tutorial: 503 until then.
    if (this.script(block).includes("RENDER_COMMAND"))
      await until("the first page", async () => (await fetch(this.url)).ok, 60_000);
  }

  private insert(block: Block, name: string, where: string): void {
    const { before, after } = block.values;
    const path = join(this.folder, name);
    const lines = readFileSync(path, "utf8").split("\n");
    const wanted = before ?? after ?? "";
    const found = lines.flatMap((line, index) => (line.includes(wanted) ? [index] : []));
    if (wanted === "" || found.length !== 1)
      throw new Error(`${where}: ${found.length} lines have ${wanted}`);
    lines.splice((found[0] as number) + (before === undefined ? 1 : 0), 0, block.text.replace(/\n$/, ""));
    writeFileSync(path, lines.join("\n"));
  }

  // Does what a page says, and leaves what it serves running.
  async follow(page: string): Promise<void> {
    let printed: string | null = null;
    for (const block of blocksOf(page)) {
      const where = `${page}:${block.line}`;
      const { file, insert } = block.values;
      if (file) {
        mkdirSync(dirname(join(this.folder, file)), { recursive: true });
        writeFileSync(join(this.folder, file), block.text);
      } else if (insert) this.insert(block, insert, where);
      else if (block.word === "serve") await this.serve(block, where);
      else if (block.word === "run") printed = this.run(block, where);
      else if (block.word === "output") {
        const pattern = block.text
          .trim()
          .split("…")
          .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
          .join("[\\s\\S]*");
        if (!new RegExp(`^${pattern}$`).test((printed ?? "").trim()))
          throw new Error(`${where}: was printed instead:\n${printed}`);
      }
    }
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.home, { recursive: true, force: true });
  }
}
