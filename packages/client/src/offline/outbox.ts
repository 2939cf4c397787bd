/* The outbox: the lane in which writes leave, one after the other, in the order in which they were made.
 *
 * A write is an HTTP request with an Idempotency-Key, so sending it twice does it once. One that meets no server stops
 * the lane: it and those behind it wait, and go out when the connection is back, or after a pause that grows. A row
 * that was made offline so exists before it is changed; what names a row whose making was refused is held until the
 * person has decided. Keys grow, so they are the order, also after a restart. */

import { type ApiAnswer, ApiError, problemOf } from "../api";
import { backoffMs } from "../backoff";
import { newId } from "../id";
import type { Session } from "../options";
import { actions, type LiveState, type TimsStore } from "../store";
import type { AnyRow, Mutation, Problem } from "../types";
import type { Fields, Lane, MutationResult } from "../writes";
import { formOf, keepFiles } from "./files";
import { isOnline } from "./truth";

export interface OutboxHost {
  readonly store: TimsStore;
  readonly state: LiveState;
  attempt(mutation: Mutation, content?: unknown): Promise<MutationResult<AnyRow>>;
  api<T>(method: string, url: string): Promise<ApiAnswer<T>>;
  /** Nothing says yet who sends, as writes have to; or the cookie is not the one of the person that we know. */
  readonly isUnsure: boolean;
  whoAmI(): Promise<Session>;
  become(who: Session): void;
  random?: () => number;
}

type Settle = (result: MutationResult<AnyRow>) => void;

const PAUSE = { base_ms: 4_000, max_ms: 60_000 };
const ASKED_MAX = 2;
const GIVEN_UP = problemOf(0, "discarded", "It was given up.");
const TOO_LARGE = problemOf(0, "too_large", "These files are too large to wait for a connection.");

/** Whether a write is about a row, or points at it: ids are like no other text. */
function names(mutation: Mutation, id: string): boolean {
  return mutation.id === id || JSON.stringify([mutation.url, mutation.body]).includes(id);
}

const isOpen = ({ status }: Mutation) => status === "waiting" || status === "sending";

/** What cannot be done before the person has decided about the row that it names. */
export function isHeld(all: Record<string, Mutation>, mutation: Mutation): boolean {
  return Object.values(all).some(
    ({ key, kind, status, id }) =>
      kind === "create" && status === "failed" && key < mutation.key && id !== null && names(mutation, id),
  );
}

export class Outbox implements Lane {
  private running = false;
  /** The key that is on its way. */
  private current: string | null = null;
  /** Forms whose files are being read: what was made after them does not leave before them. */
  private readonly reading = new Set<string>();
  /** All who wait for the answer: whoever wrote it, and whoever asked for another attempt. */
  private readonly settles = new Map<string, Settle[]>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private pauses = 0;
  private asked = 0;

  constructor(private readonly host: OutboxHost) {}

  private get all(): Record<string, Mutation> {
    return this.host.state.mutations;
  }

  /** There is no network, and nothing that says otherwise. */
  private get isAway(): boolean {
    return !isOnline() && this.host.state.connection.status !== "live";
  }

  /** What waits is not sent before the backend has said whose it would be. */
  private get isUnsure(): boolean {
    return this.host.state.user !== null && this.host.isUnsure;
  }

  /** The backend does not know the session, or the token is an old one: who is here? */
  private async askWho(): Promise<void> {
    try {
      this.host.become(await this.host.whoAmI());
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.host.become({ user: null });
    }
  }

  private change(key: string, change: Partial<Mutation>): void {
    this.host.store.dispatch(actions.mutationChanged({ key, change }));
  }

  /** Lines a write up, with its files once they are read: until then it may not wait. The answer comes when it is done,
   * refused, or has to wait for longer. */
  async take<T>(mutation: Mutation, form: FormData | null): Promise<MutationResult<T>> {
    const { key, offline, method, url } = mutation;
    if (form) {
      this.reading.add(key);
      const files = await keepFiles(form);
      this.reading.delete(key);
      if (files) this.change(key, { files, offline });
      if (!files || !this.all[key]) {
        const answer = this.sendAlone<T>(key, form);
        void this.send(); // what was made after it
        return answer;
      }
    }
    if (this.current !== null || this.waits()) this.change(key, { status: "waiting", problem: null });
    if (offline === "queueLatest")
      for (const other of this.open())
        if (other.key < key && other.method === method && other.url === url && other.key !== this.current)
          this.drop(other.key, problemOf(0, "replaced", "A later one took its place."));
    const answer = this.answerOf(key);
    void this.send();
    return answer as Promise<MutationResult<T>>;
  }

