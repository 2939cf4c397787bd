/* The websocket to /live: keeps one connection, comes back after a drop, and hands what arrives to the books of
 * subscriptions and rooms, which say what is wanted of it.
 *
 * It knows the protocol (docs/reference/live-protocol.md) and nothing of the store: `events` are its only way out. */

import { type BackoffOptions, backoffMs } from "./backoff";
import { CLOSE_PROTOCOL, CLOSE_SESSION, CLOSE_TIMEOUT, type Frame, PROTOCOL, readFrame } from "./frames";
import { Rooms } from "./roombook";
import type { RoomEvents } from "./rooms";
import { type SubscriptionEvents, Subscriptions } from "./subscriptions";
import type { ConnectionStatus } from "./types";

export interface ConnectionEvents extends SubscriptionEvents, RoomEvents {
  onStatus(status: ConnectionStatus, attempts: number): void;
  onWelcome(facts: { epoch: string; position: number; user: string | null }): void;
  onPosition(facts: { position: number; followed: string[] }): void;
  /** Signed out, expired, revoked: ask who we are before returning. */
  onSessionEnded(): void;
}

export interface SocketLike {
  readyState: number;
  send(text: string): void;
  close(code?: number): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
  onerror: ((event: never) => void) | null;
  /** Ids of this side begin behind it: several tabs share one socket, see tabs.ts. */
  idBase?: number;
}

export interface ConnectionOptions {
  url: () => string;
  token: () => string | null;
  events: ConnectionEvents;
  socket?: (url: string) => SocketLike;
  backoff?: BackoffOptions;
}

const OPEN = 1;
/** Not greeted by then: a network that swallows everything must not hold us forever. */
const WELCOME_MS = 10_000;
/** A peer that was asked whether it is still there answers by then. */
const PROBE_MS = 3_000;

export class LiveConnection {
  readonly subscriptions: Subscriptions;
  readonly rooms: Rooms;
  welcomed = false;
  epoch = "";
  private readonly options: ConnectionOptions;
  private socket: SocketLike | null = null;
  private closing = false;
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
    this.subscriptions = new Subscriptions(this, options.events, options.backoff);
    this.rooms = new Rooms(this, options.events, options.backoff);
  }

  get isStarted(): boolean {
    return !this.stopped;
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

  /** The window is in front, the app has resumed: returns at once if it waits for its next attempt, and asks a peer that
   * was there whether it still is. `anew`: the network is another one, what was being opened went the old way. */
  probe(anew = false): void {
    if (this.stopped) return;
    if (this.welcomed) {
      this.heard = false;
      this.send({ t: "ping" });
      clearTimeout(this.heartTimer);
      this.heartTimer = setTimeout(() => (this.heard ? this.beat() : this.giveUp()), PROBE_MS);
      return;
    }
    if (this.socket && !anew) return;
    clearTimeout(this.retryTimer);
    if (this.socket) this.drop(CLOSE_TIMEOUT);
    this.open();
  }

  /** A fresh bearer token of the same user. */
  auth(token: string): void {
    if (this.welcomed) this.send({ t: "auth", token });
  }

  nextId(): number {
    return ++this.lastId;
  }

  send(frame: Record<string, unknown>): void {
    if (this.socket?.readyState === OPEN && !this.closing) this.socket.send(JSON.stringify(frame));
  }

  private open(): void {
    this.options.events.onStatus("connecting", this.attempts);
    this.retryMs = null;
    this.closing = false;
    const make = this.options.socket ?? ((url: string) => new WebSocket(url) as unknown as SocketLike);
    let socket: SocketLike;
    try {
      socket = make(this.options.url());
    } catch {
      this.retryLater();
      return;
    }
    this.socket = socket;
    clearTimeout(this.heartTimer);
    this.heartTimer = setTimeout(() => this.giveUp(), WELCOME_MS);
    socket.onopen = () => {
      const token = this.options.token();
      this.send({ t: "hello", protocol: PROTOCOL, ...(token ? { token } : {}) });
    };
    socket.onmessage = (event) => {
      if (this.socket === socket) this.receive(event.data);
    };
    socket.onclose = (event) => {
      if (this.socket === socket) this.closed(event.code);
    };
    socket.onerror = () => undefined; // a close follows
  }

  /** Nobody is there. */
  private giveUp(): void {
    this.drop(CLOSE_TIMEOUT);
    this.retryLater();
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
    this.subscriptions.lose();
    this.rooms.lose();
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
        this.giveUp();
        return;
      }
      // Only who stays is met without a pause next time: a peer that greets and drops is not hammered.
      if (this.welcomed) this.attempts = 0;
      this.heard = false;
      this.send({ t: "ping" });
      this.heartTimer = setTimeout(tick, this.heartbeatMs);
    };
    this.heartTimer = setTimeout(tick, this.heartbeatMs);
  }

  private receive(data: unknown): void {
    if (this.closing) return; // a bye was the last word
    this.heard = true;
    const frame = typeof data === "string" ? readFrame(data) : "malformed";
    if (frame === "unknown") return; // a later protocol's
    if (frame === "malformed") {
      this.drop(CLOSE_PROTOCOL);
      this.retryLater();
    } else if (frame.t === "welcome") this.receiveWelcome(frame);
    else if (this.welcomed) this.receiveWelcomed(frame);
  }

  private receiveWelcome(frame: Frame & { t: "welcome" }): void {
    const { events } = this.options;
    const { epoch, position } = frame;
    const again = this.welcomed; // the answer to `auth`
    if (!again) this.lastId = this.socket?.idBase ?? 0;
    this.welcomed = true;
    this.epoch = epoch;
    this.heartbeatMs = frame.heartbeat_ms ?? this.heartbeatMs;
    this.beat();
    events.onWelcome({ epoch, position, user: frame.user ?? null });
    if (again || !this.welcomed) return; // !welcomed: the one who listens has ended it
    events.onStatus("live", 0);
    this.subscriptions.begin();
    this.rooms.begin();
  }

  private receiveWelcomed(frame: Frame): void {
    if (frame.t === "tx") this.subscriptions.receiveTx(frame);
    else if (frame.t === "pong")
      this.options.events.onPosition({ position: frame.position, followed: this.subscriptions.followed() });
    else if (frame.t === "bye") {
      this.closing = true;
      this.retryMs = frame.retry_ms ?? null;
    } else if (frame.t === "presence" || frame.t === "said" || (frame.t === "error" && "join" in frame))
      this.rooms.receive(frame);
    else if ("sub" in frame && frame.sub !== undefined)
      this.subscriptions.receive(frame as Frame & { sub: number });
    else if (frame.t === "error") {
      if (frame.code === "other_user")
        this.restart(); // greet as that one
      else this.subscriptions.refuseMore(frame.code);
    }
  }
}
