/* What components see of a document: the backend's rows with the person's own writes laid over them.
 *
 * A view is made from the one before it: whatever shows the same is the same object (a row, the list of rows, the
 * list of ids, the whole view), so that a component renders when what it shows has changed, and at no other time. */

import { type DocumentState, ROWS_MAX } from "./documents";
import { compareRows, parseOrder } from "./order";
import type { AnyRow, LiveStatus, Mutation, Problem } from "./types";
import { listTakes, pathOf } from "./url";

/** What is to be known of a list without its rows. */
export interface ListView {
  /** Of the rows, in their order. */
  ids: readonly string[];
  total: number | null;
  hasMore: boolean;
  status: LiveStatus;
  problem: Problem | null;
  /** When it was last known to be current (ms); null: it is. */
  asOf: number | null;
}

export interface DocumentView extends ListView {
  rows: readonly AnyRow[];
  /** Writes over these rows that are not yet in the stream, by row id. */
  pending: Readonly<Record<string, Mutation>>;
  included: Record<string, Record<string, AnyRow>>;
  /** Of a computed endpoint. */
  value: unknown;
  list: ListView;
  source: Source;
}

/** What rows were made from. */
interface Source {
  held: DocumentState["rows"];
  ids: readonly string[];
  order: string | null;
  mutations: readonly Mutation[];
  /** Rows that writes have changed or made, null for those that they take away; undefined: as held. */
  over: ReadonlyMap<string, AnyRow | null>;
}

const NOTHING: Record<string, Mutation> = {};
const NONE: readonly never[] = [];
const EMPTY_LIST: ListView = {
  ids: NONE,
  total: null,
  hasMore: false,
  status: "loading",
  problem: null,
  asOf: null,
};
export const EMPTY_VIEW: DocumentView = {
  ...EMPTY_LIST,
  rows: NONE,
  pending: NOTHING,
  included: {},
  value: undefined,
  list: EMPTY_LIST,
  source: { held: {}, ids: NONE, order: null, mutations: NONE, over: new Map() },
};

function concerns(document: DocumentState, mutation: Mutation): boolean {
  if (mutation.kind === "call" || mutation.id === null) return false;
  const seen =
    mutation.status === "confirmed" &&
    mutation.epoch === document.epoch &&
    document.position >= mutation.position;
  if (seen) return false;
  if (mutation.kind !== "create") return mutation.id in document.rows;
  if (mutation.id in document.rows) return false; // the stream was faster than the answer
  return (
    !document.detail &&
    document.position >= 0 &&
    listTakes(document.url, pathOf(mutation.url), mutation.row ?? {})
  );
}

export function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a === b || (a.length === b.length && a.every((item, i) => item === b[i]));
}

/** The former one where it says the same. */
function shared<T extends object>(before: T, now: T): T {
  return Object.keys(now).every((name) => before[name as keyof T] === now[name as keyof T]) ? before : now;
}

/** By what was written over, so that the same write over the same row is the same row again. */
const laidOver = new WeakMap<object, { mutation: Mutation; row: AnyRow }>();

function lay(under: object, mutation: Mutation, id: string): AnyRow {
  const known = laidOver.get(under);
  if (known?.mutation === mutation) return known.row;
  const row = { ...under, ...mutation.row, id };
  laidOver.set(under, { mutation, row });
  return row;
}

function layOver(document: DocumentState, mutations: readonly Mutation[]) {
  const over = new Map<string, AnyRow | null>();
  const made: AnyRow[] = [];
  for (const mutation of mutations) {
    const id = mutation.id ?? "";
    const held = over.get(id) ?? document.rows[id];
    if (mutation.kind === "create") {
      const row = lay(mutation, mutation, id);
      over.set(id, row);
      made.push(row);
    } else if (mutation.status === "failed") continue;
    else if (mutation.kind === "delete") over.set(id, null);
    else if (held) over.set(id, lay(held, mutation, id));
  }
  return { over, made };
}

function rowsOf(document: DocumentState, over: Source["over"], made: AnyRow[]): AnyRow[] {
  const list: AnyRow[] = [];
  for (const id of document.ids) {
    const changed = over.get(id);
    const row = changed === undefined ? document.rows[id] : changed;
    if (row) list.push(row);
  }
  if (made.length === 0) return list;
  if (document.order === null) return [...made.reverse(), ...list];
  const order = parseOrder(document.order);
  return [...list, ...made].sort((a, b) => compareRows(order, a, b));
}

/** `before`: the view of the same document at another time. */
export function viewDocument(
  document: DocumentState | undefined,
  all: Record<string, Mutation>,
  before: DocumentView = EMPTY_VIEW,
): DocumentView {
  if (!document) return EMPTY_VIEW;
  const found = Object.values(all).filter((mutation) => concerns(document, mutation));
  const mutations = sameItems(before.source.mutations, found) ? before.source.mutations : found;
  const { rows: held, ids: heldIds, order, included, value, total, status, problem, asOf } = document;
  let { source, rows, ids, pending } = before;
  const isSame =
    source.held === held &&
    source.ids === heldIds &&
    source.order === order &&
    source.mutations === mutations;
  if (!isSame) {
    const { over, made } = layOver(document, mutations);
    source = { held, ids: heldIds, order, mutations, over };
    const list = rowsOf(document, over, made);
    if (!sameItems(rows, list)) rows = list;
    const listIds = rows === before.rows ? ids : rows.map(({ id }) => id);
    if (!sameItems(ids, listIds)) ids = listIds;
    if (before.source.mutations !== mutations)
      pending = mutations.length === 0 ? NOTHING : Object.fromEntries(mutations.map((m) => [m.id ?? "", m]));
  }
  const isGrowing = document.position >= 0 && document.ids.length < ROWS_MAX;
  const hasMore = !document.detail && document.end !== true && isGrowing;
  const list = shared(before.list, { ids, total, hasMore, status, problem, asOf });
  const seen = { ...list, list, rows, pending, included, value };
  const { source: _, ...was } = before;
  // What rows were made from may be new though they are not: remembered, and nothing to be shown.
  if (shared(was, seen) === was) {
    before.source = source;
    return before;
  }
  return { ...seen, source };
}

/** The row as it is shown; undefined: it is not. */
export function rowOf(view: DocumentView, id: string): AnyRow | undefined {
  const over = view.source.over.get(id);
  return over === undefined ? view.source.held[id] : (over ?? undefined);
}
