/* The global store: live documents by URL, writes on their way, who is signed in, the page's data, the connection.
 * A Redux Toolkit store, so that the usual tools show every step; one tx of the backend is one action. */

import {
  configureStore,
  createAction,
  createSlice,
  current,
  isDraft,
  type PayloadAction,
  type UnknownAction,
} from "@reduxjs/toolkit";
import { devTools } from "./devtools";
import {
  applyOperations,
  type DocumentState,
  emptyDocument,
  loadDocument,
  resumeDocument,
  type SnapFacts,
  sharing,
  snapDocument,
} from "./documents";
import type { Operation, WindowFacts } from "./frames";
import { parsePosition } from "./position";
import { EMPTY_ROOM, type RoomEvents, type RoomState, withoutOld, withPresence, withSaid } from "./rooms";
import type { AnyRow, ConnectionState, LiveDocument, Mutation, PageData, Problem, User } from "./types";
import { canonicalUrl } from "./url";

/** A session that ended without a sign-out. */
export interface Expired {
  user: User;
  /** Writes of theirs that are kept until they sign in again. */
  writes: number;
}

export interface PageState {
  path: string;
  /** "": no server has brought it, and nothing was kept of it. */
  route: string;
  params: Record<string, string>;
  values: Record<string, unknown>;
  position: string;
  /** Kept from an earlier time (ms): no server has answered yet; null: as the server gave it. */
  asOf: number | null;
}

export interface LiveState {
  documents: Record<string, DocumentState>;
  mutations: Record<string, Mutation>;
  rooms: Record<string, RoomState>;
  user: User | null;
  csrf: string;
  page: PageState | null;
  expired: Expired | null;
  connection: ConnectionState;
}

export const IDLE_CONNECTION: ConnectionState = { status: "idle", epoch: "", position: -1, attempts: 0 };

const initialState: LiveState = {
  documents: {},
  mutations: {},
  rooms: {},
  user: null,
  csrf: "",
  page: null,
  expired: null,
  connection: IDLE_CONNECTION,
};

const NOT_TO_BE_SEEN: ReadonlySet<number> = new Set([401, 403, 404]);

/** Plain objects out of immer's hands: the steps of documents copy what they change themselves. */
function plain<T extends object | undefined>(value: T): T {
  return isDraft(value) ? (current(value as never) as T) : value;
}

/** Documents that a page brings. One that the socket follows, or that is held at a later position, is kept. */
function takePage(state: LiveState, page: PageData): void {
  state.page = {
    path: page.path,
    route: page.route,
    params: page.params ?? {},
    values: page.values ?? {},
    position: page.position,
    asOf: null,
  };
  state.user = page.user;
  state.csrf = page.csrf || state.csrf;
  const position = parsePosition(page.position);
  for (const [rawUrl, document] of Object.entries(page.live ?? {})) {
    const url = canonicalUrl(rawUrl);
    const held = state.documents[url];
    if (held?.status === "live") continue;
    if (held && held.epoch === position?.epoch && held.position >= position.number) continue;
    state.documents[url] = sharing(loadDocument(url, document, page.position, "stale"), plain(held));
  }
}

export interface TxPayload {
  epoch: string;
  position: number;
  /** Operations by URL; the URLs that this connection follows are in `followed`. */
  operations: Record<string, Operation[]>;
  followed: string[];
}

/** Whether a document shows less than another one of the same database. */
const isOlder = (one: DocumentState, other: DocumentState) =>
  one.epoch === other.epoch && one.position < other.position;

/** Confirmed writes that the stream has reached are no longer needed over the rows. */
function withoutSeen(mutations: LiveState["mutations"], { epoch, position }: ConnectionState) {
  const isSeen = (one: Mutation) =>
    one.status === "confirmed" && (one.epoch !== epoch || one.position <= position);
  const all = Object.entries(mutations);
  return all.some(([, one]) => isSeen(one))
    ? Object.fromEntries(all.filter(([, one]) => !isSeen(one)))
    : mutations;
}

