/* The languages that the app speaks. A new one is a line here, a file of texts beside, and a line in load.ts; what it
 * lacks is an error when compiling. */

export interface LanguageInfo {
  /** Its own name for itself. */
  name: string;
  /** What Intl is told: how dates and numbers are written. */
  tag: string;
  direction: "ltr" | "rtl";
}

export const LANGUAGES = {
  en: { name: "English", tag: "en-GB", direction: "ltr" },
  de: { name: "Deutsch", tag: "de-DE", direction: "ltr" },
} as const satisfies Record<string, LanguageInfo>;

export type Language = keyof typeof LANGUAGES;
export const DEFAULT_LANGUAGE: Language = "en";

/** The language of a tag as browsers say it ("de-AT" is de); undefined for one that is not spoken here. */
export function languageOf(tag: unknown): Language | undefined {
  const primary = typeof tag === "string" ? tag.toLowerCase().split(/[-_]/, 1)[0] : undefined;
  return primary !== undefined && Object.hasOwn(LANGUAGES, primary) ? (primary as Language) : undefined;
}
