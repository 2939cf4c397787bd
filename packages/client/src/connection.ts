/* The websocket to /live: keeps one connection, says what is wanted, resumes after a drop, and hands on what arrives.
 *
 * It knows the protocol (docs/reference/live-protocol.md) and nothing of the store: `events` are its only way out.
 * Wanted URLs outlive connections; subscription ids belong to one connection. */

import { type BackoffOptions, backoffMs } from "./backoff";
import type { Operation } from "./documents";
import { formatPosition } from "./position";
import type { ConnectionStatus, LiveDocument, Problem } from "./types";

export interface Held {
  epoch: string;
  position: number;
  rows: number;
}

export interface ConnectionEvents {
  onStatus(status: ConnectionStatus, attempts: number): void;
  onWelcome(facts: { epoch: string; position: number; user: string | null }): void;
  onSnap(facts: {
    url: string;
    document: LiveDocument;
    epoch: string;
    position: number;
    order: string;
    end: boolean;
    detail: boolean;
  }): void;
  onResumed(facts: { url: string; epoch: string; order: string; end: boolean; detail: boolean }): void;
  onTx(facts: {
    epoch: string;
    position: number;
    operations: Record<string, Operation[]>;
    followed: string[];
  }): void;
  onPosition(facts: { position: number; followed: string[] }): void;
  onWindow(facts: { url: string; end: boolean }): void;
  onError(facts: { url: string; problem: Problem }): void;
  /** Signed out, expired, revoked: ask who we are before returning. */
  onSessionEnded(): void;
  /** What the store holds of a URL; null: nothing. */
  held(url: string): Held | null;
}

export interface SocketLike {
  readyState: number;
  send(text: string): void;
  close(code?: number): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
  onerror: ((event: never) => void) | null;
}

export interface ConnectionOptions {
  url: () => string;
  token: () => string | null;
  events: ConnectionEvents;
  socket?: (url: string) => SocketLike;
  backoff?: BackoffOptions;
}

interface Frame {
  t?: string;
  sub?: number;
  position?: number;
  epoch?: string;
  user?: string | null;
  heartbeat_ms?: number;
  order?: string;
  end?: boolean;
  detail?: boolean;
  document?: LiveDocument;
  ops?: ({ sub: number } & Operation)[];
  status?: number;
  code?: string;
  message?: string;
  reason?: string;
  retry_ms?: number;
}

interface Subscription {
  id: number;
  url: string;
  /** Answered with snap or resumed: positions of the socket hold for it. */
  follows: boolean;
  growing: ((end: boolean) => void)[];
}

const CLOSE_PROTOCOL = 4400;
const CLOSE_SESSION = 4401;
const CLOSE_TIMEOUT = 4408;
const OPEN = 1;

export class LiveConnection {
  private readonly options: ConnectionOptions;
  private readonly wanted = new Set<string>();
  private readonly byUrl = new Map<string, Subscription>();
  private readonly byId = new Map<number, Subscription>();
  private socket: SocketLike | null = null;
  private welcomed = false;
  private epoch = "";
  private lastId = 0;
  private attempts = 0;
  private retryMs: number | null = null;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private heartTimer: ReturnType<typeof setTimeout> | undefined;
  private heartbeatMs = 15_000;
  private heard = true;
  private stopped = true;

