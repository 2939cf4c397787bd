import { describe, expect, it } from "vitest";
import { highlight } from "@/search/highlight";

const marked = (text: string, search: string) =>
  highlight(text, search)
    .map((part) => (part.hit ? `[${part.text}]` : part.text))
    .join("");

describe("highlight", () => {
  it.each([
    ["Hello there", "hel", "[Hel]lo there"],
    ["Hello there", "the hello", "[Hello] [the]re"],
    ["another", "the", "another"], // only where a word begins
    ["Grüße aus Köln", "kö GRÜ", "[Grü]ße aus [Kö]ln"],
    ["a+b (c)", "b c", "a+[b] ([c])"],
    ["مرحبا بكم", "بك", "مرحبا [بك]م"],
    ["plain", "…", "plain"],
    ["", "x", ""],
  ])("%j with %j", (text, search, expected) => {
    expect(marked(text, search)).toBe(expected);
  });

  it("shows the piece of a long text in which the first hit is", () => {
    const text = `${"word ".repeat(100)}needle ${"word ".repeat(100)}`;
    const piece = marked(text, "needle");
    expect(piece).toContain("[needle]");
    expect(piece.length).toBeLessThan(180);
    expect(piece.startsWith("… ")).toBe(true);
    expect(piece.endsWith(" …")).toBe(true);
  });
});
