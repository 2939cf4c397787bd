/* The articles of content/*.md, in their order. A new one is a new line here. */
import everywhere from "../../content/everywhere.md";
import live from "../../content/live.md";
import rendered from "../../content/rendered.md";

export interface Article {
  title: string;
  summary: string;
  order: number;
  /** Minutes it takes to read. */
  minutes: number;
  html: string;
}

export const articles: Record<string, Article> = { live, rendered, everywhere };
