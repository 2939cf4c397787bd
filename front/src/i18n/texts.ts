/* From a key to a text: placeholders, plurals, and how a language writes numbers and times. Pure, without React. */
import type { en } from "./en";
import { LANGUAGES, type Language } from "./languages";

/** One text, or one for each plural that the language has (Intl.PluralRules): chosen by the value `count`. */
export type Text = string | ({ other: string } & Partial<Record<Intl.LDMLPluralRule, string>>);
export type Key = keyof typeof en;
/** What a language must have: exactly the keys of English. */
export type Texts = Record<Key, Text>;

type NamesIn<S> = S extends `${string}{${infer Name}}${infer Rest}` ? Name | NamesIn<Rest> : never;
type NamesOf<T> = T extends string ? NamesIn<T> : T extends object ? NamesIn<T[keyof T]> | "count" : never;
type ValuesOf<K extends Key> = {
  [Name in NamesOf<(typeof en)[K]>]: Name extends "count" ? number : string | number;
};

/** A key of a text without values. */
export type PlainKey = { [K in Key]: [NamesOf<(typeof en)[K]>] extends [never] ? K : never }[Key];

/** `t("chat.send")`, `t("chat.here", { count: 3 })`: a missing value, or one too many, is an error when compiling. */
export type Translate = <K extends Key>(
  key: K,
  ...values: [NamesOf<(typeof en)[K]>] extends [never] ? [] : [values: ValuesOf<K>]
) => string;

export interface Format {
  number: (value: number) => string;
  /** 14:05 */
  time: (date: Date, zone?: "UTC") => string;
  /** "3 Nov 2026", without `year` "3 Nov" */
  day: (date: Date, options: { year: boolean; zone?: "UTC" | undefined }) => string;
  /** "Monday" */
  weekday: (date: Date, zone?: "UTC") => string;
  /** "today", "yesterday", "in 3 days" with a capital letter: for headings */
  daysFromNow: (days: number) => string;
  /** "5 minutes ago", "2 hours ago": the largest unit that fits */
  ago: (date: Date, now: Date) => string;
  /** "Ada, Ben and Cleo" */
  list: (items: readonly string[]) => string;
}

export interface Texting {
  language: Language;
  t: Translate;
  /** Whether a key that is made at run time is one. */
  has: (key: string) => key is Key;
  format: Format;
}

const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
] as const;

function makeFormat(tag: string): Format {
  const made = new Map<string, Intl.DateTimeFormat>(); // making one is slow
  const dates = (options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat => {
    const key = JSON.stringify(options);
    const format = made.get(key) ?? new Intl.DateTimeFormat(tag, options);
    made.set(key, format);
    return format;
  };
  const numbers = new Intl.NumberFormat(tag);
  const relative = new Intl.RelativeTimeFormat(tag, { numeric: "auto" });
  const lists = new Intl.ListFormat(tag, { type: "conjunction" });
  const capital = (text: string) => text.charAt(0).toLocaleUpperCase(tag) + text.slice(1);
  return {
    number: (value) => numbers.format(value),
    time: (date, zone) =>
      dates({ hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone }).format(date),
    day: (date, { year, zone }) =>
      dates({ day: "numeric", month: "short", ...(year ? { year: "numeric" } : {}), timeZone: zone }).format(
        date,
      ),
    weekday: (date, zone) => dates({ weekday: "long", timeZone: zone }).format(date),
    daysFromNow: (days) => capital(relative.format(days, "day")),
    ago: (date, now) => {
      const seconds = Math.round((date.getTime() - now.getTime()) / 1000);
      const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
      return relative.format(Math.round(seconds / size), unit);
    },
    list: (items) => lists.format(items),
  };
}

function fill(text: string, values: Record<string, string | number>, format: Format): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return typeof value === "number" ? format.number(value) : (value ?? whole);
  });
}

/** The words and habits of a language. Pure: the same on the server and in the browser. */
export function makeTexting(language: Language, texts: Texts): Texting {
  const { tag } = LANGUAGES[language];
  const format = makeFormat(tag);
  const plurals = new Intl.PluralRules(tag);
  const t = (key: Key, values: Record<string, string | number> = {}): string => {
    const text = texts[key];
    if (typeof text === "string") return fill(text, values, format);
    return fill(text[plurals.select(Number(values.count))] ?? text.other, values, format);
  };
  const has = (key: string): key is Key => Object.hasOwn(texts, key);
  return { language, t: t as Translate, has, format };
}
