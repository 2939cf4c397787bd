// world.ts: what an app may be, drawn from a seed: models with fields of every kind, references between them, read and
// write rules of every shape, search, resources with filters, orders and page sizes. Written as JSON it is what
// oracle_app reads, so both sides know one world, and each has its own reading of it.
import type { Random } from "./random.ts";

export type Kind = "bool" | "int" | "double" | "str" | "id" | "time" | "json";

export interface Field {
  name: string;
  kind: Kind | `opt_${Kind}`;
  primary?: boolean;
  index?: boolean;
  hidden?: boolean;
  required?: boolean;
  to?: string;
  set_null?: boolean;
}

export type Rule =
  | { kind: "public" | "signed_in" | "staff" | "nobody" }
  | { kind: "owner"; column: string }
  | { kind: "members"; model: string; thing: string; user: string }
  | { kind: "like"; column: string }
  | { kind: "any" | "all"; parts: Rule[] };

export interface Model {
  name: string;
  fields: Field[];
  order: string;
  read: Rule;
  write: Rule;
  unique?: string[];
  search?: string[];
  // Rows of it grant access to rows of this model.
  grants?: string;
}

export interface Resource {
  path: string;
  model: string;
  filter: string[];
  order: string[];
  size: number;
  max: number;
}

export interface World {
  models: Model[];
  resources: Resource[];
}

export const baseKind = (field: Field): Kind => field.kind.replace("opt_", "") as Kind;
export const isOptional = (field: Field): boolean => field.kind.startsWith("opt_");
export const fieldOf = (model: Model, name: string): Field => {
  const field = model.fields.find((one) => one.name === name);
  if (!field) throw new Error(`${model.name} has no field ${name}`);
  return field;
};
export const modelOf = (world: World, name: string): Model => {
  const model = world.models.find((one) => one.name === name);
  if (!model) throw new Error(`the world has no model ${name}`);
  return model;
};

// The users' table is the stack's own; here it is only pointed at and included.
export const userModel: Model = {
  name: "user",
  fields: [
    { name: "id", kind: "id", primary: true },
    { name: "username", kind: "str" },
    { name: "display_name", kind: "str" },
    { name: "avatar", kind: "str" },
    { name: "staff", kind: "bool" },
    { name: "created_at", kind: "time" },
  ],
  order: "username",
  read: { kind: "signed_in" },
  write: { kind: "nobody" },
};

// --- fields -------------------------------------------------------------------------------------------------------

const SCALARS: Kind[] = ["bool", "int", "double", "str", "time", "json", "int", "str"];

function drawScalars(random: Random): Field[] {
  return Array.from({ length: random.between(3, 6) }, (_, i) => {
    const kind = random.pick(SCALARS);
    const optional = kind !== "json" && random.chance(0.4);
    const field: Field = { name: `f${i}_${kind}`, kind: optional ? `opt_${kind}` : kind };
    if (kind !== "json" && random.chance(0.25)) field.index = true;
    if (random.chance(0.1)) field.hidden = true;
    return field;
  });
}

function drawReference(random: Random, name: string, to: string): Field {
  const optional = random.chance(0.4);
  const field: Field = { name, kind: optional ? "opt_id" : "id", to };
  if (!optional) field.required = true;
  else if (random.chance(0.5)) field.set_null = true;
  return field;
}

// --- rules --------------------------------------------------------------------------------------------------------

function drawSimpleRule(random: Random, model: Model, members: Model | undefined): Rule {
  const parents = model.fields.filter((field) => field.to && field.to !== "user");
  const choices: Rule[] = [{ kind: "owner", column: "owner" }];
  for (const parent of parents)
    choices.push({ kind: "like", column: parent.name }, { kind: "like", column: parent.name });
  if (members) {
    const rule: Rule = { kind: "members", model: members.name, thing: "thing", user: "user" };
    choices.push(rule, rule, rule);
  }
  if (random.chance(0.25)) choices.push({ kind: random.pick(["public", "signed_in", "staff"] as const) });
  return random.pick(choices);
}

function drawRule(random: Random, model: Model, members: Model | undefined, depth = 0): Rule {
  if (depth >= 2 || random.chance(depth === 0 ? 0.55 : 0.75)) return drawSimpleRule(random, model, members);
  const parts = Array.from({ length: random.between(2, 3) }, () =>
    drawRule(random, model, members, depth + 1),
  );
  return { kind: random.pick(["any", "any", "all"] as const), parts };
}

function drawWriteRule(random: Random, read: Rule): Rule {
  return random.pick<Rule>([
    { kind: "signed_in" },
    { kind: "signed_in" },
    read,
    { kind: "owner", column: "owner" },
  ]);
}

