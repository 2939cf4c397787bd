/* Documents: what the store holds of one live URL, and the pure steps by which it changes.
 *
 * A document's rows are the first `limit` of the backend's result, in its order, without a hole: `ids` is that order,
 * `rows` the rows by id. A computed endpoint has no rows, its JSON is `value`. Steps return the same object when
 * nothing changed, and rows that say the same stay the same objects, so that nothing renders for nothing.
 *
 * Rows are kept by document and id, not in one table by model and id. A document is exact at its own position; while
 * one resumes, another may be ahead of it, and a shared row would show a list rows that do not match its filter, its
 * order and its end. Besides `fields=` gives rows other members, and a row that one URL may no longer show would live
 * on through another. All documents of one step change in one dispatch, so what follows the same stream agrees. */

import type { Operation, WindowFacts } from "./frames";
import { compareRows, type OrderField, parseOrder, placeOf } from "./order";
import { mergePatch, sameJson } from "./patch";
import { parsePosition } from "./position";
import type { AnyRow, ListDocument, LiveDocument, LiveStatus, Problem } from "./types";
import { orderOf } from "./url";

/** The largest window. */
export const ROWS_MAX = 1_000;

export interface DocumentState {
  url: string;
  detail: boolean;
  /** What a computed endpoint answers; undefined: this is not one, or nothing was ever read. */
  value: unknown;
  rows: Record<string, AnyRow>;
  ids: string[];
  /** As the backend told it; null until it has: rows then stand as they came. */
  order: string | null;
  /** How many rows the window may hold; null until the backend has told. */
  limit: number | null;
  total: number | null;
  /** The URL of the next page behind what was first loaded, for paging without a socket. */
  next: string | null;
  /** Whether `ids` is the whole result; null: not known. */
  end: boolean | null;
  included: Record<string, Record<string, AnyRow>>;
  epoch: string;
  /** -1: nothing was ever read. */
  position: number;
  /** Pages of other positions were merged in: shown, but nothing to continue from. */
  mixed: boolean;
  /** When it was last known to be current (ms); null: it is, or has just been read. */
  asOf: number | null;
  status: LiveStatus;
  problem: Problem | null;
}

export function emptyDocument(url: string): DocumentState {
  return {
    url,
    detail: false,
    value: undefined,
    rows: {},
    ids: [],
    order: null,
    limit: null,
    total: null,
    next: null,
    end: null,
    included: {},
    epoch: "",
    position: -1,
    mixed: false,
    asOf: null,
    status: "loading",
    problem: null,
  };
}

export function isList(document: unknown): document is ListDocument {
  return typeof document === "object" && document !== null && Array.isArray((document as ListDocument).rows);
}

function isRow(document: unknown): document is AnyRow {
  return typeof document === "object" && document !== null && typeof (document as AnyRow).id === "string";
}

/** What GET answered, or what a snap carries: replaces what was held. Without `computed`, a document that is neither
 * a list nor a row is taken for a computed one. */
