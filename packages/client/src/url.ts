/* URLs of live documents: the key under which the store holds them, and what their filters say. */

const NOT_FILTERS = new Set(["order", "limit", "page", "cursor", "search", "fields", "include", "total"]);

/** Rows ask for the name of their list at every render. */
const known = new Map<string, string>();
const KNOWN_MAX = 1_000;

/** The same list by the same name: parameters sorted, the origin dropped. */
export function canonicalUrl(url: string): string {
  let name = known.get(url);
  if (name === undefined) {
    name = nameOf(url);
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(url, name);
  }
  return name;
}

function nameOf(url: string): string {
  const [path = "", query = ""] = url
    .replace(/^https?:\/\/[^/]+/, "")
    .replace(/#.*$/, "")
    .split("?");
  const pairs = [...new URLSearchParams(query)].sort(([a, x], [b, y]) =>
    a < b ? -1 : a > b ? 1 : x < y ? -1 : 1,
  );
  return pairs.length === 0 ? path : `${path}?${new URLSearchParams(pairs)}`;
}

export function pathOf(url: string): string {
  return url.replace(/[?#].*$/, "");
}

export function orderOf(url: string): string | null {
  return new URLSearchParams(url.split("?")[1] ?? "").get("order");
}

/** Whether a row that is being made belongs to the list of this URL, as far as its equality filters say. */
export function listTakes(url: string, path: string, row: Record<string, unknown>): boolean {
  const [listPath, query = ""] = url.split("?");
  if (listPath !== path) return false;
  const parameters = new URLSearchParams(query);
  if (parameters.has("cursor") || parameters.has("page") || parameters.has("search")) return false;
  for (const [name, value] of parameters) {
    if (NOT_FILTERS.has(name) || name.includes("__")) continue;
    if (String(row[name]) !== value) return false;
  }
  return true;
}
