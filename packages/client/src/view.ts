/* What a component sees of a document: the backend's rows with the person's own writes laid over them. */

import { type DocumentState, ROWS_MAX } from "./documents";
import { compareRows, parseOrder } from "./order";
import type { AnyRow, LiveStatus, Mutation, Problem } from "./types";
import { listTakes, pathOf } from "./url";

export interface DocumentView {
  rows: AnyRow[];
  /** Writes over these rows that are not yet in the stream, by row id. */
  pending: Record<string, Mutation>;
  included: Record<string, Record<string, AnyRow>>;
  total: number | null;
  hasMore: boolean;
  status: LiveStatus;
  problem: Problem | null;
}

const NOTHING: Record<string, Mutation> = {};
export const EMPTY_VIEW: DocumentView = {
  rows: [],
  pending: NOTHING,
  included: {},
  total: null,
  hasMore: false,
  status: "loading",
  problem: null,
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

function layOver(document: DocumentState, mutations: Mutation[]): AnyRow[] {
  const made: AnyRow[] = [];
  const rows = { ...document.rows };
  for (const mutation of mutations) {
    const id = mutation.id ?? "";
    const held = rows[id];
    if (mutation.kind === "create") made.push({ ...mutation.row, id });
    else if (mutation.kind === "delete" && mutation.status !== "failed") delete rows[id];
    else if (mutation.kind === "update" && mutation.status !== "failed" && held)
      rows[id] = { ...held, ...mutation.row, id };
  }
  const list: AnyRow[] = [];
  for (const id of document.ids) {
    const row = rows[id];
    if (row) list.push(row);
  }
  if (made.length === 0) return list;
  if (document.order === null) return [...made.reverse(), ...list];
  const order = parseOrder(document.order);
  return [...list, ...made].sort((a, b) => compareRows(order, a, b));
}

export function viewDocument(
  document: DocumentState | undefined,
  all: Record<string, Mutation>,
): DocumentView {
  if (!document) return EMPTY_VIEW;
  const mutations = Object.values(all).filter((mutation) => concerns(document, mutation));
  const pending =
    mutations.length === 0 ? NOTHING : Object.fromEntries(mutations.map((m) => [m.id ?? "", m]));
  const { included, total, status, problem } = document;
  const isGrowing = document.position >= 0 && document.ids.length < ROWS_MAX;
  const hasMore = !document.detail && document.end !== true && isGrowing;
  return { rows: layOver(document, mutations), pending, included, total, hasMore, status, problem };
}
