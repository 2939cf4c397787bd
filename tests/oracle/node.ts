// node.ts: one serving process of the app, which can be killed and comes back on the same port.
import { type Environment, freePort, makeFolder, type Server, startServer } from "../server.ts";
import { Divergence } from "./checker.ts";
import type { Target } from "./network.ts";

export interface NodeOptions {
  env: Environment;
  folder?: string;
  host?: string;
  namespace?: string; // a network namespace
}

export class Node implements Target {
  readonly host: string;
  readonly port: number;
  readonly folder: string;
  isUp = false;
  kills = 0;
  private past = ""; // what it has logged in former lives
  readonly namespace: string | undefined;
  private readonly options: NodeOptions;
  private server: Server | null = null;

  private constructor(port: number, options: NodeOptions) {
    this.port = port;
    this.host = options.host ?? "127.0.0.1";
    this.folder = options.folder ?? makeFolder();
    this.namespace = options.namespace;
    this.options = options;
  }

  static async open(options: NodeOptions): Promise<Node> {
    const node = new Node(await freePort(), options);
    await node.start();
    return node;
  }

  get url(): string {
    return `http://${this.host}:${this.port}`;
  }

  async start(): Promise<void> {
    const { env } = this.options;
    this.server = await startServer({
      folder: this.folder,
      env: { ...env, HOST: this.host, PORT: String(this.port) },
      namespace: this.namespace,
    });
    this.isUp = true;
  }

  async kill(): Promise<void> {
    this.kills++;
    this.isUp = false;
    await this.server?.kill();
    this.past = (this.past + (this.server?.output() ?? "")).slice(-100_000);
    this.server = null;
  }

  // It never ends by itself.
  check(): void {
    const { exitCode = null, signalCode = null } = this.server?.process ?? {};
    if (this.isUp && (exitCode !== null || signalCode !== null))
      throw new Divergence(
        `the server has ended (${exitCode ?? signalCode}):\n${this.server?.output().slice(-2000)}`,
      );
  }

  // The last of its own faults that it has logged, in all its lives.
  complaints(): string {
    const lines = (this.past + (this.server?.output() ?? "")).split("\n");
    return lines
      .filter((line) => line.includes(" ERROR ") && !line.includes(" raised 503 "))
      .slice(-20)
      .join("\n");
  }

  async close(): Promise<void> {
    this.isUp = false;
    await this.server?.kill();
    this.server?.remove();
  }
}
