/* Writes: shown at once where they belong, sent in the order in which they were made, kept until the backend has them
 * or the person has given them up. Those that met no server, and what waits behind them, are the outbox's (offline/). */

import { type ApiAnswer, type ApiOptions, problemFrom, problemOf } from "./api";
import { newId } from "./id";
import { actions, type LiveState, type TimsStore } from "./store";
import type { AnyRow, Mutation, MutationMethod, Problem } from "./types";
import { pathOf } from "./url";

export interface MutateOptions {
  /** Fields to show at once beside what is sent; for creates usually the sender and the time. */
  optimistic?: Record<string, unknown>;
  /** False: wait for the backend, show nothing before. */
  show?: boolean;
}

export type MutationResult<T> =
  | { ok: true; key: string; data: T; position: string | null }
  | { ok: false; key: string; problem: Problem; draft: Record<string, unknown> | null };

type Call = (method: string, url: string, options: ApiOptions) => Promise<ApiAnswer<unknown>>;

export function isUnreached(mutation: Mutation): boolean {
  return mutation.status === "failed" && mutation.problem?.status === 0;
}

export class Writes {
  private resending: Promise<boolean> | null = null;

  constructor(
    private readonly store: TimsStore,
    private readonly call: Call,
    /** Of the outbox. False: it still meets no server. */
    private readonly sendUnreached: () => Promise<boolean>,
  ) {}

  private get state(): LiveState {
    return this.store.getState().tims;
  }

  async mutate<T>(
    method: MutationMethod,
    url: string,
    body: Record<string, unknown> | null,
    options: MutateOptions,
  ): Promise<MutationResult<T>> {
    const mutation = this.describe(method, url, body, options);
    const mustWait = this.resending !== null || this.waits;
    this.store.dispatch(actions.mutationStarted(mutation));
    if (mustWait && mutation.kind !== "call" && !(await this.resend())) {
      const problem = problemOf(0, "unreachable", "The server cannot be reached.");
      this.store.dispatch(actions.mutationFailed({ key: mutation.key, problem }));
      return { ok: false, key: mutation.key, problem, draft: body };
    }
    return this.send<T>(mutation);
  }

  private describe(
    method: MutationMethod,
    url: string,
    body: Record<string, unknown> | null,
    options: MutateOptions,
  ): Mutation {
    const key = newId();
    const about = /\/([0-9a-f]{8}-[0-9a-f-]{27})\/?$/.exec(pathOf(url))?.[1] ?? null;
    const shown = options.show !== false;
    const base = {
      key,
      method,
      url,
      status: "sending",
      problem: null,
      epoch: "",
      position: -1,
      created_ms: Date.now(),
    } as const;
    if (method === "POST" && about === null && shown && this.isCollection(url)) {
      const id = typeof body?.id === "string" ? body.id : newId();
      const sent = { ...body, id };
      return { ...base, kind: "create", body: sent, id, row: { ...sent, ...options.optimistic } };
    }
    if (method === "DELETE" && about !== null && shown)
      return { ...base, kind: "delete", body, id: about, row: null };
    if ((method === "PATCH" || method === "PUT") && about !== null && shown)
      return { ...base, kind: "update", body, id: about, row: { ...body, ...options.optimistic } };
    return { ...base, kind: "call", body, id: about, row: null };
  }

  /** Whether rows are made here: the store holds a list of this path. Other POSTs are calls without a row to show. */
  private isCollection(url: string): boolean {
    const path = pathOf(url);
    return Object.values(this.state.documents).some(
      (document) => !document.detail && document.value === undefined && pathOf(document.url) === path,
    );
  }

  private async send<T>(mutation: Mutation): Promise<MutationResult<T>> {
    const { key, method, url, body } = mutation;
    try {
      const sent = body === null && method === "DELETE" ? undefined : (body ?? {});
      const answer = await this.call(method, url, { body: sent, idempotencyKey: key });
      const data = answer.data;
      const isRow = typeof data === "object" && data !== null && (data as AnyRow).id === mutation.id;
      this.store.dispatch(
        actions.mutationConfirmed({ key, row: isRow ? (data as AnyRow) : null, position: answer.position }),
      );
      return { ok: true, key, data: data as T, position: answer.position };
    } catch (error) {
      const problem = problemFrom(error);
      this.store.dispatch(actions.mutationFailed({ key, problem }));
      if (mutation.kind === "call") this.store.dispatch(actions.mutationDropped(key)); // its caller was told
      return { ok: false, key, problem, draft: body };
    }
  }

  async retry(key: string): Promise<MutationResult<AnyRow> | null> {
    const mutation = this.state.mutations[key];
    if (mutation?.status !== "failed") return null;
    this.store.dispatch(actions.mutationRetried(key));
    return this.send<AnyRow>(mutation);
  }

  get waits(): boolean {
    return Object.values(this.state.mutations).some(isUnreached);
  }

  /** Sends what met no server, one after the other. False: it still meets none, the rest waits. */
  resend(): Promise<boolean> {
    this.resending ??= this.sendUnreached().finally(() => {
      this.resending = null;
    });
    return this.resending;
  }
}
