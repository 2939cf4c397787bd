// load.ts: people at work while a cluster changes under them: they write, read, open pages and look into the documentation,
// over connections that stay and over ones for each request, and somebody looks on. Every request that fails is kept, and
// every change that was acknowledged.
import { randomUUID } from "node:crypto";
import { Agent, request } from "node:http";
import type { Client } from "../../client.ts";
import { LiveSocket } from "../../live.ts";
import { until } from "../../server.ts";

const PAUSE_MS = 40; // of a person between two requests
const PAGE_PAUSE_MS = 250;

interface Answer {
  status: number;
  text: string;
}

class Reused extends Error {}

// As browsers and proxies do: what met a connection that its server was just closing is asked once more, on a new one. That
// is safe for what may be done twice, which writing with an Idempotency-Key is.
async function ask(
  client: Client,
  agent: Agent,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const key = randomUUID();
  try {
    return await askOnce(client, agent, method, path, key, body);
  } catch (error) {
    if (!(error instanceof Reused)) throw error;
    return askOnce(client, new Agent(), method, path, key, body);
  }
}

function askOnce(
  client: Client,
  agent: Agent,
  method: string,
  path: string,
  key: string,
  body?: unknown,
): Promise<Answer> {
  const text = body === undefined ? "" : JSON.stringify(body);
  const headers: Record<string, string> = { cookie: client.cookieHeader(), accept: "application/json" };
  if (text) Object.assign(headers, { "content-type": "application/json", "x-csrf-token": client.csrf });
  if (text) headers["idempotency-key"] = key;
  return new Promise((resolve, reject) => {
    const asking = request(
      client.server.url + path,
      { method, agent, headers, timeout: 15_000 },
      (answer) => {
        let got = "";
        answer.on("data", (bytes) => {
          got += bytes;
        });
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text: got }));
        answer.on("error", reject);
      },
    );
    asking.on("timeout", () => asking.destroy(new Error("no answer within 15 s")));
    asking.on("error", (error: NodeJS.ErrnoException) => {
      const closed = asking.reusedSocket && (error.code === "ECONNRESET" || error.code === "EPIPE");
      reject(closed ? new Reused(error.message) : error);
    });
    asking.end(text);
  });
}

// Whether a page of the demo's first chat holds what it shows.
export const isRendered = (html: string): boolean => />message \d+<|>hello, cluster</.test(html);

export class Load {
  readonly failures: string[] = [];
  readonly written: string[] = []; // ids of messages, each acknowledged
  requests = 0;
  pages = 0; // rendered
  shells = 0; // and not
  slowestMs = 0;
  private readonly client: Client;
  private readonly chat: string;
  private readonly agents: Agent[] = [];
  private readonly loops: Promise<void>[];
  private over = false;

  constructor(client: Client, chat: string) {
    this.client = client;
    this.chat = chat;
    this.loops = [true, false].flatMap((stays) => [
      this.loop(stays, (agent) => this.write(agent)),
      this.loop(stays, (agent) => this.read(agent)),
      this.loop(stays, (agent) => this.open(agent), PAGE_PAUSE_MS),
      this.loop(stays, (agent) => this.lookUp(agent), PAGE_PAUSE_MS),
    ]);
  }

