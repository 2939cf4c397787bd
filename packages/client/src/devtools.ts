/* What Redux DevTools show of each action beside its type: which URL, which position, which write. */

interface Told {
  type: string;
  payload?: unknown;
}

/** Of one document's operations. */
const SHOWN = 5;
const NAMES = ["path", "url", "status", "method", "key", "position"];

function summaryOf(payload: unknown): string {
  if (typeof payload !== "object" || payload === null) return String(payload ?? "");
  const told = payload as Record<string, unknown>;
  const words = NAMES.map((name) => told[name]);
  for (const [url, list] of Object.entries(told.operations ?? {}))
    if (Array.isArray(list)) words.push(url, ...list.slice(0, SHOWN).flatMap(({ op, id }) => [op, id]));
  return words.filter((word) => word !== undefined && word !== -1 && typeof word !== "object").join(" ");
}

export const devTools = typeof window !== "undefined" && {
  name: "tims",
  actionSanitizer: <A extends Told>(action: A): A => ({
    ...action,
    type: `${action.type} ${summaryOf(action.payload)}`.trim(),
  }),
};