  /** Its files cannot be kept: now or not at all. */
  private async sendAlone<T>(key: string, form: FormData): Promise<MutationResult<T>> {
    const mutation = this.all[key];
    if (mutation && !this.isAway) return this.host.attempt(mutation, form) as Promise<MutationResult<T>>;
    return this.drop(key, mutation ? TOO_LARGE : GIVEN_UP) as never;
  }

  /** Not yet answered, the oldest first. */
  private open(): Mutation[] {
    return Object.values(this.all)
      .filter(isOpen)
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  private waits(): boolean {
    return Object.values(this.all).some(({ status }) => status === "waiting");
  }

  private next(): Mutation | undefined {
    const all = this.all;
    let isBehind = false;
    return this.open().find((mutation) => {
      isBehind ||= this.reading.has(mutation.key);
      const isIn = mutation.status === "waiting" || this.settles.has(mutation.key); // else it is on its way by itself
      return isIn && !isBehind && mutation.key !== this.current && !isHeld(all, mutation);
    });
  }

  /** Sends what waits, until nothing does or one has to wait for longer. */
  async send(): Promise<void> {
    if (this.running) return;
    this.running = true;
    clearTimeout(this.timer);
    this.asked = 0;
    try {
      for (let next = this.next(); next; next = this.next()) {
        if (this.isAway) {
          this.pause(problemOf(0, "offline", "There is no network."));
          return;
        }
        if (this.isUnsure) {
          const { user } = this.host.state;
          await this.askWho();
          if (!this.isUnsure && this.host.state.user?.id === user?.id) continue;
          this.pause(problemOf(0, "unreachable", "The server cannot be reached."));
          return;
        }
        this.current = next.key;
        const result = await this.sendOne(next);
        this.current = null;
        if (!result.ok && result.queued && !(await this.mayGoOn(result.problem))) {
          this.pause(result.problem);
          return;
        }
        if (result.ok || !result.queued) this.settle(result);
      }
      this.pauses = 0;
      if (this.reading.size > 0) return;
      // The rest is held until the person has decided about what it names.
      const held = problemOf(0, "held", "What it is about was refused.");
      for (const { key, body } of this.open()) {
        if (!this.settles.has(key)) continue;
        this.change(key, { status: "waiting", problem: null });
        this.settle({ ok: false, queued: true, key, problem: held, draft: body });
      }
    } finally {
      this.current = null;
      this.running = false;
    }
  }

  /** The connection is there again: what waits is not kept waiting. */
  hurry(): void {
    this.pauses = 0;
    void this.send();
  }

  private async sendOne(mutation: Mutation): Promise<MutationResult<AnyRow>> {
    const result = await this.host.attempt(mutation, formOf(mutation) ?? mutation.body);
    const isTwin =
      !result.ok && result.problem.status === 409 && mutation.kind === "create" && mutation.tries > 0;
    return isTwin ? this.meetTwin(mutation, result) : result;
  }

  /** The id is taken: by this very write, if an earlier attempt did arrive and the backend has forgotten its key. */
  private async meetTwin(
    mutation: Mutation,
    refused: MutationResult<AnyRow>,
  ): Promise<MutationResult<AnyRow>> {
    const { key, id } = mutation;
    const url = `${mutation.url.replace(/\?.*$/, "")}${id}/`;
    const found = await this.host.api<AnyRow | null>("GET", url).catch(() => null);
    if (!found?.data) return refused;
    if (mutation.sendKey !== undefined) {
      const { id: _id, ...body } = mutation.body ?? {}; // the draft was changed since
      this.change(key, { kind: "update", method: "PATCH", url, body, sendKey: newId() });
      const changed = this.all[key];
      return changed ? this.host.attempt(changed) : refused;
    }
    this.host.store.dispatch(actions.mutationConfirmed({ key, row: found.data, position: found.position }));
    return { ok: true, key, data: found.data, position: found.position };
  }

  /** A session that has ended, or a token that is an old one: once the backend is asked who is here. */
  private async mayGoOn({ status }: Problem): Promise<boolean> {
    if (status !== 401 && status !== 403) return false;
    if (++this.asked > ASKED_MAX) return false;
    await this.askWho();
    return !this.host.state.expired;
  }

  /** The rest waits; who wanted no waiting is told that it was in vain. */
  private pause(problem: Problem): void {
    for (const { key, offline, status, body } of this.open()) {
      if (status === "sending" && !this.settles.has(key)) continue;
      if (offline === "onlineOnly") this.drop(key, problem);
      else {
        if (status === "sending") this.change(key, { status: "waiting", problem: null });
        this.settle({ ok: false, queued: true, key, problem, draft: body });
      }
    }
    for (const key of this.settles.keys())
      if (!this.all[key]) this.settle({ ok: false, queued: true, key, problem, draft: null }); // put aside, see Offline
    if (!this.waits()) return;
    const asked_ms = (problem.retry_after_s ?? 0) * 1_000;
    const pause_ms = Math.max(
      asked_ms,
      PAUSE.base_ms / 2 + backoffMs(this.pauses++, { ...PAUSE, random: this.host.random }),
    );
    this.timer = setTimeout(() => void this.send(), pause_ms);
  }

  private answerOf(key: string): Promise<MutationResult<AnyRow>> {
    return new Promise((resolve) => this.settles.set(key, [...(this.settles.get(key) ?? []), resolve]));
  }

  private settle(result: MutationResult<AnyRow>): void {
    for (const settle of this.settles.get(result.key) ?? []) settle(result);
    this.settles.delete(result.key);
  }

  private drop(key: string, problem: Problem): MutationResult<AnyRow> {
    const draft = this.all[key]?.body ?? null;
    this.host.store.dispatch(actions.mutationDropped(key));
    const result = { ok: false, queued: false, key, problem, draft } as const;
    this.settle(result);
    return result;
  }

  // --- what the person decides ---------------------------------------------------------------------------------

  /** Once more, now. null: there is nothing of that key that waits or was refused. */
  async retry(key: string): Promise<MutationResult<AnyRow> | null> {
    const mutation = this.all[key];
    if (!mutation || (mutation.status !== "failed" && mutation.status !== "waiting")) return null;
    this.change(key, { status: "waiting", problem: null });
    const answer = this.answerOf(key);
    void this.send();
    return answer;
  }

  /** Another draft of what waits or was refused; it keeps its place. False: it is on its way, or done. */
  edit(key: string, change: Fields): boolean {
    const mutation = this.all[key];
    const isOurs = mutation?.status === "failed" || (mutation?.status === "waiting" && key !== this.current);
    if (!mutation || !isOurs || mutation.kind === "delete") return false;
    const body = { ...mutation.body, ...change, ...(mutation.kind === "create" ? { id: mutation.id } : {}) };
    const row = mutation.row && { ...mutation.row, ...change };
    // A former draft may have arrived without our hearing of it: this one is another write for the backend.
    const sendKey = mutation.tries > 0 ? newId() : mutation.sendKey;
    this.change(key, { body, row, ...(sendKey === undefined ? {} : { sendKey }) });
    return true;
  }

  /** Gives up what waits or was refused, and what names the row that will not be. False: it is on its way, or done. */
  discard(key: string): boolean {
    const mutation = this.all[key];
    if (!mutation || mutation.status === "confirmed" || key === this.current) return false;
    const { id, kind } = mutation;
    if (kind === "create" && id !== null)
      for (const other of Object.values(this.all))
        if (other.key > key && other.status !== "confirmed" && names(other, id))
          this.drop(other.key, GIVEN_UP);
    this.drop(key, GIVEN_UP);
    void this.send(); // what it held
    return true;
  }

  close(): void {
    clearTimeout(this.timer);
  }
}
