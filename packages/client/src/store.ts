/* The global store: live documents by URL, writes on their way, who is signed in, the page's data, the connection.
 * A Redux Toolkit store, so that the usual tools show every step; one tx of the backend is one action. */

import { configureStore, createSlice, type PayloadAction } from "@reduxjs/toolkit";
import {
  applyOperations,
  type DocumentState,
  emptyDocument,
  loadDocument,
  mergePage,
  type Operation,
  type WindowFacts,
  withWindow,
} from "./documents";
import { parsePosition } from "./position";
import type {
  AnyRow,
  ConnectionState,
  ListDocument,
  LiveDocument,
  Mutation,
  PageData,
  Problem,
  User,
} from "./types";
import { canonicalUrl } from "./url";

export interface PageState {
  path: string;
  route: string;
  params: Record<string, string>;
  values: Record<string, unknown>;
  position: string;
}

export interface LiveState {
  documents: Record<string, DocumentState>;
  mutations: Record<string, Mutation>;
  user: User | null;
  csrf: string;
  page: PageState | null;
  connection: ConnectionState;
}

export const IDLE_CONNECTION: ConnectionState = { status: "idle", epoch: "", position: -1, attempts: 0 };

const initialState: LiveState = {
  documents: {},
  mutations: {},
  user: null,
  csrf: "",
  page: null,
  connection: IDLE_CONNECTION,
};

/** Documents that a page brings. One that is held at a later position already is kept. */
function takePage(state: LiveState, page: PageData): void {
  state.page = {
    path: page.path,
    route: page.route,
    params: page.params ?? {},
    values: page.values ?? {},
    position: page.position,
  };
  state.user = page.user;
  state.csrf = page.csrf || state.csrf;
  const position = parsePosition(page.position);
  for (const [rawUrl, document] of Object.entries(page.live ?? {})) {
    const url = canonicalUrl(rawUrl);
    const held = state.documents[url];
    if (held && held.epoch === position?.epoch && held.position >= position.number) continue;
    state.documents[url] = loadDocument(
      url,
      document,
      page.position,
      held?.status === "live" ? "live" : "stale",
    );
  }
}

export interface TxPayload {
  epoch: string;
  position: number;
  /** Operations by URL; the URLs that this connection follows are in `followed`. */
  operations: Record<string, Operation[]>;
  followed: string[];
}

/** Confirmed writes that the stream has reached are no longer needed over the rows. */
function dropSeenMutations(state: LiveState): void {
  const { epoch, position } = state.connection;
  for (const [key, mutation] of Object.entries(state.mutations)) {
    if (mutation.status !== "confirmed") continue;
    if (mutation.epoch !== epoch || mutation.position <= position) delete state.mutations[key];
  }
}

function advance(state: LiveState, position: number, followed: string[]): void {
  state.connection.position = Math.max(state.connection.position, position);
  for (const url of followed) {
    const document = state.documents[url];
    if (document) document.position = Math.max(document.position, position);
  }
  dropSeenMutations(state);
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
        state.page = null;
      }
      state.user = action.payload.user;
      if (action.payload.csrf !== undefined) state.csrf = action.payload.csrf;
    },
    csrfChanged(state, action: PayloadAction<string>) {
      state.csrf = action.payload;
    },
    connectionChanged(state, action: PayloadAction<Partial<ConnectionState>>) {
      Object.assign(state.connection, action.payload);
      if (action.payload.status && action.payload.status !== "live") {
        for (const document of Object.values(state.documents))
          if (document.status === "live") document.status = "stale";
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
    documentReleased(state, action: PayloadAction<string>) {
      const document = state.documents[action.payload];
      if (document?.status === "live") document.status = "stale";
    },
    /** By REST, while the socket is away. */
    documentLoaded(
      state,
      action: PayloadAction<{ url: string; document: LiveDocument; position: string | null }>,
    ) {
      const { url, document, position } = action.payload;
      if (state.documents[url]?.status === "live") return;
      state.documents[url] = loadDocument(url, document, position, "stale");
    },
    documentFailed(state, action: PayloadAction<{ url: string; problem: Problem }>) {
      const document = state.documents[action.payload.url];
      if (!document) return;
      document.status = "error";
      document.problem = action.payload.problem;
    },
    snapReceived(
      state,
      action: PayloadAction<
        { url: string; document: LiveDocument; epoch: string; position: number } & WindowFacts
      >,
    ) {
      const { url, document, epoch, position, order, end, detail } = action.payload;
      const loaded = loadDocument(url, document, null, "live");
      const placed = withWindow({ ...loaded, epoch, position }, { order, end, detail });
      state.documents[url] = placed;
    },
    resumed(state, action: PayloadAction<{ url: string; epoch: string } & WindowFacts>) {
      const { url, order, end, detail } = action.payload;
      const document = state.documents[url];
      if (!document) return;
      state.documents[url] = {
        ...withWindow(document, { order, end, detail }),
        status: "live",
        problem: null,
      };
    },
    txReceived(state, action: PayloadAction<TxPayload>) {
      const { position, operations, followed } = action.payload;
      for (const [url, list] of Object.entries(operations)) {
        const document = state.documents[url];
        if (document) state.documents[url] = applyOperations(document, list);
      }
      advance(state, position, followed);
    },
    positionReached(state, action: PayloadAction<{ position: number; followed: string[] }>) {
      advance(state, action.payload.position, action.payload.followed);
    },
    windowChanged(state, action: PayloadAction<{ url: string; end: boolean }>) {
      const document = state.documents[action.payload.url];
      if (document) document.end = action.payload.end;
    },
    pageMerged(state, action: PayloadAction<{ url: string; page: ListDocument }>) {
      const document = state.documents[action.payload.url];
      if (document) state.documents[action.payload.url] = mergePage(document, action.payload.page);
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
    mutationFailed(state, action: PayloadAction<{ key: string; problem: Problem }>) {
      const mutation = state.mutations[action.payload.key];
      if (!mutation) return;
      mutation.status = "failed";
      mutation.problem = action.payload.problem;
    },
    mutationRetried(state, action: PayloadAction<string>) {
      const mutation = state.mutations[action.payload];
      if (mutation) {
        mutation.status = "sending";
        mutation.problem = null;
      }
    },
    mutationDropped(state, action: PayloadAction<string>) {
      delete state.mutations[action.payload];
    },
  },
});

export const actions = slice.actions;
export const liveReducer = slice.reducer;

export function stateOfPage(page: PageData | null | undefined): LiveState {
  return page ? slice.reducer(initialState, actions.pageLoaded(page)) : initialState;
}

export function createStore(page?: PageData | null) {
  return configureStore({
    reducer: { tims: liveReducer },
    preloadedState: { tims: stateOfPage(page) },
    middleware: (defaults) => defaults({ serializableCheck: false, immutableCheck: false }),
  });
}
export type TimsStore = ReturnType<typeof createStore>;
export interface RootState {
  tims: LiveState;
}