export function loadDocument(
  url: string,
  document: LiveDocument,
  positionText: string | null | undefined,
  status: LiveStatus,
  computed = document !== null && !isList(document) && !isRow(document),
): DocumentState {
  const state = emptyDocument(url);
  const position = parsePosition(
    isList(document) && !computed ? (document.position ?? positionText) : positionText,
  );
  state.status = status;
  state.epoch = position?.epoch ?? "";
  state.position = position?.number ?? -1;
  if (computed) {
    state.value = document;
    state.end = true;
  } else if (isList(document)) {
    for (const row of document.rows) {
      if (!isRow(row)) continue;
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
    if (isRow(document)) {
      state.ids = [document.id];
      state.rows = { [document.id]: document };
    }
  }
  return state;
}

/** The backend has told the window: rows are put into its order once, and stay in it from then on. */
export function withWindow(document: DocumentState, facts: WindowFacts): DocumentState {
  const order = parseOrder(facts.order);
  const ids = [...document.ids].sort((a, b) =>
    compareRows(order, document.rows[a] ?? {}, document.rows[b] ?? {}),
  );
  return { ...document, ids, order: facts.order, limit: facts.limit, end: facts.end, detail: facts.detail };
}

type Rows = DocumentState["rows"];

function sharedRows(rows: Rows, held: Rows): Rows {
  const names = Object.keys(rows);
  const shared: Rows = {};
  for (const id of names) {
    const row = rows[id] as AnyRow;
    const before = held[id];
    shared[id] = before && sameJson(before, row) ? before : row;
  }
  const isSame = names.length === Object.keys(held).length && names.every((id) => shared[id] === held[id]);
  return isSame ? held : shared;
}

/** What came anew, with the objects of what is held wherever they say the same. */
export function sharing(document: DocumentState, held: DocumentState | undefined): DocumentState {
  if (!held) return document;
  const included: DocumentState["included"] = {};
  for (const [field, rows] of Object.entries(document.included))
    included[field] = sharedRows(rows, held.included[field] ?? {});
  const value = sameJson(document.value, held.value) ? held.value : document.value;
  return { ...document, value, rows: sharedRows(document.rows, held.rows), included };
}

export interface SnapFacts extends WindowFacts {
  document: LiveDocument;
  epoch: string;
  position: number;
}

export function snapDocument(url: string, facts: SnapFacts, held?: DocumentState): DocumentState {
  const loaded = sharing(loadDocument(url, facts.document, null, "live", facts.computed), held);
  const placed = withWindow({ ...loaded, epoch: facts.epoch, position: facts.position }, facts);
  return withinLimit(placed);
}

/** One frame's changes on their way: rows and ids are copied once, however many operations come. */
class Draft {
  state: DocumentState;
  /** Rows have left: what they alone included goes too. */
  left = false;
  private order: OrderField[];
  private copied = false;

  constructor(document: DocumentState) {
    this.state = document;
    this.order = parseOrder(document.order ?? "");
  }

  set(change: Partial<DocumentState>): void {
    this.state = { ...this.state, ...change };
  }

  private copy(): void {
    if (!this.copied) this.set({ rows: { ...this.state.rows }, ids: [...this.state.ids] });
    this.copied = true;
  }

  put(row: AnyRow): void {
    const held = this.state.rows[row.id];
    if (held && sameJson(held, row)) return;
    this.copy();
    const { rows, ids } = this.state;
    rows[row.id] = row;
    // It points elsewhere now: what it alone included goes.
    if (held && Object.keys(this.state.included).some((field) => held[field] !== row[field]))
      this.left = true;
    if (held && compareRows(this.order, held, row) === 0) return;
    if (held) ids.splice(ids.indexOf(row.id), 1);
    ids.splice(placeOf(this.order, ids, rows, row), 0, row.id);
  }

  del(id: string): void {
    if (!(id in this.state.rows)) return;
    this.copy();
    this.left = true;
    delete this.state.rows[id];
    this.state.ids.splice(this.state.ids.indexOf(id), 1);
  }

  include(field: string, id: string, row: AnyRow): void {
    if (sameJson(this.state.included[field]?.[id], row)) return;
    const rows = { ...this.state.included[field], [id]: row };
    this.set({ included: { ...this.state.included, [field]: rows } });
  }

  exclude(field: string, id: string): void {
    const { [id]: gone, ...rows } = this.state.included[field] ?? {};
    if (!gone) return;
    this.set({ included: { ...this.state.included, [field]: rows } });
  }

  load(facts: SnapFacts): void {
    this.state = snapDocument(this.state.url, facts, this.state);
    this.order = parseOrder(facts.order);
    this.copied = false;
  }

  patch(patch: unknown): void {
    const value = mergePatch(this.state.value, patch);
    if (!sameJson(value, this.state.value)) this.set({ value });
  }

  private change<K extends "total" | "end">(name: K, value: DocumentState[K]): void {
    if (this.state[name] !== value) this.set({ [name]: value });
  }

  apply(operation: Operation, position: number): void {
    if (operation.op === "put") this.put(operation.row);
    else if (operation.op === "del") this.del(operation.id);
    else if (operation.op === "total") this.change("total", operation.total);
    else if (operation.op === "end") this.change("end", operation.end);
    else if (operation.op === "include") this.include(operation.field, operation.id, operation.row);
    else if (operation.op === "exclude") this.exclude(operation.field, operation.id);
    else if (operation.op === "patch") this.patch(operation.patch);
    else this.load({ ...operation, epoch: this.state.epoch, position });
  }
}

/** Lets go of what stands behind the window. */
function withinLimit(document: DocumentState): DocumentState {
  const { ids, limit } = document;
  if (limit === null || ids.length <= limit) return document;
  const rows = { ...document.rows };
  for (const id of ids.slice(limit)) delete rows[id];
  return withoutOrphans({ ...document, rows, ids: ids.slice(0, limit) });
}

/** Included rows that no row names any more are gone with the rows that named them. */
function withoutOrphans(document: DocumentState): DocumentState {
  const rows = Object.values(document.rows);
  const included: DocumentState["included"] = {};
  for (const [field, held] of Object.entries(document.included)) {
    const named = new Set(rows.map((row) => row[field]));
    included[field] = Object.fromEntries(Object.entries(held).filter(([id]) => named.has(id)));
  }
  return { ...document, included };
}

/** All operations of one frame. What is older than what is held is passed over: positions only grow. */
export function applyOperations(
  document: DocumentState,
  operations: readonly Operation[],
  position: number,
): DocumentState {
  if (position < document.position) return document;
  const draft = new Draft(document);
  for (const operation of operations) draft.apply(operation, position);
  const left = draft.left ? withoutOrphans(draft.state) : draft.state;
  const state = withinLimit(left);
  return state.position === position ? state : { ...state, position };
}

/** The subscription goes on from what is held. */
export function resumeDocument(
  document: DocumentState,
  facts: WindowFacts & { epoch: string; position: number; operations: readonly Operation[] },
): DocumentState {
  const placed = withWindow({ ...document, epoch: facts.epoch }, facts);
  const state = applyOperations(placed, facts.operations, facts.position);
  return { ...state, status: "live", problem: null, asOf: null };
}
