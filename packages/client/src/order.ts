/* The order of rows, as `?order=-created_at,id` names it and as the database applies it: nulls first, text by code
 * points. What JSON has as strings though it is none the backend names: `-price:decimal`, `seal:bytes`. A field that a row does not have yet (an optimistic row without created_at) counts as the greatest value,
 * so that what was just made stands at the new end of the list. */

export interface OrderField {
  field: string;
  descending: boolean;
  kind?: string;
}

export function parseOrder(text: string): OrderField[] {
  return text
    .split(",")
    .filter((part) => part !== "" && part !== "-")
    .map((part) => {
      const descending = part.startsWith("-");
      const [field = "", kind] = part.slice(descending ? 1 : 0).split(":");
      return kind ? { field, descending, kind } : { field, descending };
    });
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // UTF-16 puts surrogates below U+E000..U+FFFF; code points do not.
    const xHigh = x >= 0xd800 && x <= 0xdfff;
    const yHigh = y >= 0xd800 && y <= 0xdfff;
    if (xHigh !== yHigh) return xHigh ? 1 : -1;
    return x < y ? -1 : 1;
  }
  return a.length < b.length ? -1 : 1;
}

/** Digits without a sign: the longer whole number is the larger one. */
function compareDigits(a: string, b: string): number {
  const [x = "", xs = ""] = a.split(".");
  const [y = "", ys = ""] = b.split(".");
  const length = Math.max(xs.length, ys.length);
  return x.length - y.length || compareText(x + xs.padEnd(length, "0"), y + ys.padEnd(length, "0"));
}

function compareDecimals(a: string, b: string): number {
  const below = a.startsWith("-");
  if (below !== b.startsWith("-")) return below ? -1 : 1;
  return below ? compareDigits(b.slice(1), a.slice(1)) : compareDigits(a, b);
}

function compareKinds(kind: string | undefined, a: unknown, b: unknown): number {
  if (a != null && b != null) {
    if (kind === "decimal") return compareDecimals(String(a), String(b));
    if (kind === "bytes") return compareText(atob(String(a)), atob(String(b)));
  }
  return compareValues(a, b);
}

export function compareValues(a: unknown, b: unknown): number {
  if (a === b) return 0;
  if (a === undefined || b === undefined) return a === undefined ? 1 : -1;
  if (a === null || b === null) return a === null ? -1 : 1;
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  const x = Number(a);
  const y = Number(b);
  return x < y ? -1 : x > y ? 1 : 0;
}

export function compareRows(
  order: OrderField[],
  a: Record<string, unknown>,
  b: Record<string, unknown>,
): number {
  for (const { field, descending, kind } of order) {
    const result = compareKinds(kind, a[field], b[field]);
    if (result !== 0) return descending ? -result : result;
  }
  return 0;
}

/** Where `row` belongs among `ids`, which are in order. */
export function placeOf(
  order: OrderField[],
  ids: readonly string[],
  rows: Readonly<Record<string, Record<string, unknown>>>,
  row: Record<string, unknown>,
): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareRows(order, rows[ids[middle] ?? ""] ?? {}, row) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