// --- models -------------------------------------------------------------------------------------------------------

function drawOrder(random: Random, model: Model): string {
  const fields = model.fields.filter(
    (field) => !field.hidden && !field.primary && baseKind(field) !== "json" && field.name !== "mark",
  );
  const chosen = random.some(fields, 0.3).slice(0, 2);
  return chosen.map((field) => (random.chance(0.5) ? "-" : "") + field.name).join(",") || "-mark";
}

function drawMembers(random: Random, thing: string): Model {
  const model: Model = {
    name: `${thing}_member`,
    fields: [
      { name: "id", kind: "id", primary: true },
      { name: "mark", kind: "str" },
      { name: "thing", kind: "id", to: thing, required: true },
      { name: "user", kind: "id", to: "user", required: true, index: random.chance(0.5) },
      { name: "number", kind: "int" },
    ],
    order: random.pick(["number", "-mark", "user"]),
    read: random.pick<Rule>([
      { kind: "like", column: "thing" },
      { kind: "owner", column: "user" },
      {
        kind: "any",
        parts: [
          { kind: "owner", column: "user" },
          { kind: "like", column: "thing" },
        ],
      },
    ]),
    write: random.pick<Rule>([{ kind: "signed_in" }, { kind: "like", column: "thing" }]),
    grants: thing,
  };
  // Where it is not unique, a second grant keeps what the revocation of the first would take.
  if (random.chance(0.5)) model.unique = ["thing", "user"];
  model.search = searchable(model);
  return model;
}

const searchable = (model: Model): string[] =>
  model.fields.filter((field) => !field.hidden && baseKind(field) === "str").map((field) => field.name);

function drawThing(random: Random, name: string, earlier: Model[], isFirst: boolean): Model[] {
  const members = isFirst || random.chance(0.3) ? drawMembers(random, name) : undefined;
  const model: Model = {
    name,
    fields: [
      { name: "id", kind: "id", primary: true },
      { name: "mark", kind: "str" },
      drawReference(random, "owner", "user"),
    ],
    order: "",
    read: { kind: "nobody" },
    write: { kind: "nobody" },
  };
  const parents = isFirst ? [] : [...new Set([earlier[earlier.length - 1], random.pick(earlier)])];
  for (const parent of parents)
    if (parent) model.fields.push(drawReference(random, `to_${parent.name}`, parent.name));
  model.fields.push(...drawScalars(random));
  model.order = drawOrder(random, model);
  model.search = searchable(model);
  model.read =
    isFirst && members && random.chance(0.7)
      ? { kind: "members", model: members.name, thing: "thing", user: "user" }
      : drawRule(random, model, members);
  model.write = drawWriteRule(random, model.read);
  return members ? [model, members] : [model];
}

function drawResource(random: Random, model: Model): Resource {
  const visible = model.fields.filter((field) => !field.hidden);
  const comparable = visible.filter((field) => baseKind(field) !== "json");
  const size = random.between(3, random.chance(0.5) ? 8 : 50);
  return {
    path: `/api/${model.name}/`,
    model: model.name,
    filter: comparable.filter((field) => field.to || random.chance(0.7)).map((field) => field.name),
    order: comparable
      .filter((field) => random.chance(0.6) || field.name === "mark")
      .map((field) => field.name),
    size,
    max: 200,
  };
}

// How many rules are read to know what a rule says: its parts, and those of the models that it is like.
function depthOf(rule: Rule, model: Model, models: Model[]): number {
  if (rule.kind === "like") {
    const to = model.fields.find((field) => field.name === rule.column)?.to;
    const target = models.find(({ name }) => name === to);
    return 1 + (target ? depthOf(target.read, target, models) : 0);
  }
  if (rule.kind !== "any" && rule.kind !== "all") return 1;
  return 1 + Math.max(...rule.parts.map((part) => depthOf(part, model, models)));
}

// The stack refuses deeper ones.
const DEPTH_MAX = 8;

export function drawWorld(random: Random): World {
  const things: Model[] = [];
  const models: Model[] = [];
  const count = random.between(2, 4);
  for (let i = 0; i < count; i++) {
    const made = drawThing(random, `thing${i}`, things, i === 0);
    things.push(made[0] as Model);
    models.push(...made);
    for (const model of made)
      if (depthOf(model.read, model, models) > DEPTH_MAX)
        model.read = { kind: "owner", column: model.grants ? "user" : "owner" };
  }
  return { models, resources: models.map((model) => drawResource(random, model)) };
}
