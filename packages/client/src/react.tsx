/* Hooks. They render on the server from the page's data and do nothing else there; what they begin (following, joining)
 * they begin in effects. Rows are read through views.ts, what is small and single through react-redux. */

import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useState,
  useSyncExternalStore,
} from "react";
import { Provider, useSelector } from "react-redux";
import type { Client } from "./client";
import type { Present } from "./frames";
import type { ConnectionTruth } from "./offline/truth";
import { EMPTY_ROOM, type JoinOptions, type RoomState, type Said } from "./rooms";
import type { PageState, RootState } from "./store";
import type { AnswerOf, BodyOf, RowOf, ValueOf } from "./typed";
import type {
  AnyRow,
  ConnectionState,
  LiveStatus,
  Mutation,
  MutationMethod,
  OfflinePolicy,
  Problem,
  Row,
  User,
} from "./types";
import { canonicalUrl } from "./url";
import { type DocumentView, EMPTY_VIEW, rowOf, sameItems } from "./view";
import type { MutateOptions, MutationResult } from "./writes";

const ClientContext = createContext<Client | null>(null);

/** Gives the app its client: <PageProvider client={client}>. Make the client with useState(() => createClient({ pageData })). */
export function PageProvider({ client, children }: { client: Client; children: ReactNode }) {
  return (
    <ClientContext.Provider value={client}>
      <Provider store={client.store} serverState={client.initialState}>
        {children}
      </Provider>
    </ClientContext.Provider>
  );
}

export function useClient(): Client {
  const client = useContext(ClientContext);
  if (!client) throw new Error("Wrap the app in <PageProvider client={…}>.");
  return client;
}

// --- live documents ----------------------------------------------------------------------------------------------

/** A URL by its name in the store, followed while the component is there. */
function useFollowed(url: string | null): string | null {
  const client = useClient();
  const key = url === null ? null : canonicalUrl(url);
  useEffect(() => (key === null ? undefined : client.follow(key)), [client, key]);
  return key;
}

/** `part` gives the same object as long as what it picks has not changed. */
function useView<V>(key: string | null, part: (view: DocumentView) => V, row?: string): V {
  const client = useClient();
  const watch = useCallback(
    (listener: () => void) => {
      if (key === null) return () => undefined;
      return row === undefined
        ? client.views.watch(key, listener)
        : client.views.watchRow(key, row, listener);
    },
    [client, key, row],
  );
  return useSyncExternalStore(
    watch,
    () => part(key === null ? EMPTY_VIEW : client.views.get(key)),
    () => part(key === null ? EMPTY_VIEW : client.views.atFirst(key)),
  );
}

function useLoadMore(key: string | null): () => Promise<void> {
  const client = useClient();
  return useCallback(() => (key === null ? Promise.resolve() : client.loadMore(key)), [client, key]);
}

export interface LiveList {
  state: LiveStatus;
  problem: Problem | null;
  total: number | null;
  /** Whether older rows can be loaded. */
  next: boolean;
  loadMore: () => Promise<void>;
  /** When what is shown was last known to be current (ms): without a connection, or from the cache. null: it is. */
  asOf: number | null;
}

export interface LiveResult<T extends Row> extends LiveList {
  /** In the backend's order, with writes on their way laid over. */
  rows: readonly T[];
  /** A detail's row, or a list's first; null when there is none. */
  row: T | null;
  included: Record<string, Record<string, AnyRow>>;
  /** Writes over these rows, by row id: sending, waiting, or failed with their problem and draft. */
  pending: Readonly<Record<string, Mutation>>;
}

const wholeOf = (view: DocumentView) => view;
const listOf = (view: DocumentView) => view.list;

/** The live rows of a list or detail URL. null: nothing is followed (a parameter is not known yet). */
export function useLive<const U extends string>(url: U | null): LiveResult<RowOf<U>>;
export function useLive<T extends Row = AnyRow>(url: string | null): LiveResult<T>;
export function useLive<T extends Row>(url: string | null): LiveResult<T> {
  const key = useFollowed(url);
  const view = useView(key, wholeOf);
  const loadMore = useLoadMore(key);
  return useMemo(() => {
    const rows = view.rows as unknown as readonly T[];
    const { status: state, problem, total, hasMore: next, asOf, included, pending } = view;
    return { rows, row: rows[0] ?? null, state, problem, total, next, loadMore, asOf, included, pending };
  }, [view, loadMore]);
}

export interface LiveIds extends LiveList {
  ids: readonly string[];
}

