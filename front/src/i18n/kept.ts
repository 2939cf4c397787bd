/* What somebody has chosen, as this browser keeps it: the language in a cookie, which the server reads for the next page,
 * and in local storage, for shells without cookies; the writing direction in local storage. public/theme.js applies them
 * before the first paint: change both together. */
import { DEFAULT_LANGUAGE, LANGUAGES, type Language, languageOf } from "./languages";

/** auto: as the language is written · rtl: from right to left whatever the language. */
export type Direction = "auto" | "rtl";

const COOKIE = "language"; // the backend's name for it
const COOKIE_SECONDS = 365 * 24 * 3600;

function stored(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // storage is switched off
  }
}

function store(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // it holds until the page is left
  }
}

/** The chosen language, else the first of the browser's that is spoken here. */
export function keptLanguage(): Language {
  const cookie = new RegExp(`(?:^|; )${COOKIE}=([\\w-]+)`).exec(document.cookie)?.[1];
  const wishes = [cookie, stored(COOKIE), ...navigator.languages];
  return wishes.map(languageOf).find((language) => language !== undefined) ?? DEFAULT_LANGUAGE;
}

export function keepLanguage(language: Language): void {
  const secure = location.protocol === "https:" ? "; secure" : "";
  // biome-ignore lint/suspicious/noDocumentCookie: the cookie store API is not everywhere yet
  document.cookie = `${COOKIE}=${language}; path=/; max-age=${COOKIE_SECONDS}; samesite=lax${secure}`;
  store(COOKIE, language);
}

export function keptDirection(): Direction {
  return stored("direction") === "rtl" ? "rtl" : "auto";
}

export function keepDirection(direction: Direction): void {
  store("direction", direction);
}

/** Says on <html> what is shown, and shows what public/theme.js held back. */
export function markDocument(language: Language, direction: Direction): void {
  const root = document.documentElement;
  root.lang = language;
  root.dir = direction === "auto" ? LANGUAGES[language].direction : direction;
  delete root.dataset.waiting;
}
