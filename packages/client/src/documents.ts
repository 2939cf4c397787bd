/* Documents: what the store holds of one live URL, and the pure steps by which it changes.
 *
 * A document's rows are a prefix of the backend's result, in its order, without a hole: `ids` is that order, `rows`
 * the rows by id. Steps return the same object when nothing changed, so that nothing renders for nothing. */

import { compareRows, type OrderField, parseOrder, placeOf } from "./order";
import { parsePosition } from "./position";
import type { AnyRow, ListDocument, LiveDocument, LiveStatus, Problem } from "./types";
import { orderOf } from "./url";

export interface DocumentState {
  url: string;
  detail: boolean;
  rows: Record<string, AnyRow>;
  ids: string[];
  /** As the backend told it; null until it has: rows then stand as they came. */
  order: string | null;
  total: number | null;
  /** The URL of the next page behind what was first loaded, for paging without a socket. */
  next: string | null;
  /** Whether `ids` is the whole result; null: not known. */
  end: boolean | null;
  included: Record<string, Record<string, AnyRow>>;
  epoch: string;
  /** -1: nothing was ever read. */
  position: number;
  status: LiveStatus;
  problem: Problem | null;
}

export type Operation =
  | { op: "put"; id: string; row: AnyRow }
  | { op: "del"; id: string }
  | { op: "total"; total: number | null }
  | { op: "include"; field: string; id: string; row: AnyRow };

export interface WindowFacts {
  order: string;
  end: boolean;
  detail: boolean;
}

export function emptyDocument(url: string): DocumentState {
  return {
    url,
    detail: false,
    rows: {},
    ids: [],
    order: null,
    total: null,
    next: null,
    end: null,
    included: {},
    epoch: "",
    position: -1,
    status: "loading",
    problem: null,
  };
}

export function isList(document: LiveDocument): document is ListDocument {
  return document !== null && Array.isArray((document as ListDocument).rows);
}

/** What GET answered, or what a snap carries: replaces what was held. */
export function loadDocument(
  url: string,
  document: LiveDocument,
  positionText: string | null | undefined,
  status: LiveStatus,
): DocumentState {
  const position = parsePosition(isList(document) ? (document.position ?? positionText) : positionText);
  const state = emptyDocument(url);
  state.status = status;
  state.epoch = position?.epoch ?? "";
  state.position = position?.number ?? -1;
  if (isList(document)) {
    for (const row of document.rows) {
      if (!(row.id in state.rows)) state.ids.push(row.id);
      state.rows[row.id] = row;
    }
    state.total = document.total ?? null;
    state.next = document.next ?? null;
    state.end = document.next === undefined ? null : document.next === null;
    state.included = document.included ?? {};
    state.order = orderOf(url);
  } else {
    state.detail = true;
    state.end = true;
    if (document !== null) {
      state.ids = [document.id];
      state.rows = { [document.id]: document };
    }
  }
  return state;
}

/** The backend has told the order: rows are put into it once, and stay in it from then on. */
export function withWindow(document: DocumentState, facts: WindowFacts): DocumentState {
  const order = parseOrder(facts.order);
  const ids = [...document.ids].sort((a, b) =>
    compareRows(order, document.rows[a] ?? {}, document.rows[b] ?? {}),
  );
  return { ...document, ids, order: facts.order, end: facts.end, detail: facts.detail };
}

function withPut(document: DocumentState, order: OrderField[], row: AnyRow): DocumentState {
  const held = document.rows[row.id];
  const rows = { ...document.rows, [row.id]: row };
  if (held && compareRows(order, held, row) === 0) return { ...document, rows };
  const ids = document.ids.filter((id) => id !== row.id);
  ids.splice(placeOf(order, ids, document.rows, row), 0, row.id);
  return { ...document, rows, ids };
}

function withoutRow(document: DocumentState, id: string): DocumentState {
  if (!(id in document.rows)) return document;
  const { [id]: _gone, ...rows } = document.rows;
  return { ...document, rows, ids: document.ids.filter((held) => held !== id) };
}

function applyOperation(document: DocumentState, order: OrderField[], operation: Operation): DocumentState {
  switch (operation.op) {
    case "put":
      return withPut(document, order, operation.row);
    case "del":
      return withoutRow(document, operation.id);
    case "total":
      return document.total === operation.total ? document : { ...document, total: operation.total };
    case "include": {
      const rows = { ...document.included[operation.field], [operation.id]: operation.row };
      return { ...document, included: { ...document.included, [operation.field]: rows } };
    }
    default:
      return document; // a later protocol's operation
  }
}

/** All operations of one step. */
export function applyOperations(document: DocumentState, operations: readonly Operation[]): DocumentState {
  const order = parseOrder(document.order ?? "");
  return operations.reduce((state, operation) => applyOperation(state, order, operation), document);
}

/** The next page, read by REST: its rows join behind; a row that is held already keeps the newer of the two. */
export function mergePage(document: DocumentState, page: ListDocument): DocumentState {
  const pagePosition = parsePosition(page.position);
  const pageIsNewer = pagePosition?.epoch === document.epoch && pagePosition.number > document.position;
  const rows = { ...document.rows };
  const ids = [...document.ids];
  for (const row of page.rows) {
    if (!(row.id in rows)) ids.push(row.id);
    else if (!pageIsNewer) continue;
    rows[row.id] = row;
  }
  if (document.order !== null) {
    const order = parseOrder(document.order);
    ids.sort((a, b) => compareRows(order, rows[a] ?? {}, rows[b] ?? {}));
  }
  const included = { ...document.included };
  for (const [field, more] of Object.entries(page.included ?? {}))
    included[field] = { ...included[field], ...more };
  const next = page.next ?? null;
  return { ...document, rows, ids, included, next, end: next === null };
}
