/* The book of subscriptions: which URLs are wanted, under which id the present socket knows each, and which of the
 * backend's views it sees.
 *
 * Wanted URLs outlive sockets; ids and views belong to one. Operations name a view (or one subscription), and fan out
 * here to the URLs; one tx leaves as one event for all of them. */

import { type BackoffOptions, backoffMs } from "./backoff";
import { ROWS_MAX } from "./documents";
import { type Addressed, type Frame, type Operation, VIEW_OF_NOTHING, type WindowFacts } from "./frames";
import { formatPosition } from "./position";
import type { LiveDocument, Problem } from "./types";

export interface Held {
  epoch: string;
  /** -1: nothing to continue from. */
  position: number;
  rows: number;
}

interface Step {
  url: string;
  epoch: string;
  position: number;
}

export interface SubscriptionEvents {
  onSnap(facts: Step & WindowFacts & { document: LiveDocument }): void;
  onResumed(facts: Step & WindowFacts & { operations: Operation[] }): void;
  onWindow(facts: Step & { limit: number; end: boolean; operations: Operation[] }): void;
  /** All of one step. `followed`: the URLs that stand at its position now. */
  onTx(facts: {
    epoch: string;
    position: number;
    operations: Record<string, Operation[]>;
    followed: string[];
  }): void;
  onError(facts: { url: string; problem: Problem }): void;
  /** What the store holds of a URL; null: nothing. */
  held(url: string): Held | null;
}

/** The present socket, as the books see it. */
export interface Link {
  readonly welcomed: boolean;
  readonly epoch: string;
  nextId(): number;
  send(frame: Record<string, unknown>): void;
}

interface Subscription {
  id: number;
  url: string;
  /** null until answered with snap or resumed; positions of the socket hold for it from then on. */
  view: number | null;
  /** The position that it was asked from. */
  from: number;
  growing: { resolve: () => void; reject: (error: Error) => void }[];
}

/** "Try again" is not taken at its word at once. */
export const UNAVAILABLE_ATTEMPT = 2;

export function problemOfFrame(frame: { status: number; code: string; message?: string }): Problem {
  const message = typeof frame.message === "string" ? frame.message : "";
  return { status: frame.status, code: frame.code, title: message, detail: message, errors: [] };
}

export class Subscriptions {
  private readonly wanted = new Set<string>();
  private readonly byUrl = new Map<string, Subscription>();
  private readonly byId = new Map<number, Subscription>();

  constructor(
    private readonly link: Link,
    private readonly events: SubscriptionEvents,
    private readonly backoff: BackoffOptions | undefined,
  ) {}

  want(url: string): void {
    this.wanted.add(url);
    if (this.link.welcomed && !this.byUrl.has(url)) this.subscribe(url);
  }

  unwant(url: string): void {
    this.wanted.delete(url);
    const subscription = this.byUrl.get(url);
    if (!subscription) return;
    this.forget(subscription);
    this.link.send({ t: "unsub", sub: subscription.id });
  }

  follows(url: string): boolean {
    return (this.byUrl.get(url)?.view ?? null) !== null;
  }

  /** Grows the window; resolves once the rows are in, rejects when the connection ends first, or it is refused. */
  more(url: string, limit: number): Promise<void> {
    const subscription = this.byUrl.get(url);
    if (!subscription || subscription.view === null) return Promise.reject(new Error("not followed"));
    return new Promise((resolve, reject) => {
      subscription.growing.push({ resolve, reject });
      this.link.send({ t: "more", sub: subscription.id, limit });
    });
  }

  /** A frame was refused. It is not told which, and `more` is the only one that may be. */
  refuseMore(code: string): void {
    for (const { growing } of this.byUrl.values())
      for (const { reject } of growing.splice(0)) reject(new Error(code));
  }

  /** The session stands. */
  begin(): void {
    for (const url of this.wanted) if (!this.byUrl.has(url)) this.subscribe(url);
  }

  /** The socket is gone; what is wanted stays wanted. */
  lose(): void {
    for (const subscription of [...this.byUrl.values()]) this.forget(subscription);
  }

  followed(): string[] {
    return [...this.byUrl.values()].filter(({ view }) => view !== null).map(({ url }) => url);
  }

