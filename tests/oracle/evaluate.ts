// evaluate.ts: what a URL answers, worked out from rows in memory: a second reading of rules, filters, search, order,
// windows and includes, which shares no line with the server's. It is slow and plain on purpose.
import type { History, Row, State } from "./history.ts";
import { fromFilter, type Value } from "./values.ts";
import {
  baseKind,
  type Field,
  fieldOf,
  type Model,
  modelOf,
  type Resource,
  type Rule,
  userModel,
  type World,
} from "./world.ts";

export interface Caller {
  id: string | null;
  name: string;
  staff: boolean;
}

export interface Answer {
  rows: Row["api"][];
  total: number | null;
  end: boolean;
  detail: boolean;
  included: Record<string, Record<string, Row["api"]>>;
}

// What a URL says, read once.
export interface Asked {
  url: string;
  resource: Resource;
  model: Model;
  id: string | null;
  limit: number;
  fields: string[] | null;
  withTotal: boolean;
  includes: Field[];
  order: { field: Field; descending: boolean }[];
  matches: (row: Row) => boolean;
}

// --- URLs ---------------------------------------------------------------------------------------------------------

export function readUrl(world: World, url: string): Asked {
  const [path = "", query = ""] = url.split("?");
  const resource = world.resources.find((one) => path.startsWith(one.path));
  if (!resource) throw new Error(`no resource answers ${url}`);
  const model = modelOf(world, resource.model);
  const id = path.slice(resource.path.length).replace("/", "") || null;
  const parameters = new URLSearchParams(query);
  const special = new Set(["order", "limit", "search", "include", "fields", "total"]);
  const tests = [...parameters]
    .filter(([name]) => !special.has(name))
    .map(([name, text]) => readFilter(model, name, text));
  if (parameters.has("search")) tests.push(readSearch(model, parameters.get("search") ?? ""));
  return {
    url,
    resource,
    model,
    id,
    limit: id ? 1 : Number(parameters.get("limit") ?? resource.size),
    fields: parameters.get("fields")?.split(",") ?? null,
    withTotal: id === null && parameters.get("total") !== "false",
    includes: (parameters.get("include")?.split(",") ?? []).map((name) => fieldOf(model, name)),
    order: readOrder(model, parameters.get("order") ?? model.order),
    matches: (row) => tests.every((test) => test(row)) && (id === null || row.id === id),
  };
}

function readOrder(model: Model, text: string): Asked["order"] {
  const parts = text.split(",").filter((part) => part !== "");
  const order = parts.map((part) => ({
    field: fieldOf(model, part.replace("-", "")),
    descending: part.startsWith("-"),
  }));
  if (!order.some(({ field }) => field.primary))
    order.push({ field: fieldOf(model, "id"), descending: order[0]?.descending ?? false });
  return order;
}

const small = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

const wordsOf = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];

function readSearch(model: Model, text: string): (row: Row) => boolean {
  const beginnings = wordsOf(text);
  return (row) => {
    const texts = (model.search ?? [])
      .map((name) => row.raw[name])
      .filter((value) => typeof value === "string");
    const words = texts.flatMap(wordsOf);
    return beginnings.every((beginning) => words.some((word) => word.startsWith(beginning)));
  };
}

function readFilter(model: Model, name: string, text: string): (row: Row) => boolean {
  const [column = "", operator = "equal"] = name.split("__");
  const field = fieldOf(model, column);
  const wanted = fromFilter(field, text);
  const among = operator === "in" ? text.split(",").map((part) => fromFilter(field, part)) : [];
  return (row) => {
    const value = row.raw[column] ?? null;
    if (operator === "isnull") return (value === null) === (text === "true");
    if (operator === "not") return value === null || compare(value, wanted) !== 0;
    if (value === null) return false;
    switch (operator) {
      case "equal":
        return compare(value, wanted) === 0;
      case "in":
        return among.some((one) => compare(value, one) === 0);
      case "lt":
        return compare(value, wanted) < 0;
      case "lte":
        return compare(value, wanted) <= 0;
      case "gt":
        return compare(value, wanted) > 0;
      case "gte":
        return compare(value, wanted) >= 0;
      case "contains":
        return small(String(value)).includes(small(text));
      case "startswith":
        return small(String(value)).startsWith(small(text));
      default:
        throw new Error(`no operator ${operator}`);
    }
  };
}

// NULL first, numbers by size, text by its UTF-8 bytes.
export function compare(a: Value, b: Value): number {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)));
}

// --- one moment ---------------------------------------------------------------------------------------------------

// The database as it was in one state, seen by whoever asks.
export class Moment {
  readonly state: State;
  private readonly world: World;
  private readonly history: History;
  private readonly rows = new Map<string, Row[]>();
  private readonly seen = new Map<string, boolean>();
  private readonly granted = new Map<string, Set<Value>>();

  constructor(world: World, history: History, state: State) {
    this.world = world;
    this.history = history;
    this.state = state;
  }

  all(model: string): Row[] {
    const known = this.rows.get(model) ?? this.history.rowsAt(model, this.state);
    this.rows.set(model, known);
    return known;
  }

