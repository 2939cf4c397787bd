/* Older rows while the socket is away: the next page by REST, merged into what is held. */

import type { ApiAnswer } from "../api";
import { type DocumentState, isList } from "../documents";
import { compareRows, parseOrder } from "../order";
import { parsePosition } from "../position";
import { actions, type TimsStore } from "../store";
import type { ListDocument } from "../types";

export interface PagingHost {
  readonly store: TimsStore;
  api<T>(method: string, url: string): Promise<ApiAnswer<T>>;
}

const PAGES_MAX = 25;

/** The cursor is that of the first page, so pages that are held already are passed over. */
export async function loadPages({ store, api }: PagingHost, url: string): Promise<void> {
  const held = () => store.getState().tims.documents[url];
  for (let i = 0; i < PAGES_MAX; i++) {
    const document = held();
    if (!document?.next || document.status === "live") return;
    const answer = await api<ListDocument>("GET", document.next);
    if (!isList(answer.data)) return;
    const now = held();
    // Followed meanwhile: the socket's window is what counts.
    if (!now || now.status === "live") return;
    const position = answer.data.position ?? answer.position ?? undefined;
    const merged = mergePage(now, { ...answer.data, position });
    store.dispatch(actions.restored({ documents: { ...store.getState().tims.documents, [url]: merged } }));
    if (merged.ids.length > document.ids.length) return;
  }
}

/** The next page, read by REST: its rows join behind; a row that is held already keeps the newer of the two. */
export function mergePage(document: DocumentState, page: ListDocument): DocumentState {
  const pagePosition = parsePosition(page.position);
  const isSame = pagePosition?.epoch === document.epoch && pagePosition.number === document.position;
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
  const mixed = document.mixed || !isSame;
  // Longer than the window was; the backend tells the new one when the socket is back.
  return { ...document, rows, ids, included, next, end: next === null, limit: null, mixed };
}