/** What comes a hundred times a second, by hand: immer would look at each of a thousand rows for the one that changed. */
function afterStep(
  state: LiveState,
  { position, operations, followed }: Omit<TxPayload, "epoch">,
): LiveState {
  const documents = { ...state.documents };
  for (const [url, list] of Object.entries(operations)) {
    const document = documents[url];
    if (document) documents[url] = applyOperations(document, list, position);
  }
  for (const url of followed) {
    const document = documents[url];
    if (document && document.position < position) documents[url] = { ...document, position };
  }
  const connection = { ...state.connection, position: Math.max(state.connection.position, position) };
  return { ...state, documents, connection, mutations: withoutSeen(state.mutations, connection) };
}

const slice = createSlice({
  name: "tims",
  initialState,
  reducers: {
    pageLoaded(state, action: PayloadAction<PageData>) {
      takePage(state, action.payload);
    },
    /** Another person, or nobody: nothing of the former one stays. */
    sessionChanged(state, action: PayloadAction<{ user: User | null; csrf?: string }>) {
      if (state.user?.id !== action.payload.user?.id) {
        state.documents = {};
        state.mutations = {};
        state.rooms = {};
        state.page = null;
      }
      state.user = action.payload.user;
      state.expired = null;
      if (action.payload.csrf !== undefined) state.csrf = action.payload.csrf;
    },
    /** What the offline part has found or let go of, in place of what is held. */
    restored(state, action: PayloadAction<Partial<LiveState>>) {
      Object.assign(state, action.payload);
    },
    connectionChanged(state, action: PayloadAction<Partial<ConnectionState> & { at_ms?: number }>) {
      const { at_ms, ...change } = action.payload;
      Object.assign(state.connection, change);
      if (change.epoch !== undefined) state.mutations = withoutSeen(plain(state.mutations), state.connection);
      if (change.status && change.status !== "live") {
        for (const document of Object.values(state.documents))
          if (document.status === "live") Object.assign(document, { status: "stale", asOf: at_ms ?? null });
        for (const room of Object.values(state.rooms)) if (room.status === "live") room.status = "joining";
      }
    },
    documentWanted(state, action: PayloadAction<string>) {
      const document = state.documents[action.payload];
      if (!document) state.documents[action.payload] = emptyDocument(action.payload);
      else if (document.status === "error") document.status = document.position < 0 ? "loading" : "stale";
    },
    documentDropped(state, action: PayloadAction<string>) {
      delete state.documents[action.payload];
    },
    documentReleased(state, action: PayloadAction<{ url: string; at_ms: number }>) {
      const document = state.documents[action.payload.url];
      if (document?.status === "live")
        Object.assign(document, { status: "stale", asOf: action.payload.at_ms });
    },
    /** By REST, while the socket is away. */
    documentLoaded(
      state,
      action: PayloadAction<{
        url: string;
        document: LiveDocument;
        position: string | null;
        at_ms?: number;
      }>,
    ) {
      const { url, document, position, at_ms = null } = action.payload;
      const held = state.documents[url];
      const loaded = loadDocument(url, document, position, "stale");
      // Answers may come late, or from a node that is behind.
      if (held && (held.status === "live" || isOlder(loaded, held))) return;
      state.documents[url] = { ...sharing(loaded, plain(held)), asOf: at_ms };
    },
    documentFailed(state, action: PayloadAction<{ url: string; problem: Problem }>) {
      const { url, problem } = action.payload;
      const document = state.documents[url];
      if (!document) return;
      // No answer is no refusal: it may come yet.
      if (problem.status === 0) {
        document.problem = problem;
        return;
      }
      // What is refused as such is not to be shown any longer; what was only too much stays.
      if (NOT_TO_BE_SEEN.has(problem.status)) state.documents[url] = emptyDocument(url);
      Object.assign(state.documents[url] ?? document, { status: "error", problem });
    },
    snapReceived(state, action: PayloadAction<{ url: string } & SnapFacts>) {
      const { url } = action.payload;
      state.documents[url] = snapDocument(url, action.payload, plain(state.documents[url]));
    },
    resumed(
      state,
      action: PayloadAction<
        { url: string; epoch: string; position: number; operations: Operation[] } & WindowFacts
      >,
    ) {
      const document = state.documents[action.payload.url];
      if (document) state.documents[action.payload.url] = resumeDocument(plain(document), action.payload);
    },
    windowReceived(
      state,
      action: PayloadAction<{
        url: string;
        position: number;
        limit: number;
        end: boolean;
        operations: Operation[];
      }>,
    ) {
      const { url, position, limit, end, operations } = action.payload;
      const document = state.documents[url];
      if (document)
        state.documents[url] = applyOperations({ ...plain(document), limit, end }, operations, position);
    },
    roomJoined(state, action: PayloadAction<string>) {
      if (state.rooms[action.payload]?.status !== "live") state.rooms[action.payload] = EMPTY_ROOM;
    },
    roomLeft(state, action: PayloadAction<string>) {
      delete state.rooms[action.payload];
    },
    presenceTold(state, action: PayloadAction<Parameters<RoomEvents["onPresence"]>[0]>) {
      const room = state.rooms[action.payload.url];
      if (room) state.rooms[action.payload.url] = withPresence(plain(room), action.payload);
    },
    said(state, action: PayloadAction<Parameters<RoomEvents["onSaid"]>[0]>) {
      const { url, items, at_ms } = action.payload;
      const room = state.rooms[url];
      const ofOthers = items.filter(({ user }) => user !== state.user?.id); // one hears oneself, too
      if (room && ofOthers.length > 0) state.rooms[url] = withSaid(plain(room), ofOthers, at_ms);
    },
    saidPassed(state, action: PayloadAction<{ url: string; now_ms: number }>) {
      const room = state.rooms[action.payload.url];
      if (room) state.rooms[action.payload.url] = withoutOld(plain(room), action.payload.now_ms);
    },
    roomFailed(state, action: PayloadAction<{ url: string; problem: Problem }>) {
      const { url, problem } = action.payload;
      if (state.rooms[url]) state.rooms[url] = { ...EMPTY_ROOM, status: "error", problem };
    },
    mutationStarted(state, action: PayloadAction<Mutation>) {
      state.mutations[action.payload.key] = action.payload;
    },
    mutationConfirmed(
      state,
      action: PayloadAction<{ key: string; row: AnyRow | null; position: string | null }>,
    ) {
      const { key, row, position } = action.payload;
      const mutation = state.mutations[key];
      if (!mutation) return;
      const at = parsePosition(position);
      if (mutation.kind === "call" || !at) {
        delete state.mutations[key];
        return;
      }
      mutation.status = "confirmed";
      mutation.problem = null;
      mutation.epoch = at.epoch;
      mutation.position = at.number;
      if (row && mutation.kind !== "delete") mutation.row = row;
      if (state.connection.epoch === at.epoch && state.connection.position >= at.number)
        delete state.mutations[key];
    },
    /** Sent, sent in vain, refused, or given another draft. */
    mutationChanged(state, action: PayloadAction<{ key: string; change: Partial<Mutation> }>) {
      const { key, change } = action.payload;
      if (state.mutations[key]) Object.assign(state.mutations[key], change);
    },
    mutationDropped(state, action: PayloadAction<string>) {
      delete state.mutations[action.payload];
    },
  },
});

const txReceived = createAction<TxPayload>("tims/txReceived");
const positionReached = createAction<{ position: number; followed: string[] }>("tims/positionReached");

export const actions = { ...slice.actions, txReceived, positionReached };

export function liveReducer(state: LiveState | undefined, action: UnknownAction): LiveState {
  if (state && txReceived.match(action)) return afterStep(state, action.payload);
  if (state && positionReached.match(action)) return afterStep(state, { ...action.payload, operations: {} });
  return slice.reducer(state, action);
}

export function stateOfPage(page: PageData | null | undefined): LiveState {
  return page ? slice.reducer(initialState, actions.pageLoaded(page)) : initialState;
}

export function createStore(page?: PageData | null) {
  return configureStore({
    reducer: { tims: liveReducer },
    preloadedState: { tims: stateOfPage(page) },
    devTools,
    middleware: (defaults) => defaults({ serializableCheck: false, immutableCheck: false }),
  });
}
export type TimsStore = ReturnType<typeof createStore>;
export interface RootState {
  tims: LiveState;
}
