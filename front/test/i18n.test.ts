import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Problem } from "@tims/client";
import { describe, expect, it } from "vitest";
import { de } from "@/i18n/de";
import { en } from "@/i18n/en";
import { languageOf } from "@/i18n/languages";
import { makeProblemText } from "@/i18n/problems";
import { type Key, makeTexting, type Text, type Texts } from "@/i18n/texts";

const english = makeTexting("en", en);
const german = makeTexting("de", de);
const variants = (text: Text): string[] => (typeof text === "string" ? [text] : Object.values(text));
const placeholders = (text: Text) =>
  [...new Set(variants(text).flatMap((one) => one.match(/\{\w+\}/g) ?? []))].sort();

describe("the dictionaries", () => {
  const keys = Object.keys(en) as Key[];
  const other: Texts = de;

  it("have the same keys, and the same values in each text", () => {
    expect(Object.keys(de).sort()).toEqual([...keys].sort());
    for (const key of keys)
      expect([key, ...placeholders(other[key])]).toEqual([key, ...placeholders(en[key])]);
  });

  it("have no text that is empty, or has space at its ends", () => {
    for (const texts of [en as Texts, de])
      for (const key of keys)
        for (const text of variants(texts[key])) expect([key, text]).toEqual([key, text.trim() || "a text"]);
  });

  it("have a text for each plural that the language makes", () => {
    for (const [tag, texts] of [
      ["en", en],
      ["de", de],
    ] as [string, Texts][])
      for (const key of keys) {
        const text = texts[key];
        if (typeof text === "string") continue;
        const made = new Intl.PluralRules(tag).resolvedOptions().pluralCategories;
        expect([key, ...Object.keys(text).sort()]).toEqual([key, ...[...made].sort()]);
      }
  });
});

describe("formats", () => {
  const at = new Date("2026-11-03T14:05:00Z");
  it("write times and numbers as the language does", () => {
    expect(english.format.time(at, "UTC")).toBe("14:05");
    expect(english.format.day(at, { year: true, zone: "UTC" })).toBe("3 Nov 2026");
    expect(german.format.day(at, { year: true, zone: "UTC" })).toBe("3. Nov. 2026");
    expect(german.format.weekday(at, "UTC")).toBe("Dienstag");
    expect(english.format.number(12345.5)).toBe("12,345.5");
    expect(german.format.number(12345.5)).toBe("12.345,5");
    expect(german.format.daysFromNow(0)).toBe("Heute");
    expect(english.format.daysFromNow(-1)).toBe("Yesterday");
    expect(german.format.list(["Ada", "Ben", "Cleo"])).toBe("Ada, Ben und Cleo");
  });

  it.each([
    [10, "10 seconds ago", "vor 10 Sekunden"],
    [300, "5 minutes ago", "vor 5 Minuten"],
    [7200, "2 hours ago", "vor 2 Stunden"],
    [3 * 86_400, "3 days ago", "vor 3 Tagen"],
  ])("%d seconds ago", (seconds, inEnglish, inGerman) => {
    const now = new Date(at.getTime() + seconds * 1000);
    expect(english.format.ago(at, now)).toBe(inEnglish);
    expect(german.format.ago(at, now)).toBe(inGerman);
  });
});

describe("languageOf", () => {
  it.each([
    ["de", "de"],
    ["de-AT", "de"],
    ["EN_us", "en"],
    ["fr", undefined],
    ["", undefined],
    ["toString", undefined],
    [undefined, undefined],
  ])("%j is %j", (tag, language) => {
    expect(languageOf(tag)).toBe(language);
  });
});

describe("problems", () => {
  const problem = (code: string, errors: Problem["errors"] = []): Problem => ({
    status: 422,
    code,
    title: "Title",
    detail: "The server's own words.",
    errors,
  });

  it("are said in the reader's language by their code", () => {
    expect(makeProblemText(german).of(problem("credentials"))).toBe(de["problem.credentials"]);
    expect(makeProblemText(english).of(problem("credentials"))).toBe(en["problem.credentials"]);
    expect(makeProblemText(german).of(null)).toBeUndefined();
  });

  it("are the server's own words where the code is not known", () => {
    expect(makeProblemText(german).of(problem("of_an_app_to_come"))).toBe("The server's own words.");
    expect(makeProblemText(german).code("toString")).toBeUndefined();
  });

  it("of a field have the server's limit in them", () => {
    const wrong = (code: string, message: string) =>
      makeProblemText(german).field(problem("invalid", [{ pointer: "/a", code, message }]), "a");
    expect(wrong("max_length", "May have at most 80 characters.")).toBe("Ist zu lang: höchstens 80.");
    expect(wrong("max_length", "Too long.")).toBe("Too long.");
    expect(wrong("required", "Is required.")).toBe("Wird gebraucht.");
    expect(makeProblemText(german).field(problem("invalid"), "a")).toBeUndefined();
  });
});

/* What the server's rooms may refuse a browser with, read from their sources. */
describe("the server's codes", () => {
  const root = join(import.meta.dirname, "../..");
  const sources = ["stack/http", "stack/json", "stack/rest", "stack/auth", "stack/model", "back"].flatMap(
    (folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((file) => /\.[ch]$/.test(file) && !/(_test|_fuzz|testing)\./.test(file))
        .map((file) => readFileSync(join(root, folder, file), "utf8")),
  );
  const codesIn = (pattern: RegExp) => [
    ...new Set(sources.flatMap((source) => [...source.matchAll(pattern)].map((match) => match[1] ?? ""))),
  ];
  /** Never seen by somebody at a page: said to programs, by commands, or while starting. */
  const ELSEWHERE = new Set(
    "headers_too_large no_token not_acceptable only_reads range retry serialization unknown_reads upgrade_required".split(
      " ",
    ),
  );

  it("of whole answers have a text", () => {
    const raised = codesIn(/tims_raise\(\s*\w+,\s*\d{3},\s*"(\w+)"/g);
    const throttled = codesIn(/"(\w+_throttled)"/g);
    const base = readFileSync(join(root, "stack/include/tims/base.h"), "utf8");
    const statuses = [...base.matchAll(/X\([A-Z_]+, "(\w+)", 4\d\d,/g)].map((match) => match[1] ?? "");
    const codes = [...raised, ...throttled, ...statuses];
    expect(codes).toContain("not_found"); // what is looked for is found
    expect(codes.filter((code) => !ELSEWHERE.has(code) && !english.has(`problem.${code}`))).toEqual([]);
  });

  it("of fields have a text", () => {
    const complained = codesIn(/complain\(\w+,\s*"(\w+)"/g);
    const fields = codesIn(/tims_error_field\([^;]*?"(\w+)",\s*"[^"]*"/g);
    const codes = [...complained, ...fields];
    expect(codes).toContain("max_length");
    expect(codes).toContain("read_only");
    expect(codes.filter((code) => !english.has(`wrong.${code}`))).toEqual([]);
  });
});
