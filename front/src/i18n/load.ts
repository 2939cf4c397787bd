/* Which dictionaries are here. The server has all of them; a browser loads the one in use: the page names its script (as
 * next/dynamic does for components), so that it is there before the page comes to life and nothing flashes. */
import dynamic from "next/dynamic";
import type { ComponentType } from "react";
import type { Language } from "./languages";
import { makeTexting, type Texting, type Texts } from "./texts";

const held: Partial<Record<Language, Texting>> = {};

const nothing = () => null;

function hold(language: Language, texts: Texts): typeof nothing {
  held[language] ??= makeTexting(language, texts);
  return nothing;
}

/** Rendered, one of these names the script of its dictionary; it shows nothing. (The import stands inside the call: there
 * Next looks for what the page must name.) */
export const DICTIONARIES: Record<Language, ComponentType> = {
  en: dynamic(async () => hold("en", (await import("./en")).en)),
  de: dynamic(async () => hold("de", (await import("./de")).de)),
};

const LOADERS: Record<Language, () => Promise<unknown>> = {
  en: async () => hold("en", (await import("./en")).en),
  de: async () => hold("de", (await import("./de")).de),
};

/** Undefined in a browser that has not loaded it. */
export function textingOf(language: Language): Texting | undefined {
  return held[language];
}

/** Fetches what is not here yet. */
export async function loadTexting(language: Language): Promise<void> {
  if (!held[language]) await LOADERS[language]();
}
