// values.ts: the values of the world's rows: few enough that filters, orders and references meet often, odd enough to
// find where two readings of one value differ.
import type { Random } from "./random.ts";
import { baseKind, type Field, isOptional, type Kind } from "./world.ts";

// As SQLite holds it: booleans 0 or 1, times whole microseconds, JSON text.
export type Value = null | number | string;

const WORDS = [
  "alpha",
  "Beta",
  "beta gamma",
  "Ärger",
  "100%",
  "a_b",
  "\\",
  "",
  "zz",
  "\uff5e",
  "\u{1f600}",
  "it's",
];
const DOUBLES = [0, 0.5, -3, 1.25, 1000000, -0.125];
const DOCUMENTS = ["null", "[]", '{"a":1,"b":[true,null]}', '"text"', "12"];
const FIRST_US = 1_700_000_000_000_000;

export const words = WORDS.filter((word) => word !== "");

export function drawValue(random: Random, field: Field, targets: Record<string, string[]>): Value {
  if (isOptional(field) && random.chance(0.25)) return null;
  return drawOfKind(random, baseKind(field), field.to ? (targets[field.to] ?? []) : []);
}

function drawOfKind(random: Random, kind: Kind, targets: string[]): Value {
  switch (kind) {
    case "bool":
      return random.between(0, 1);
    case "int":
      return random.between(-2, 12);
    case "double":
      return random.pick(DOUBLES);
    case "str":
      return random.pick(WORDS);
    case "time":
      return FIRST_US + random.between(0, 9) * 1_000_001;
    case "json":
      return random.pick(DOCUMENTS);
    case "id":
      return random.pick(targets);
  }
}

export function formatTime(us: number): string {
  const text = new Date(Math.floor(us / 1000)).toISOString();
  return `${text.slice(0, -1)}${String(((us % 1000) + 1000) % 1000).padStart(3, "0")}Z`;
}

export function parseTime(text: string): number {
  const [, seconds = "", fraction = ""] = /^(.*?)(?:\.(\d+))?Z$/.exec(text) ?? [];
  return Date.parse(`${seconds}Z`) * 1000 + Number(fraction.padEnd(6, "0").slice(0, 6) || 0);
}

// As the API shows it.
export function toApi(field: Field, value: Value): unknown {
  if (value === null) return null;
  switch (baseKind(field)) {
    case "bool":
      return value === 1;
    case "time":
      return formatTime(Number(value));
    case "json":
      return JSON.parse(String(value));
    default:
      return value;
  }
}

// As a filter of a URL writes it, and how such a text reads back.
export function toFilter(field: Field, value: Value): string {
  return String(toApi(field, value));
}

export function fromFilter(field: Field, text: string): Value {
  switch (baseKind(field)) {
    case "bool":
      return text === "true" ? 1 : 0;
    case "int":
    case "double":
      return Number(text);
    case "time":
      return parseTime(text);
    default:
      return text;
  }
}