  // Whether the caller may read a row.
  reads(caller: Caller, model: Model, row: Row): boolean {
    const key = `${caller.name} ${model.name} ${row.id}`;
    let answer = this.seen.get(key);
    if (answer === undefined) {
      answer = this.allows(model.read, caller, model, row);
      this.seen.set(key, answer);
    }
    return answer;
  }

  private allows(rule: Rule, caller: Caller, model: Model, row: Row): boolean {
    switch (rule.kind) {
      case "nobody":
        return false;
      case "public":
        return true;
      case "signed_in":
        return caller.id !== null;
      case "staff":
        return caller.id !== null && caller.staff;
      case "owner":
        return caller.id !== null && row.raw[rule.column] === caller.id;
      case "members":
        return caller.id !== null && this.grantsOf(rule, caller.id).has(row.id);
      case "like":
        return this.readsParent(rule.column, caller, model, row);
      case "any":
        return rule.parts.some((part) => this.allows(part, caller, model, row));
      case "all":
        return rule.parts.every((part) => this.allows(part, caller, model, row));
    }
  }

  private readsParent(column: string, caller: Caller, model: Model, row: Row): boolean {
    const parentModel = modelOf(this.world, fieldOf(model, column).to ?? "");
    const parent = this.history.rowAt(parentModel.name, String(row.raw[column]), this.state);
    return parent !== null && this.reads(caller, parentModel, parent);
  }

  private grantsOf(rule: { model: string; thing: string; user: string }, user: string): Set<Value> {
    const key = `${rule.model} ${rule.thing} ${user}`;
    let things = this.granted.get(key);
    if (!things) {
      const rows = this.all(rule.model).filter((row) => row.raw[rule.user] === user);
      things = new Set(rows.map((row) => row.raw[rule.thing] ?? null));
      this.granted.set(key, things);
    }
    return things;
  }

  // What the URL answers, with a window of `limit` rows.
  answer(asked: Asked, caller: Caller, limit: number): Answer {
    const rows = this.all(asked.model.name)
      .filter((row) => asked.matches(row) && this.reads(caller, asked.model, row))
      .sort((a, b) => compareRows(asked.order, a, b));
    const window = rows.slice(0, limit);
    return {
      rows: window.map((row) => onlyFields(asked, row.api)),
      total: asked.withTotal ? rows.length : null,
      end: rows.length <= limit,
      detail: asked.id !== null,
      included: Object.fromEntries(
        asked.includes.map((field) => [field.name, this.included(field, caller, window)]),
      ),
    };
  }

  private included(field: Field, caller: Caller, window: Row[]): Record<string, Row["api"]> {
    const model = field.to === "user" ? userModel : modelOf(this.world, field.to ?? "");
    const found: Record<string, Row["api"]> = {};
    for (const row of window) {
      const target = this.history.rowAt(model.name, String(row.raw[field.name]), this.state);
      if (target && this.reads(caller, model, target)) found[target.id] = target.api;
    }
    return found;
  }

  // A row of any model, by its id.
  find(id: string): { model: Model; row: Row } | null {
    for (const model of [...this.world.models, userModel]) {
      const row = this.history.rowAt(model.name, id, this.state);
      if (row) return { model, row };
    }
    return null;
  }

  // Whether an included row may be held at all.
  mayHold(field: Field, id: string, caller: Caller): boolean {
    const model = field.to === "user" ? userModel : modelOf(this.world, field.to ?? "");
    const target = this.history.rowAt(model.name, id, this.state);
    return target !== null && this.reads(caller, model, target);
  }
}

function onlyFields(asked: Asked, row: Row["api"]): Row["api"] {
  if (!asked.fields) return row;
  // What a store needs to put rows in order and to find what they point at is always there.
  const fields = [
    ...asked.fields,
    ...asked.order.map((one) => one.field.name),
    ...asked.includes.map((one) => one.name),
  ];
  return Object.fromEntries(
    Object.entries(row).filter(([name]) => name === "id" || fields.includes(name)),
  ) as Row["api"];
}

function compareRows(order: Asked["order"], a: Row, b: Row): number {
  for (const { field, descending } of order) {
    const result = compare(a.raw[field.name] ?? null, b.raw[field.name] ?? null);
    if (result !== 0) return descending ? -result : result;
  }
  return 0;
}

// Whether a rule can let this caller see no row at all: then the URL answers 401, not an empty list.
export function isNever(world: World, model: Model, rule: Rule, caller: Caller): boolean {
  switch (rule.kind) {
    case "nobody":
      return true;
    case "public":
      return false;
    case "staff":
      return !(caller.id !== null && caller.staff);
    case "signed_in":
    case "owner":
    case "members":
      return caller.id === null;
    case "like": {
      const parent = modelOf(world, fieldOf(model, rule.column).to ?? "");
      return isNever(world, parent, parent.read, caller);
    }
    case "any":
      return rule.parts.every((part) => isNever(world, model, part, caller));
    case "all":
      return rule.parts.some((part) => isNever(world, model, part, caller));
  }
}

// Fields by which ranges make sense.
export const hasRange = (field: Field): boolean => !["bool", "json", "id"].includes(baseKind(field));