  private subscribe(url: string): void {
    const held = this.events.held(url);
    const from = held?.position ?? -1;
    const subscription: Subscription = { id: this.link.nextId(), url, view: null, from, growing: [] };
    this.byUrl.set(url, subscription);
    this.byId.set(subscription.id, subscription);
    const frame: Record<string, unknown> = { t: "sub", id: subscription.id, url };
    if (held && from >= 0) frame.from = formatPosition(held.epoch, from);
    if (held && held.rows > 0) frame.limit = Math.min(held.rows, ROWS_MAX);
    this.link.send(frame);
  }

  private forget(subscription: Subscription): void {
    this.byUrl.delete(subscription.url);
    this.byId.delete(subscription.id);
    for (const { reject } of subscription.growing) reject(new Error("closed"));
  }

  receive(frame: Frame & { sub: number }): void {
    const subscription = this.byId.get(frame.sub);
    if (!subscription) return; // let go of while this was on its way
    const { url } = subscription;
    const epoch = this.link.epoch;
    switch (frame.t) {
      case "snap":
        this.moveTo(subscription, frame.view);
        this.events.onSnap({ ...this.window(frame), url, epoch, document: frame.document });
        break;
      case "resumed": {
        // Where it was answered before, the backend itself resumes: we had read too slowly.
        if (subscription.view === null && this.events.held(url)?.position !== subscription.from) {
          // A page or an answer has replaced what was to be continued: once more, from there.
          this.link.send({ t: "unsub", sub: subscription.id });
          this.forget(subscription);
          this.subscribe(url);
          break;
        }
        subscription.view = frame.view;
        const operations = this.fan(frame.ops)[url] ?? [];
        this.events.onResumed({ ...this.window(frame), url, epoch, operations });
        break;
      }
      case "window": {
        subscription.view = frame.view;
        const { position, limit, end } = frame;
        const operations = this.fan(frame.ops)[url] ?? [];
        this.events.onWindow({ url, epoch, position, limit, end, operations });
        subscription.growing.shift()?.resolve();
        break;
      }
      case "reset":
        subscription.view = null; // a snap follows; until then nothing holds for it
        break;
      case "error":
        this.refused(subscription, problemOfFrame(frame));
        break;
    }
  }

  private window({ position, order, limit, end, detail, computed }: WindowFacts & { position: number }) {
    return { position, order, limit, end, detail, computed };
  }

  private refused(subscription: Subscription, problem: Problem): void {
    const { url } = subscription;
    this.forget(subscription);
    if (problem.status === 503) {
      const pause = backoffMs(UNAVAILABLE_ATTEMPT, this.backoff);
      setTimeout(() => this.wanted.has(url) && this.want(url), pause);
      return;
    }
    this.wanted.delete(url);
    this.events.onError({ url, problem });
  }

  receiveTx(frame: Frame & { t: "tx" }): void {
    const operations = this.fan(frame.ops);
    const { position } = frame;
    this.events.onTx({ epoch: this.link.epoch, position, operations, followed: this.followed() });
  }

  /** Operations by URL, in their order. A `load` moves its subscription to another view on the way. */
  private fan(operations: readonly Addressed[]): Record<string, Operation[]> {
    const byUrl: Record<string, Operation[]> = {};
    for (const { view, sub, ...operation } of operations) {
      const targets = sub === undefined ? this.ofView(view) : [this.byId.get(sub)];
      for (const target of targets) {
        if (!target || (target.view === null && operation.op !== "load")) continue;
        if (operation.op === "load" && view !== undefined) this.moveTo(target, view);
        byUrl[target.url] ??= [];
        byUrl[target.url]?.push(operation as Operation);
      }
    }
    return byUrl;
  }

  private moveTo(subscription: Subscription, view: number): void {
    subscription.view = view;
    // Nothing is there to grow into: who waits for more has all there is.
    if (view === VIEW_OF_NOTHING) for (const { resolve } of subscription.growing.splice(0)) resolve();
  }

  private ofView(view: number | undefined): Subscription[] {
    if (view === undefined || view === VIEW_OF_NOTHING) return [];
    return [...this.byUrl.values()].filter((subscription) => subscription.view === view);
  }
}
