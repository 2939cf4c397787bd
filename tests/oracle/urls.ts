// urls.ts: what a client may follow: lists with filters, orders, searches, windows, fields and includes, and details.
import { hasRange } from "./evaluate.ts";
import type { History } from "./history.ts";
import type { Random } from "./random.ts";
import { drawValue, toFilter, words } from "./values.ts";
import { baseKind, type Field, fieldOf, type Model, modelOf, type Resource, type World } from "./world.ts";

export type Pools = Record<string, string[]>;

function drawFilterValue(random: Random, history: History, pools: Pools, model: Model, field: Field): string {
  const rows = history.rowsAt(model.name);
  const held = rows.length > 0 && random.chance(0.7) ? random.pick(rows).raw[field.name] : null;
  const plain: Field = { ...field, kind: baseKind(field), to: field.primary ? model.name : field.to };
  return toFilter(field, held ?? drawValue(random, plain, pools));
}

function drawOperator(random: Random, field: Field): string {
  const operators = ["", "", "", "__not", "__in"];
  if (hasRange(field)) operators.push("__lt", "__lte", "__gt", "__gte");
  if (field.kind.startsWith("opt_")) operators.push("__isnull", "__isnull");
  if (baseKind(field) === "str") operators.push("__contains", "__startswith");
  return random.pick(operators);
}

function addFilter(
  random: Random,
  history: History,
  pools: Pools,
  resource: Resource,
  model: Model,
  to: URLSearchParams,
) {
  const references = resource.filter.filter((name) => fieldOf(model, name).to);
  const name = random.pick(references.length > 0 && random.chance(0.5) ? references : resource.filter);
  const field = fieldOf(model, name);
  const operator = drawOperator(random, field);
  const value = () => drawFilterValue(random, history, pools, model, field);
  if (operator === "__isnull") to.set(name + operator, String(random.chance(0.5)));
  else if (operator === "__in") to.set(name + operator, `${value()},${value()}`);
  else to.set(name + operator, value());
}

function drawOrder(random: Random, resource: Resource): string {
  const chosen = random.some(resource.order, 0.5).slice(0, 2);
  const order = chosen.length > 0 ? chosen : [random.pick(resource.order)];
  return order.map((name) => (random.chance(0.5) ? "-" : "") + name).join(",");
}

function drawFields(random: Random, model: Model): string {
  const visible = model.fields.filter((field) => !field.hidden).map((field) => field.name);
  return visible.filter(() => random.chance(0.5)).join(",") || "id";
}

export function drawUrl(random: Random, world: World, history: History, pools: Pools): string {
  const resource = random.pick(world.resources);
  const model = modelOf(world, resource.model);
  if (random.chance(0.12)) return `${resource.path}${random.pick(pools[model.name] ?? [])}/`;
  const query = new URLSearchParams();
  if (random.chance(0.6)) addFilter(random, history, pools, resource, model, query);
  if (random.chance(0.2)) addFilter(random, history, pools, resource, model, query);
  if (random.chance(0.5)) query.set("order", drawOrder(random, resource));
  if (random.chance(0.5)) query.set("limit", String(random.between(1, 9)));
  if ((model.search ?? []).length > 0 && random.chance(0.1)) query.set("search", random.pick(words));
  if (random.chance(0.1)) query.set("total", "false");
  const references = model.fields.filter((field) => field.to && !field.hidden);
  if (references.length > 0 && random.chance(0.3)) query.set("include", random.pick(references).name);
  if (random.chance(0.08)) query.set("fields", drawFields(random, model));
  query.sort();
  return query.size > 0 ? `${resource.path}?${query}` : resource.path;
}
