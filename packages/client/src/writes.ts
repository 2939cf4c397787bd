/* Writes: shown at once where they belong, sent in the order in which they were made, kept until the backend has them
 * or the person has given them up.
 *
 * Here a write is described and one attempt is made; the order, and what waits for the network, are the outbox's
 * (offline/outbox.ts). Where that part cannot be loaded, each is attempted as it comes. */

import { type ApiAnswer, type ApiOptions, problemFrom } from "./api";
import { newId } from "./id";
import { actions, type LiveState, type TimsStore } from "./store";
import type { AnyRow, Mutation, MutationMethod, OfflinePolicy, Problem } from "./types";
import { pathOf } from "./url";

export type Fields = Record<string, unknown>;

export interface MutateOptions {
  /** Fields to show at once beside what is sent; for creates usually the sender and the time. */
  optimistic?: Fields;
  /** False: wait for the backend, show nothing before. */
  show?: boolean;
  /** What becomes of it without a network. Default: "queue" for rows, "onlineOnly" for calls. */
  offline?: OfflinePolicy;
}

export type MutationResult<T> =
  | { ok: true; key: string; data: T; position: string | null }
  /** queued: it waits in the outbox and is sent later; else it was refused, or could not be sent and is not kept. */
  | { ok: false; queued: boolean; key: string; problem: Problem; draft: Fields | null };

type Call = (method: string, url: string, options: ApiOptions) => Promise<ApiAnswer<unknown>>;

/** The lane in which writes wait for each other: the outbox. */
export interface Lane {
  take<T>(mutation: Mutation, form: FormData | null): Promise<MutationResult<T>>;
  /** Goes on with what waits. */
  send(): Promise<void>;
}

/** Says nothing about the write, only that this was not the moment: no answer, a server that is not up, a session
 * that has ended meanwhile. */
export function isNotNow({ status, code }: Problem, isSignedIn: boolean): boolean {
  return (
    [0, 408, 429, 502, 503, 504].includes(status) ||
    (status === 401 && isSignedIn) ||
    code === "serialization" ||
    (status === 403 && code.startsWith("csrf_"))
  );
}

export class Writes {
  constructor(
    private readonly store: TimsStore,
    private readonly call: Call,
    private readonly lane: () => Promise<Lane | null>,
  ) {}

  private get state(): LiveState {
    return this.store.getState().tims;
  }

  async mutate<T>(
    method: MutationMethod,
    url: string,
    body: Fields | FormData | null,
    options: MutateOptions,
  ): Promise<MutationResult<T>> {
    const form = typeof FormData !== "undefined" && body instanceof FormData ? body : null;
    const fields = form ? textsOf(form) : (body as Fields | null);
    const mutation = this.describe(method, url, fields, options);
    // A form may wait once the lane has its files; without them it is neither kept nor sent again.
    const started: Mutation = form ? { ...mutation, offline: "onlineOnly" } : mutation;
    this.store.dispatch(actions.mutationStarted(started));
    const lane = isCall(mutation) ? null : await this.lane();
    if (lane) return lane.take<T>(mutation, form);
    const result = await this.attempt<T>(started, form ?? fields);
    // The lane may have come meanwhile, and passed over what was on its way by itself.
    if (!result.ok && result.queued) void this.lane().then((late) => late?.send());
    return result;
  }

  private describe(
    method: MutationMethod,
    url: string,
    body: Fields | null,
    options: MutateOptions,
  ): Mutation {
    const about = /\/([0-9a-f]{8}-[0-9a-f-]{27})\/?$/.exec(pathOf(url))?.[1] ?? null;
    const shown = options.show !== false;
    const base = {
      key: newId(),
      method,
      url,
      status: "sending",
      problem: null,
      tries: 0,
      epoch: "",
      position: -1,
      created_ms: Date.now(),
    } as const;
    const offline = options.offline ?? "queue";
    if (method === "POST" && about === null && shown && this.isCollection(url)) {
      const id = typeof body?.id === "string" ? body.id : newId();
      const sent = { ...body, id };
      return { ...base, offline, kind: "create", body: sent, id, row: { ...sent, ...options.optimistic } };
    }
    if (method === "DELETE" && about !== null && shown)
      return { ...base, offline, kind: "delete", body, id: about, row: null };
    if ((method === "PATCH" || method === "PUT") && about !== null && shown)
      return { ...base, offline, kind: "update", body, id: about, row: { ...body, ...options.optimistic } };
    return {
      ...base,
      offline: options.offline ?? "onlineOnly",
      kind: "call",
      body,
      id: about,
      row: null,
    };
  }

  /** Whether rows are made here: the store holds a list of this path. Other POSTs are calls without a row to show. */
  private isCollection(url: string): boolean {
    const path = pathOf(url);
    return Object.values(this.state.documents).some(
      (document) => !document.detail && document.value === undefined && pathOf(document.url) === path,
    );
  }

  /** Sends it, once. What says nothing about it leaves it waiting, if it may wait. */
  async attempt<T>(mutation: Mutation, content: unknown = mutation.body): Promise<MutationResult<T>> {
    const { key, method, url, body, offline } = mutation;
    const change = (to: Partial<Mutation>) =>
      this.store.dispatch(actions.mutationChanged({ key, change: to }));
    if (mutation.status !== "sending") change({ status: "sending", problem: null });
    try {
      const sent = content === null && method === "DELETE" ? undefined : (content ?? {});
      const answer = await this.call(method, url, {
        body: sent,
        idempotencyKey: mutation.sendKey ?? key,
      });
      const data = answer.data;
      const isRow = typeof data === "object" && data !== null && (data as AnyRow).id === mutation.id;
      this.store.dispatch(
        actions.mutationConfirmed({ key, row: isRow ? (data as AnyRow) : null, position: answer.position }),
      );
      return { ok: true, key, data: data as T, position: answer.position };
    } catch (error) {
      const problem = problemFrom(error);
      const notNow = isNotNow(problem, this.state.user !== null);
      const queued = offline !== "onlineOnly" && notNow;
      if (queued) change({ status: "waiting", problem, tries: mutation.tries + 1 });
      // Its caller was told; what waits for the network is not kept for who wants no waiting, nor a form without files.
      else if (mutation.kind === "call" || notNow || content instanceof FormData)
        this.store.dispatch(actions.mutationDropped(key));
      else change({ status: "failed", problem });
      return { ok: false, queued, key, problem, draft: body };
    }
  }
}

/** Answered to its caller, and nobody else's business: it waits for nothing and is kept nowhere. */
function isCall({ kind, offline }: Mutation): boolean {
  return kind === "call" && offline === "onlineOnly";
}

function textsOf(form: FormData): Fields {
  const texts: Fields = {};
  form.forEach((value, name) => {
    if (typeof value === "string") texts[name] = value;
  });
  return texts;
}
