/* The articles of content/<language>/*.md by their slugs. A new one is a line for each language here. */
import type { Language } from "@/i18n";
import deEverywhere from "../../content/de/everywhere.md";
import deLive from "../../content/de/live.md";
import deRendered from "../../content/de/rendered.md";
import enEverywhere from "../../content/en/everywhere.md";
import enLive from "../../content/en/live.md";
import enRendered from "../../content/en/rendered.md";

export interface Article {
  title: string;
  summary: string;
  order: number;
  /** Minutes it takes to read. */
  minutes: number;
  html: string;
}

type Slug = "live" | "rendered" | "everywhere";

export const articles: Record<Language, Record<Slug, Article>> = {
  en: { live: enLive, rendered: enRendered, everywhere: enEverywhere },
  de: { live: deLive, rendered: deRendered, everywhere: deEverywhere },
};

export function articleOf(slug: unknown, language: Language): Article | undefined {
  const all = articles[language];
  return typeof slug === "string" && Object.hasOwn(all, slug) ? all[slug as Slug] : undefined;
}
