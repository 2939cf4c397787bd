// live.ts: a socket of the live protocol, its frames as they came: text, because bytes are compared.
import WebSocket from "ws";
import type { Client } from "./client.ts";
import { until } from "./server.ts";

export interface Frame {
  at: number; // when it came, as performance.now() says
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into any frame
  json: any;
}

export class LiveSocket {
  readonly frames: Frame[] = [];
  closed: number | null = null;
  private readonly socket: WebSocket;
  private lastId = 0;

  // `client`: whose cookie goes with it. `token`: a device's, said in the greeting. `origin`: the page that asks.
  constructor(client: Client, { token, origin }: { token?: string; origin?: string } = {}) {
    const url = `${client.server.url.replace(/^http/, "ws")}/live`;
    const cookie = client.cookieHeader();
    this.socket = new WebSocket(url, { origin, headers: cookie ? { cookie } : {} });
    this.socket.on("message", (data) => {
      const text = String(data);
      this.frames.push({ at: performance.now(), text, json: JSON.parse(text) });
    });
    this.socket.on("close", (code) => {
      this.closed = code;
    });
    this.socket.on("error", () => undefined); // a close follows
    this.socket.on("open", () => this.send({ t: "hello", protocol: 2, token }));
  }

  send(frame: Record<string, unknown>): void {
    this.socket.send(JSON.stringify(frame));
  }

  // The first frame that fits; waits for it.
  // biome-ignore lint/suspicious/noExplicitAny: tests look into any frame
  frame(what: string, fits: (frame: any) => boolean, timeoutMs?: number): Promise<Frame> {
    return until(
      what,
      () => {
        if (this.closed !== null && this.frames.every(({ json }) => !fits(json)))
          throw new Error(`closed with ${this.closed} before ${what}`);
        return this.frames.find(({ json }) => fits(json));
      },
      timeoutMs,
    );
  }

  welcomed(): Promise<Frame> {
    return this.frame("welcome", ({ t }) => t === "welcome");
  }

  // Subscribes; the answer.
  async sub(url: string, more: Record<string, unknown> = {}): Promise<Frame> {
    const id = ++this.lastId;
    this.send({ t: "sub", id, url, ...more });
    return this.frame(
      `the answer for ${url}`,
      ({ t, sub }) => sub === id && ["snap", "resumed", "error"].includes(t),
    );
  }

  // The operations of all steps so far.
  // biome-ignore lint/suspicious/noExplicitAny: tests look into any operation
  ops(): any[] {
    return this.frames.filter(({ json }) => json.t === "tx").flatMap(({ json }) => json.ops);
  }

  // Everything up to here has been sent.
  async pong(): Promise<Frame> {
    const before = this.frames.length;
    this.send({ t: "ping" });
    return until("pong", () => this.frames.slice(before).find(({ json }) => json.t === "pong"));
  }

  close(): void {
    this.socket.terminate();
  }
}

export async function welcomed(client: Client): Promise<LiveSocket> {
  const socket = new LiveSocket(client);
  await socket.welcomed();
  return socket;
}

// The text of a member's value in the text of a document, untouched: where it begins with [ or {.
export function textOf(name: string, document: string, from = 0): string {
  const start = document.indexOf(`"${name}":`, from) + name.length + 3;
  let depth = 0;
  let quoted = false;
  for (let i = start; i < document.length; i++) {
    const character = document[i];
    if (quoted && character === "\\") i++;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && "[{".includes(character)) depth++;
    else if (!quoted && "]}".includes(character) && --depth === 0) return document.slice(start, i + 1);
  }
  throw new Error(`no ${name} in ${document.slice(from, from + 200)}`);
}