/** The rows of a list by their ids alone: it renders when rows come, go or move, not when one of them changes. */
export function useLiveIds(url: string | null): LiveIds {
  const key = useFollowed(url);
  const list = useView(key, listOf);
  const loadMore = useLoadMore(key);
  return useMemo(() => {
    const { ids, status: state, problem, total, hasMore: next, asOf } = list;
    return { ids, state, problem, total, next, loadMore, asOf };
  }, [list, loadMore]);
}

export interface LiveRow<T extends Row> {
  /** null: it is not there (any more), or not known yet. */
  row: T | null;
  /** The write over it that is on its way, waits, or has failed. */
  pending: Mutation | null;
}

/** Picks one row, and its write; without an id the first row, which is a detail's. */
function makeRowPicker(id: string | undefined) {
  let last: LiveRow<AnyRow> = { row: null, pending: null };
  return (view: DocumentView) => {
    const row = (id === undefined ? view.rows[0] : rowOf(view, id)) ?? null;
    const pending = view.pending[id ?? row?.id ?? ""] ?? null;
    if (row !== last.row || pending !== last.pending) last = { row, pending };
    return last;
  };
}

/** One row: a detail's, or of a list the one with this id. It renders when this row changes. */
export function useRow<const U extends string>(url: U | null, id?: string): LiveRow<RowOf<U>>;
export function useRow<T extends Row = AnyRow>(url: string | null, id?: string): LiveRow<T>;
export function useRow<T extends Row>(url: string | null, id?: string): LiveRow<T> {
  const pick = useMemo(() => makeRowPicker(id), [id]);
  return useView(useFollowed(url), pick, id) as unknown as LiveRow<T>;
}

export interface ComputedResult<T> {
  /** What GET answers; null: not known yet. */
  value: T | null;
  state: LiveStatus;
  problem: Problem | null;
}

/** The live JSON of a computed endpoint. null: nothing is followed. */
export function useComputed<const U extends string>(url: U | null): ComputedResult<ValueOf<U>>;
export function useComputed<T>(url: string | null): ComputedResult<T>;
export function useComputed<T>(url: string | null): ComputedResult<T> {
  const view = useView(useFollowed(url), wholeOf);
  return useMemo(() => {
    const { value, status: state, problem } = view;
    return { value: (value ?? null) as T | null, state, problem };
  }, [view]);
}

// --- rooms -------------------------------------------------------------------------------------------------------

/** A detail's room, joined while the component is there. */
function useJoined(url: string | null, options: JoinOptions): string | null {
  const client = useClient();
  const key = url === null ? null : canonicalUrl(url);
  const text = JSON.stringify(options); // the same options are the same, though made anew at every render
  useEffect(
    () => (key === null ? undefined : client.join(key, JSON.parse(text) as JoinOptions)),
    [client, key, text],
  );
  return key;
}

const roomOf = (root: RootState, key: string | null): RoomState =>
  (key === null ? undefined : root.tims.rooms[key]) ?? EMPTY_ROOM;

export interface Presence {
  /** joining: not answered yet, or the connection is away · live · error: refused or gone, see `problem`. */
  status: RoomState["status"];
  /** Who is present, oneself too; empty when there are too many to be named. */
  users: readonly Present[];
  count: number;
  /** Others may be there who cannot be seen at the moment: the servers do not hear each other. */
  partial: boolean;
  problem: Problem | null;
}

/** Who is at a detail's URL, oneself among them unless `present` is false. null: nobody is looked for. */
export function usePresence(url: string | null, options: JoinOptions = {}): Presence {
  const key = useJoined(url, options);
  return useSelector(
    (root: RootState): Presence => {
      const { said: _, ...presence } = roomOf(root, key);
      return presence;
    },
    (a, b) => sameItems(Object.values(a), Object.values(b)),
  );
}

export interface Topic<T> {
  /** What others have said of this kind in the last seconds: of each the newest. */
  said: readonly Said<T>[];
  /** To the others, as often as one likes: the newest counts, the same again is sent every two seconds. */
  publish: (data: T) => void;
}

const UNSEEN: JoinOptions = { present: false };

/** Messages in passing at a detail's URL: of one kind, kept by nobody. To be seen there is usePresence. */
export function useTopic<T = unknown>(url: string | null, kind: string): Topic<T> {
  const client = useClient();
  const key = useJoined(url, UNSEEN);
  const said = useSelector(
    (root: RootState) => roomOf(root, key).said.filter((one) => one.kind === kind),
    sameItems,
  ) as readonly Said<T>[];
  const publish = useCallback(
    (data: T) => key !== null && client.publish(key, kind, data),
    [client, key, kind],
  );
  return useMemo(() => ({ said, publish }), [said, publish]);
}

