/* Where in a text the words of a search stand. */

export interface Part {
  text: string;
  hit: boolean;
}

const AROUND = 60; // characters before the first hit
const LENGTH = 160;
const escaped = (word: string) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** A piece of the text around the first hit, in parts. A search's word is found where a word of the text begins with it. */
export function highlight(text: string, search: string): Part[] {
  const words = search.match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  if (words.length === 0) return [{ text: text.slice(0, LENGTH), hit: false }];
  const pattern = new RegExp(`(?<![\\p{L}\\p{M}\\p{N}])(?:${words.map(escaped).join("|")})`, "giu");
  const first = text.search(pattern);
  const start = first > AROUND ? text.lastIndexOf(" ", first - AROUND / 2) + 1 : 0;
  const piece = text.slice(start, start + LENGTH);
  const parts: Part[] = start > 0 ? [{ text: "… ", hit: false }] : [];
  let at = 0;
  for (const match of piece.matchAll(pattern)) {
    if (match.index > at) parts.push({ text: piece.slice(at, match.index), hit: false });
    parts.push({ text: match[0], hit: true });
    at = match.index + match[0].length;
  }
  if (at < piece.length) parts.push({ text: piece.slice(at), hit: false });
  if (start + LENGTH < text.length) parts.push({ text: " …", hit: false });
  return parts;
}
