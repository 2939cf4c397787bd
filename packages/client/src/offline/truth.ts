/* The truth about the connection, for people: one of five states, since when, and how much waits to be sent.
 *
 * The browser's word (navigator.onLine), the socket's state, what is behind it, and the session count together. Bad
 * news is told once it has lasted a second, so that a blip shows nothing; good news is told at once. A page that has just
 * come from the backend waits for its first connection as long as that takes: nothing has failed, and nothing is old. */

import type { LiveState } from "../store";

/**
 * live: what is shown follows the backend · updating: connected again, catching up · reconnecting: the backend does not
 * answer · offline: there is no network · signInAgain: the session has ended, what waits is kept for the same person.
 */
export type TruthState = "live" | "updating" | "reconnecting" | "offline" | "signInAgain";

export interface ConnectionTruth {
  state: TruthState;
  /** Since when the backend is away, in ms; null unless reconnecting or offline. */
  since: number | null;
  /** Writes that wait to be sent. */
  waiting: number;
}

export interface TruthHost {
  readonly state: LiveState;
  /** Something that is shown does not follow the backend yet. */
  readonly isBehind: boolean;
  subscribe(listener: () => void): () => void;
}

const SETTLE_MS = 1_000;
export const ALL_IS_WELL: ConnectionTruth = { state: "live", since: null, waiting: 0 };

/** False: the browser knows that there is no network. */
export function isOnline(): boolean {
  return globalThis.navigator?.onLine !== false;
}

export function countWaiting(state: LiveState): number {
  const own = Object.values(state.mutations).filter(({ status }) => status === "waiting").length;
  return own + (state.expired?.writes ?? 0);
}

/** What is so at this moment. */
export function truthNow(state: LiveState, isBehind: boolean, online: boolean): TruthState {
  if (state.expired) return "signInAgain";
  const { status } = state.connection;
  if (status === "live") return isBehind ? "updating" : "live"; // whatever the browser says
  if (!online) return "offline";
  return status === "idle" ? "live" : "reconnecting"; // idle: nothing is shown that could be behind
}

export class Truth {
  private told = ALL_IS_WELL;
  private awaySince: number | null = null;
  /** What is shown came with the page, and its first connection is on its way. */
  private isStarting = true;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly listeners = new Set<(truth: ConnectionTruth) => void>();
  private stop: (() => void) | null = null;

  constructor(private readonly host: TruthHost) {}

  /** Tells at once what has been told last, and then each change. */
  watch(listener: (truth: ConnectionTruth) => void): () => void {
    this.listeners.add(listener);
    this.stop ??= this.begin();
    listener(this.told);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size > 0) return;
      this.stop?.();
      this.stop = null;
    };
  }

  private begin(): () => void {
    const step = () => this.step();
    const stop = this.host.subscribe(step);
    globalThis.addEventListener?.("online", step);
    globalThis.addEventListener?.("offline", step);
    step();
    return () => {
      stop();
      globalThis.removeEventListener?.("online", step);
      globalThis.removeEventListener?.("offline", step);
      clearTimeout(this.timer);
      this.timer = undefined;
    };
  }

  private now(): TruthState {
    const { state, isBehind } = this.host;
    const now = truthNow(state, isBehind, isOnline());
    const { status, attempts } = state.connection;
    const isFresh = state.page !== null && state.page.asOf === null;
    const isOnItsWay = now === "reconnecting" || now === "updating";
    if (status !== "idle") this.isStarting &&= isFresh && isOnItsWay && attempts === 0;
    return this.isStarting && isOnItsWay ? "live" : now;
  }

  private step(): void {
    const now = this.now();
    const isAway = now === "reconnecting" || now === "offline";
    this.awaySince = isAway ? (this.awaySince ?? Date.now()) : null;
    if (now === this.told.state || now === "live" || now === "signInAgain") {
      clearTimeout(this.timer);
      this.timer = undefined;
      this.tell(now);
    } else {
      this.tell(this.told.state); // what waits may have changed
      this.timer ??= setTimeout(() => {
        this.timer = undefined;
        this.tell(this.now());
      }, SETTLE_MS);
    }
  }

  private tell(state: TruthState): void {
    const isAway = state === "reconnecting" || state === "offline";
    const since = isAway ? (this.awaySince ?? this.told.since) : null;
    const waiting = countWaiting(this.host.state);
    const { told } = this;
    if (told.state === state && told.since === since && told.waiting === waiting) return;
    this.told = { state, since, waiting };
    for (const listener of this.listeners) listener(this.told);
  }
}