// --- writes ------------------------------------------------------------------------------------------------------

export interface Mutate<B extends object, T> {
  (body?: B | null, options?: MutateOptions): Promise<MutationResult<T>>;
  /** Calls of this hook that are on their way. */
  sending: boolean;
  /** Why the last one was refused; null after a success or reset(). */
  problem: Problem | null;
  reset: () => void;
}

/** Where nothing is to be sent there are no fields. */
type Sent<B> = B extends object ? B : Record<string, never>;

export interface MutationOptions {
  /** What becomes of it without a network. Default: "queue" for rows, "onlineOnly" for calls. */
  offline?: OfflinePolicy;
}

/**
 * A write. With a list's URL and POST the row is shown at once (with a client-made id), replaced by the stream, and kept as a
 * failed draft when refused: see `pending` of useLive, and retry/edit/discard of useClient. Without a network a write of a
 * row waits (the result says `queued`); `offline` says otherwise.
 */
export function useMutation<const M extends MutationMethod, const U extends string>(
  method: M,
  url: U,
  options?: MutationOptions,
): Mutate<Sent<BodyOf<M, U>>, AnswerOf<M, U>>;
export function useMutation<T = AnyRow, B extends object = Record<string, unknown>>(
  method: MutationMethod,
  url: string | ((body: B) => string),
  options?: MutationOptions,
): Mutate<B, T>;
export function useMutation<T, B extends object>(
  method: MutationMethod,
  url: string | ((body: B) => string),
  { offline }: MutationOptions = {},
): Mutate<B, T> {
  const client = useClient();
  const [sending, setSending] = useState(0);
  const [problem, setProblem] = useState<Problem | null>(null);
  const call = useCallback(
    async (body?: B | null, options?: MutateOptions) => {
      const target = typeof url === "string" ? url : url((body ?? {}) as B);
      setSending((count) => count + 1);
      const result = await client.mutate<T>(
        method,
        target,
        (body ?? null) as Record<string, unknown> | FormData | null,
        { offline, ...options },
      );
      setSending((count) => count - 1);
      setProblem(result.ok || result.queued ? null : result.problem);
      return result;
    },
    [client, method, url, offline],
  );
  const reset = useCallback(() => setProblem(null), []);
  return useMemo(
    () => Object.assign(call.bind(null), { sending: sending > 0, problem, reset }),
    [call, sending, problem, reset],
  );
}

/** All writes that are on their way, wait or were refused, the oldest first: also those that no list shows. */
export function useWrites(): Mutation[] {
  const mutations = useSelector((root: RootState) => root.tims.mutations);
  return useMemo(
    () => Object.values(mutations).filter(({ kind, offline }) => kind !== "call" || offline !== "onlineOnly"),
    [mutations],
  );
}

const ALL_IS_WELL: ConnectionTruth = { state: "live", since: null, waiting: 0 };

/** What people should know of the connection: live, updating, reconnecting or offline (since when), or that they have to
 * sign in again; and how many writes wait. Steady: what passes within a second is not told. */
export function useConnectionTruth(): ConnectionTruth {
  const client = useClient();
  const [truth, setTruth] = useState(ALL_IS_WELL);
  useEffect(() => client.watchTruth(setTruth), [client]);
  return truth;
}

/** When the page's own data was kept (ms), while no server has answered since; null: it is what the server gave. */
export function usePageAge(): number | null {
  return useSelector((root: RootState) => root.tims.page?.asOf ?? null);
}

// --- the page ----------------------------------------------------------------------------------------------------

export function useUser(): User | null {
  return useSelector((root: RootState) => root.tims.user);
}

export function usePageData(): PageState | null {
  return useSelector((root: RootState) => root.tims.page);
}

const NO_PARAMS: Record<string, string> = {};

/** The parameters of the page's path: /chat/[chat] → { chat }. */
export function usePageParams<P extends Record<string, string> = Record<string, string>>(): Partial<P> {
  return useSelector((root: RootState) => (root.tims.page?.params ?? NO_PARAMS) as Partial<P>);
}

/** A value of the page's own, as its loader gave it. */
export function usePageValue<T = unknown>(name: string): T | undefined {
  return useSelector((root: RootState) => root.tims.page?.values[name] as T | undefined);
}

export function useConnection(): ConnectionState {
  return useSelector((root: RootState) => root.tims.connection);
}
