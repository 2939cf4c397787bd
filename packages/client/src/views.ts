/* The views of all documents of a store, each made once for all that show it, and who is to be told when one of them,
 * or one row of it, has changed. So a step of the store costs what it has changed, not what is on the screen. */

import type { LiveState, TimsStore } from "./store";
import type { AnyRow } from "./types";
import { type DocumentView, EMPTY_VIEW, rowOf, viewDocument } from "./view";

type Listener = () => void;

interface Entry {
  document: LiveState["documents"][string] | undefined;
  mutations: LiveState["mutations"];
  view: DocumentView;
}

interface Watched {
  /** Of which the listeners have been told. */
  told: DocumentView;
  listeners: Set<Listener>;
  rows: Map<string, Set<Listener>>;
}

/** Ids among which are all those of rows that have changed. */
function candidates(before: DocumentView, after: DocumentView, all: Watched["rows"]): Iterable<string> {
  if (before.rows.length !== after.rows.length) return all.keys();
  const found = new Set<string>();
  if (before.pending !== after.pending)
    for (const id of [...Object.keys(before.pending), ...Object.keys(after.pending)]) found.add(id);
  if (before.rows === after.rows) return found;
  for (const [i, row] of after.rows.entries()) {
    const was = before.rows[i] as AnyRow;
    if (row !== was) found.add(row.id).add(was.id);
  }
  return found;
}

export class Views {
  private readonly entries = new Map<string, Entry>();
  private readonly watched = new Map<string, Watched>();
  /** As the page was rendered: what hydration has to show. */
  private readonly initial: LiveState;
  private readonly initialViews = new Map<string, DocumentView>();
  private stop: (() => void) | null = null;

  constructor(private readonly store: TimsStore) {
    this.initial = store.getState().tims;
  }

  /** The view as of now; the same object as long as nothing in it has changed. */
  get(url: string): DocumentView {
    const { documents, mutations } = this.store.getState().tims;
    const document = documents[url];
    const entry = this.entries.get(url);
    if (!document) {
      this.entries.delete(url);
      return EMPTY_VIEW;
    }
    if (entry?.document === document && entry.mutations === mutations) return entry.view;
    const view = viewDocument(document, mutations, entry?.view);
    this.entries.set(url, { document, mutations, view });
    return view;
  }

  atFirst(url: string): DocumentView {
    const { documents, mutations } = this.initial;
    const view = this.initialViews.get(url) ?? viewDocument(documents[url], mutations);
    this.initialViews.set(url, view);
    return view;
  }

  /** Nobody shows it any more. */
  forget(url: string): void {
    if (!this.watched.has(url)) this.entries.delete(url);
  }

  watch(url: string, listener: Listener): () => void {
    const { listeners } = this.open(url);
    return this.add(url, listeners, listener);
  }

  watchRow(url: string, id: string, listener: Listener): () => void {
    const { rows } = this.open(url);
    const listeners = rows.get(id) ?? new Set();
    rows.set(id, listeners);
    return this.add(url, listeners, listener, () => listeners.size === 0 && rows.delete(id));
  }

  private open(url: string): Watched {
    this.stop ??= this.store.subscribe(() => this.tell());
    const watched = this.watched.get(url) ?? { told: this.get(url), listeners: new Set(), rows: new Map() };
    this.watched.set(url, watched);
    return watched;
  }

  private add(url: string, listeners: Set<Listener>, listener: Listener, then?: () => void): () => void {
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      then?.();
      const watched = this.watched.get(url);
      if (watched && watched.listeners.size + watched.rows.size === 0) this.watched.delete(url);
      if (this.watched.size > 0) return;
      this.stop?.();
      this.stop = null;
    };
  }

  private tell(): void {
    for (const [url, watched] of this.watched) {
      const before = watched.told;
      const after = this.get(url);
      if (before === after) continue;
      watched.told = after;
      for (const listener of watched.listeners) listener();
      for (const id of candidates(before, after, watched.rows)) {
        const isSame = rowOf(before, id) === rowOf(after, id) && before.pending[id] === after.pending[id];
        if (!isSame) for (const listener of watched.rows.get(id) ?? []) listener();
      }
    }
  }
}