  constructor(options: ConnectionOptions) {
    this.options = options;
  }

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.attempts = 0;
    this.open();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.retryTimer);
    this.drop(1000);
    this.options.events.onStatus("idle", 0);
  }

  /** Begins anew as whoever is signed in now. */
  restart(): void {
    this.stop();
    this.start();
  }

  /** Returns at once, if it waits for its next attempt: the network is back, the window is in front. */
  hurry(): void {
    if (this.stopped || this.socket) return;
    clearTimeout(this.retryTimer);
    this.open();
  }

  want(url: string): void {
    this.wanted.add(url);
    if (this.welcomed && !this.byUrl.has(url)) this.subscribe(url);
  }

  unwant(url: string): void {
    this.wanted.delete(url);
    const subscription = this.byUrl.get(url);
    if (!subscription) return;
    this.forget(subscription);
    this.send({ t: "unsub", sub: subscription.id });
  }

  follows(url: string): boolean {
    return this.byUrl.get(url)?.follows === true;
  }

  /** Grows the window; resolves once the rows are in, rejects when the connection ends first. */
  more(url: string, limit: number): Promise<boolean> {
    const subscription = this.byUrl.get(url);
    if (!subscription?.follows) return Promise.reject(new Error("not followed"));
    return new Promise((resolve, reject) => {
      subscription.growing.push((end) =>
        this.byUrl.get(url) === subscription ? resolve(end) : reject(new Error("closed")),
      );
      this.send({ t: "more", sub: subscription.id, limit });
    });
  }

  ping(): void {
    this.send({ t: "ping" });
  }

  private send(frame: Record<string, unknown>): void {
    if (this.socket?.readyState === OPEN) this.socket.send(JSON.stringify(frame));
  }

  private open(): void {
    this.options.events.onStatus("connecting", this.attempts);
    this.retryMs = null;
    const make = this.options.socket ?? ((url: string) => new WebSocket(url) as unknown as SocketLike);
    let socket: SocketLike;
    try {
      socket = make(this.options.url());
    } catch {
      this.retryLater();
      return;
    }
    this.socket = socket;
    socket.onopen = () => {
      const token = this.options.token();
      this.send({ t: "hello", protocol: 1, ...(token ? { token } : {}) });
      this.beat();
    };
    socket.onmessage = (event) => {
      if (this.socket === socket && typeof event.data === "string") this.receive(event.data);
    };
    socket.onclose = (event) => {
      if (this.socket === socket) this.closed(event.code);
    };
    socket.onerror = () => undefined; // a close follows
  }

  /** Leaves the present socket without waiting for its close. */
  private drop(code: number): void {
    const socket = this.socket;
    this.socket = null;
    this.lose();
    socket?.close(code);
  }

  private lose(): void {
    this.welcomed = false;
    clearTimeout(this.heartTimer);
    const lost = [...this.byUrl.values()];
    this.byUrl.clear();
    this.byId.clear();
    for (const subscription of lost) for (const settle of subscription.growing) settle(false);
  }

  private closed(code: number): void {
    this.socket = null;
    this.lose();
    if (code === CLOSE_SESSION || code === CLOSE_PROTOCOL) {
      this.stopped = true;
      this.options.events.onStatus("ended", this.attempts);
      if (code === CLOSE_SESSION) this.options.events.onSessionEnded();
      return;
    }
    if (!this.stopped) this.retryLater();
  }

  private retryLater(): void {
    const pause = this.retryMs ?? backoffMs(this.attempts, this.options.backoff);
    this.attempts++;
    this.options.events.onStatus("waiting", this.attempts);
    this.retryTimer = setTimeout(() => this.open(), pause);
  }

  /** A ping each heartbeat; nothing heard since the last one means that nobody is there. */
  private beat(): void {
    clearTimeout(this.heartTimer);
    this.heard = true;
    const tick = () => {
      if (!this.heard) {
        this.drop(CLOSE_TIMEOUT);
        this.retryLater();
        return;
      }
      this.heard = false;
      this.ping();
      this.heartTimer = setTimeout(tick, this.heartbeatMs);
    };
    this.heartTimer = setTimeout(tick, this.heartbeatMs);
  }

  private subscribe(url: string): void {
    const subscription: Subscription = { id: ++this.lastId, url, follows: false, growing: [] };
    this.byUrl.set(url, subscription);
    this.byId.set(subscription.id, subscription);
    const held = this.options.events.held(url);
    const resume = held && held.position >= 0 && held.epoch !== "";
    const from = resume ? { from: formatPosition(held.epoch, held.position), limit: held.rows } : {};
    this.send({ t: "sub", id: subscription.id, url, ...from });
  }

  private forget(subscription: Subscription): void {
    this.byUrl.delete(subscription.url);
    this.byId.delete(subscription.id);
    for (const settle of subscription.growing) settle(false);
  }

  private followed(): string[] {
    return [...this.byUrl.values()]
      .filter((subscription) => subscription.follows)
      .map((subscription) => subscription.url);
  }

  private receive(text: string): void {
    this.heard = true;
    let frame: Frame;
    try {
      frame = JSON.parse(text) as Frame;
    } catch {
      this.drop(CLOSE_PROTOCOL);
      this.retryLater();
      return;
    }
    const subscription = frame.sub === undefined ? undefined : this.byId.get(frame.sub);
    if (subscription) this.receiveFor(subscription, frame);
    else this.receiveForAll(frame);
  }

  private receiveForAll(frame: Frame): void {
    const { events } = this.options;
    switch (frame.t) {
      case "welcome":
        this.welcomed = true;
        this.attempts = 0;
        this.epoch = frame.epoch ?? "";
        this.heartbeatMs = frame.heartbeat_ms ?? this.heartbeatMs;
        this.beat();
        events.onWelcome({ epoch: this.epoch, position: frame.position ?? 0, user: frame.user ?? null });
        events.onStatus("live", 0);
        for (const url of this.wanted) if (!this.byUrl.has(url)) this.subscribe(url);
        break;
      case "tx":
        this.receiveTx(frame);
        break;
      case "pong":
        if (frame.position !== undefined)
          events.onPosition({ position: frame.position, followed: this.followed() });
        break;
      case "bye":
        this.retryMs = frame.retry_ms ?? null;
        break;
    }
  }

  private receiveFor(subscription: Subscription, frame: Frame): void {
    const { events } = this.options;
    const { url } = subscription;
    const facts = {
      url,
      epoch: this.epoch,
      order: frame.order ?? "",
      end: frame.end === true,
      detail: frame.detail === true,
    };
    switch (frame.t) {
      case "snap":
        subscription.follows = true;
        events.onSnap({ ...facts, document: frame.document ?? null, position: frame.position ?? 0 });
        break;
      case "resumed":
        subscription.follows = true;
        events.onResumed(facts);
        break;
      case "window":
        events.onWindow({ url, end: facts.end });
        subscription.growing.shift()?.(facts.end);
        break;
      case "error": {
        this.forget(subscription);
        if (frame.status === 503) {
          setTimeout(() => this.wanted.has(url) && this.want(url), backoffMs(2, this.options.backoff));
          break;
        }
        this.wanted.delete(url);
        const message = frame.message ?? "";
        const code = frame.code ?? "error";
        events.onError({
          url,
          problem: { status: frame.status ?? 500, code, title: message, detail: message, errors: [] },
        });
        break;
      }
    }
  }

  private receiveTx(frame: Frame): void {
    const operations: Record<string, Operation[]> = {};
    for (const { sub, ...operation } of frame.ops ?? []) {
      const url = this.byId.get(sub)?.url;
      if (url === undefined) continue;
      let list = operations[url];
      if (!list) {
        list = [];
        operations[url] = list;
      }
      list.push(operation as Operation);
    }
    const position = frame.position ?? 0;
    this.options.events.onTx({ epoch: this.epoch, position, operations, followed: this.followed() });
  }
}
