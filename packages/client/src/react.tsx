/* Hooks. All of them read the store through react-redux, which renders on the server and hydrates from the same state. */

import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { Provider, useSelector } from "react-redux";
import type { Client } from "./client";
import type { DocumentState } from "./documents";
import type { Present } from "./frames";
import type { ConnectionTruth } from "./offline/truth";
import { EMPTY_ROOM, type JoinOptions, type RoomState, type Said } from "./rooms";
import type { PageState, RootState } from "./store";
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
import { viewDocument } from "./view";
import type { MutateOptions, MutationResult } from "./writes";

const ClientContext = createContext<Client | null>(null);

/** Gives the app its client: <PageProvider client={client}>. Make the client with useState(() => createClient({ pageData })). */
export function PageProvider({ client, children }: { client: Client; children: ReactNode }) {
  return (
    <ClientContext.Provider value={client}>
      <Provider store={client.store}>{children}</Provider>
    </ClientContext.Provider>
  );
}

export function useClient(): Client {
  const client = useContext(ClientContext);
  if (!client) throw new Error("Wrap the app in <PageProvider client={…}>.");
  return client;
}

export interface LiveResult<T extends Row> {
  /** In the backend's order, with writes on their way laid over. */
  rows: T[];
  /** A detail's row, or a list's first; null when there is none. */
  row: T | null;
  state: LiveStatus;
  problem: Problem | null;
  total: number | null;
  /** Whether older rows can be loaded. */
  next: boolean;
  loadMore: () => Promise<void>;
  /** When what is shown was last known to be current (ms): without a connection, or from the cache. null: it is. */
  asOf: number | null;
  included: Record<string, Record<string, AnyRow>>;
  /** Writes over these rows, by row id: sending, waiting, or failed with their problem and draft. */
  pending: Record<string, Mutation>;
}

/** The document of a URL, followed while the component is there. */
function useDocument(key: string | null): DocumentState | undefined {
  const client = useClient();
  useEffect(() => (key === null ? undefined : client.follow(key)), [client, key]);
  return useSelector((root: RootState) => (key === null ? undefined : root.tims.documents[key]));
}

/** The live rows of a list or detail URL. null: nothing is followed (a parameter is not known yet). */
export function useLive<T extends Row = AnyRow>(url: string | null): LiveResult<T> {
  const client = useClient();
  const key = url === null ? null : canonicalUrl(url);
  const document = useDocument(key);
  const mutations = useSelector((root: RootState) => root.tims.mutations);
  const loadMore = useCallback(
    () => (key === null ? Promise.resolve() : client.loadMore(key)),
    [client, key],
  );
  return useMemo(() => {
    const view = viewDocument(document, mutations);
    const rows = view.rows as unknown as T[];
    const { status: state, problem, total, hasMore: next, included, pending } = view;
    const asOf = document?.asOf ?? null;
    return { rows, row: rows[0] ?? null, state, problem, total, next, loadMore, asOf, included, pending };
  }, [document, mutations, loadMore]);
}

export interface ComputedResult<T> {
  /** What GET answers; null: not known yet. */
  value: T | null;
  state: LiveStatus;
  problem: Problem | null;
}

/** The live JSON of a computed endpoint. null: nothing is followed. */
export function useComputed<T>(url: string | null): ComputedResult<T> {
  const document = useDocument(url === null ? null : canonicalUrl(url));
  return useMemo(() => {
    const { value, status: state, problem } = document ?? { value: null, status: "loading", problem: null };
    return { value: (value ?? null) as T | null, state, problem };
  }, [document]);
}

export interface RoomResult {
  /** joining: not answered yet, or the connection is away · live · error: refused or gone, see `problem`. */
  status: RoomState["status"];
  /** Who is present, oneself too; empty when there are too many to be named. */
  users: Present[];
  count: number;
  /** Others may be there, and say things, who cannot be heard at the moment: the servers do not hear each other. */
  partial: boolean;
  /** What others have said in the last seconds: of one user and kind the newest. */
  said: Said[];
  problem: Problem | null;
  /** To the others, as often as one likes: of one kind the newest counts, the same again is sent every two seconds. */
  publish: (kind: string, data: unknown) => void;
}

/** Presence and passing messages at a detail's URL. null: no room is joined. */
export function useRoom(url: string | null, options: JoinOptions = {}): RoomResult {
  const client = useClient();
  const key = url === null ? null : canonicalUrl(url);
  const text = JSON.stringify(options); // the same options are the same, though made anew at every render
  useEffect(
    () => (key === null ? undefined : client.join(key, JSON.parse(text) as JoinOptions)),
    [client, key, text],
  );
  const room = useSelector((root: RootState) => (key === null ? undefined : root.tims.rooms[key]));
  const publish = useCallback(
    (kind: string, data: unknown) => key !== null && client.publish(key, kind, data),
    [client, key],
  );
  return useMemo(() => ({ ...(room ?? EMPTY_ROOM), publish }), [room, publish]);
}

export interface Mutate<B extends object, T> {
  (body?: B | null, options?: MutateOptions): Promise<MutationResult<T>>;
  /** Calls of this hook that are on their way. */
  sending: boolean;
  /** Why the last one was refused; null after a success or reset(). */
  problem: Problem | null;
  reset: () => void;
}

/**
 * A write. With a list's URL and POST the row is shown at once (with a client-made id), replaced by the stream, and kept as a
 * failed draft when refused: see `pending` of useLive, and retry/edit/discard of useClient. Without a network a write of a
 * row waits (the result says `queued`); `offline` says otherwise.
 */
export function useMutation<T = AnyRow, B extends object = Record<string, unknown>>(
  method: MutationMethod,
  url: string | ((body: B) => string),
  { offline }: { offline?: OfflinePolicy } = {},
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
