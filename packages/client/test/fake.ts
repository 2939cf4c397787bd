/* A backend's end of the websocket, for tests: what the client sent, and frames to send it. */

import type { SocketLike } from "../src/connection";
import type { AnyRow, PageData } from "../src/types";

export const EPOCH = "00112233445566aa";

export class FakeSocket implements SocketLike {
  readyState = 0;
  sent: Record<string, unknown>[] = [];
  closedWith: number | undefined;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onerror: (() => void) | null = null;
  constructor(
    readonly url: string,
    readonly network: FakeNetwork,
  ) {}
  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }
  close(code?: number): void {
    this.closedWith = code;
    this.readyState = 3;
  }
  open(): void {
    if (this.readyState === 1) return;
    this.readyState = 1;
    this.onopen?.();
  }
  receive(frame: Record<string, unknown> | string): void {
    this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }
  welcome(position = 10, epoch = EPOCH): void {
    this.open();
    this.receive({
      t: "welcome",
      protocol: 2,
      epoch,
      position,
      user: this.network.user,
      heartbeat_ms: 15000,
    });
  }
  cut(code = 1006): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }
  /** The frames of one kind. */
  of(t: string): Record<string, unknown>[] {
    return this.sent.filter((frame) => frame.t === t);
  }
}

export class FakeNetwork {
  sockets: FakeSocket[] = [];
  /** Whom the cookie names. */
  user: string | null = null;
  requests: { method: string; url: string; body: unknown; headers: Record<string, string> }[] = [];
  answer: (method: string, url: string, body: unknown) => Response | Promise<Response> = () => {
    throw new TypeError("offline");
  };
  socket = (url: string): FakeSocket => {
    const socket = new FakeSocket(url, this);
    this.sockets.push(socket);
    return socket;
  };
  fetch = (async (url: string, init: RequestInit) => {
    const body = typeof init.body === "string" ? (JSON.parse(init.body) as unknown) : undefined;
    const method = init.method ?? "GET";
    this.requests.push({ method, url, body, headers: init.headers as Record<string, string> });
    return this.answer(method, url, body);
  }) as typeof fetch;
  get last(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("no socket was opened");
    return socket;
  }
}

export function json(status: number, data: unknown, headers: Record<string, string> = {}): Response {
  const type = status < 400 ? "application/json" : "application/problem+json";
  return new Response(JSON.stringify(data), { status, headers: { "Content-Type": type, ...headers } });
}

export function page(live: PageData["live"], number = 10): PageData {
  return {
    path: "/chat/1",
    route: "/chat/[chat]",
    params: { chat: "1" },
    language: "en",
    user: { id: "u1", username: "ann", display_name: "Ann", avatar: "", staff: false },
    csrf: "csrf-1",
    position: `${EPOCH}-${number}`,
    live,
    values: {},
  };
}

export const row = (id: string, n: number, more: Record<string, unknown> = {}): AnyRow => ({
  id,
  n,
  ...more,
});

export function listOf(rows: AnyRow[], next: string | null = null) {
  return { rows, total: rows.length, next, previous: null, position: `${EPOCH}-10` };
}