  private async loop(
    stays: boolean,
    act: (agent: Agent) => Promise<void>,
    pauseMs = PAUSE_MS,
  ): Promise<void> {
    const agent = new Agent({ keepAlive: stays, maxSockets: 1 });
    this.agents.push(agent);
    while (!this.over) {
      const began = performance.now();
      this.requests++;
      await act(agent).catch((error) => this.failures.push(`${new Date().toISOString()} ${error.message}`));
      this.slowestMs = Math.max(this.slowestMs, performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  private async write(agent: Agent): Promise<void> {
    const body = { chat: this.chat, text: `message ${this.requests}` };
    const answer = await ask(this.client, agent, "POST", "/api/messages/", body);
    if (answer.status !== 201) throw new Error(`POST: ${answer.status} ${answer.text}`);
    this.written.push(JSON.parse(answer.text).id);
  }

  private async read(agent: Agent): Promise<void> {
    const answer = await ask(this.client, agent, "GET", `/api/messages/?chat=${this.chat}&limit=5`);
    if (answer.status !== 200) throw new Error(`GET: ${answer.status} ${answer.text}`);
  }

  // A shell, which browsers fill, is an answer too; pages that were rendered are counted.
  private async open(agent: Agent): Promise<void> {
    const answer = await ask(this.client, agent, "GET", `/chat/${this.chat}`);
    if (answer.status !== 200) throw new Error(`page: ${answer.status} ${answer.text}`);
    if (isRendered(answer.text)) this.pages++;
    else this.shells++;
  }

  private async lookUp(agent: Agent): Promise<void> {
    const answer = await ask(this.client, agent, "GET", "/docs/");
    if (answer.status !== 200) throw new Error(`documentation: ${answer.status} ${answer.text}`);
  }

  async stop(): Promise<void> {
    this.over = true;
    await Promise.all(this.loops);
    for (const agent of this.agents) agent.destroy();
  }
}

// A screen that shows a list, and does what the protocol asks of a client when its socket ends: come back when told, and go
// on from the position of what it holds.
export class Screen {
  readonly seen = new Set<string>();
  readonly refusals: string[] = [];
  sockets = 0;
  resumed = 0;
  snapshots = 0;
  resets = 0;
  longestAwayMs = 0;
  private readonly client: Client;
  private readonly url: string;
  private socket: LiveSocket | null = null;
  private position: number | null = null;
  private epoch = ""; // of the position
  private limit = 0; // rows of the window
  private read = 0; // frames of this socket
  private over = false;
  private readonly running: Promise<void>;

  constructor(client: Client, url: string) {
    this.client = client;
    this.url = url;
    this.running = this.run();
  }

  private async run(): Promise<void> {
    let leftAt = 0;
    while (!this.over) {
      const socket = new LiveSocket(this.client);
      this.socket = socket;
      this.read = 0;
      try {
        const { epoch } = (await socket.welcomed()).json;
        this.sockets++;
        const from =
          this.position === null ? {} : { from: `${this.epoch}-${this.position}`, limit: this.limit };
        this.epoch = epoch;
        await socket.sub(this.url, from);
        if (leftAt) this.longestAwayMs = Math.max(this.longestAwayMs, performance.now() - leftAt);
        await until(
          "the end of the socket",
          () => {
            this.take(socket);
            return socket.closed !== null || this.over;
          },
          900_000,
        );
      } catch {
        // comes back
      }
      this.take(socket);
      leftAt = performance.now();
      const bye = socket.frames.find(({ json }) => json.t === "bye")?.json;
      socket.close();
      if (!this.over) await new Promise((resolve) => setTimeout(resolve, bye?.retry_ms ?? 100));
    }
  }

  private take(socket: LiveSocket): void {
    for (; this.read < socket.frames.length; this.read++) {
      const { json } = socket.frames[this.read] as { json: Record<string, unknown> };
      if (json.t === "snap") this.snapshots++;
      if (json.t === "resumed") this.resumed++;
      if (json.t === "reset") this.resets++;
      if (json.t === "error") this.refusals.push(JSON.stringify(json));
      if (typeof json.limit === "number") this.limit = json.limit;
      if (["snap", "resumed", "tx"].includes(String(json.t))) this.position = json.position as number;
      const document = json.document as { rows?: { id: string }[] } | undefined;
      for (const row of document?.rows ?? []) this.seen.add(row.id);
      for (const op of (json.ops as { op: string; id: string }[] | undefined) ?? []) {
        if (op.op === "put") this.seen.add(op.id);
      }
    }
  }

  async stop(): Promise<void> {
    this.over = true;
    this.socket?.close();
    await this.running;
  }
}
