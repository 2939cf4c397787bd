// openapi.ts: values made from the API's own document, good ones and bad ones, and a judge of what is answered to them.
import assert from "node:assert/strict";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

export interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  pattern?: string;
  contentEncoding?: string;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  anyOf?: Schema[];
}

export interface Parameter {
  $ref?: string;
  name: string;
  in: "path" | "query" | "header";
  required?: boolean;
  explode?: boolean;
  schema: Schema;
}

type Content = Record<string, { schema: Schema }>;

export interface Operation {
  operationId: string;
  security: Record<string, string[]>[];
  parameters: Parameter[];
  requestBody?: { content: Content };
  responses: Record<string, { $ref?: string; content?: Content }>;
  "x-websocket"?: object;
}

export interface Api {
  paths: Record<string, Record<string, Operation>>;
  components: { parameters: Record<string, Parameter>; schemas: Record<string, Schema> };
}

export interface Call {
  method: string; // in capitals
  path: string; // with {parameters}
  operation: Operation;
}

export function callsOf(api: Api): Call[] {
  return Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

// --- values ---------------------------------------------------------------------------------------------------

function deref(api: Api, schema: Schema): Schema {
  return schema.$ref ? (api.components.schemas[schema.$ref.split("/").pop() as string] as Schema) : schema;
}

const typesOf = (schema: Schema): string[] => [schema.type ?? []].flat();

function goodTexts(schema: Schema): string[] {
  if (schema.format === "uuid") return ["019ac000-0000-7000-8000-00000000abcd"];
  if (schema.format === "date-time") return ["2026-11-23T20:37:18Z", "1999-12-31T23:59:59.123456+01:30"];
  if (schema.format === "email") return ["someone@example.org"];
  if (schema.format === "uri") return ["https://example.org/a?b=c"];
  if (schema.format === "decimal") return ["12.5", "0"];
  if (schema.contentEncoding === "base64") return ["AAECAw=="];
  const shortest = Math.max(schema.minLength ?? 0, 0);
  const texts = ["a".repeat(shortest), "some 𝄞 words"];
  if (schema.maxLength !== undefined) texts.push("x".repeat(schema.maxLength));
  return texts.filter(
    (text) => [...text].length <= (schema.maxLength ?? Infinity) && [...text].length >= shortest,
  );
}

// At the edges of what the schema allows, and in the middle.
export function goodValues(api: Api, given: Schema): unknown[] {
  const schema = deref(api, given);
  if (schema.enum) return schema.enum;
  const types = typesOf(schema);
  const values: unknown[] = types.includes("null") ? [null] : [];
  if (types.includes("boolean")) values.push(true, false);
  if (types.includes("integer")) values.push(schema.minimum ?? -1, schema.maximum ?? 4_000_000_000);
  else if (types.includes("number")) values.push(schema.minimum ?? 0.5, schema.maximum ?? 1e3);
  if (types.includes("string")) values.push(...goodTexts(schema));
  if (types.includes("array")) {
    const [item] = goodValues(api, schema.items ?? {});
    values.push(schema.minItems ? [item] : [], [item]);
  }
  if (types.length === 0) values.push({}, [1, "two", null], "text");
  return values;
}

// Each with what is wrong with it.
export function badValues(api: Api, given: Schema): [string, unknown][] {
  const schema = deref(api, given);
  const types = typesOf(schema);
  const bad: [string, unknown][] = [];
  if (types.length === 0 && !schema.enum) return bad; // anything goes
  if (!types.includes("null")) bad.push(["null", null]);
  if (!types.includes("object")) bad.push(["an object", { a: 1 }]);
  if (!types.includes("boolean")) bad.push(["a truth", true]);
  if (!types.includes("array")) bad.push(["a list", []]);
  if (!types.includes("string")) bad.push(["a text", "x"]);
  if (!types.includes("integer") && !types.includes("number")) bad.push(["a number", 12]);
  if (types.includes("integer")) bad.push(["a fraction", 1.5]);
  if (schema.minimum !== undefined) bad.push(["below the minimum", schema.minimum - 1]);
  if (schema.maximum !== undefined) bad.push(["above the maximum", schema.maximum + 1]);
  if (schema.enum) bad.push(["no choice", "no such choice"]);
  if (schema.format && schema.format !== "password" && types.includes("string"))
    bad.push([`no ${schema.format}`, "neither this nor that"]);
  if (schema.minLength) bad.push(["too short", "x".repeat(schema.minLength - 1)]);
  if (schema.maxLength) bad.push(["too long", "x".repeat(schema.maxLength + 1)]);
  if (schema.maxItems && schema.items) {
    const [item] = goodValues(api, schema.items);
    bad.push(["too many", Array.from({ length: schema.maxItems + 1 }, () => item)]);
  }
  if (schema.items) bad.push(["a list of objects", [{}]]);
  return bad;
}

// As it stands in a URL; null: it cannot.
export function urlText(value: unknown): string | null {
  if (Array.isArray(value)) return value.map((one) => urlText(one)).join(",");
  return value === null || typeof value === "object" ? null : String(value);
}

// --- the judge --------------------------------------------------------------------------------------------------

export interface Told {
  status: number;
  type: string; // the media type without parameters
  text: string;
}

export class Judge {
  private readonly ajv = new Ajv2020({ strict: false, allErrors: true });
  private readonly loose = new Map<string, ValidateFunction>();
  readonly api: Api;

  constructor(api: Api) {
    this.api = api;
    addFormats.default(this.ajv);
    for (const name of ["int64", "double", "decimal", "binary"]) this.ajv.addFormat(name, true);
    this.ajv.addSchema(api as object, "api");
  }

  private validator(pointer: string): ValidateFunction {
    const found = this.loose.get(pointer) ?? this.ajv.compile({ $ref: `api#${pointer}` });
    this.loose.set(pointer, found);
    return found;
  }

  // What rows are of which only these fields were asked for: those, and others as they are else, but not all of them.
  private partial(given: Schema, asked: string[]): Schema {
    const schema = deref(this.api, given);
    const { rows } = schema.properties ?? {};
    if (rows?.items)
      return {
        ...schema,
        properties: { ...schema.properties, rows: { ...rows, items: this.partial(rows.items, asked) } },
      };
    const count = Object.keys(schema.properties ?? {}).length;
    return { ...schema, required: asked, maxProperties: count > asked.length + 2 ? count - 1 : count };
  }

  private validatorOfSome(given: Schema, asked: string[]): ValidateFunction {
    const text = JSON.stringify(this.partial(given, asked)).replaceAll('"#/', '"api#/');
    return this.ajv.compile(JSON.parse(text));
  }

  // Its status is one that the operation names, and its body is what it says of that one; asked: of rows with these fields.
  check(call: Call, told: Told, what: string, asked?: string[]): void {
    const { operation, path, method } = call;
    const said = operation.responses[String(told.status)];
    const where = `${operation.operationId}, ${what}: ${told.status} ${told.text.slice(0, 300)}`;
    assert.ok(said, `a status that is not documented: ${where}`);
    const step = (name: string) => name.replaceAll("~", "~0").replaceAll("/", "~1");
    const pointer = said.$ref
      ? said.$ref.slice(1)
      : `/paths/${step(path)}/${method.toLowerCase()}/responses/${told.status}`;
    const response = said.$ref
      ? (this.api as unknown as { components: { responses: Record<string, { content?: Content }> } })
          .components.responses[said.$ref.split("/").pop() as string]
      : said;
    if (!response?.content) {
      assert.equal(told.text, "", `a body where none is documented: ${where}`);
      return;
    }
    const type = Object.keys(response.content).find(
      (one) => one === told.type || (one.endsWith("/*") && told.type.startsWith(one.slice(0, -1))),
    );
    assert.ok(type, `a type that is not documented (${told.type}): ${where}`);
    if (!told.type.endsWith("json")) return;
    const isValid = asked
      ? this.validatorOfSome((response.content[type] as { schema: Schema }).schema, asked)
      : this.validator(`${pointer}/content/${step(type)}/schema`);
    assert.ok(
      isValid(JSON.parse(told.text)),
      `${where}\nis not as documented: ${this.ajv.errorsText(isValid.errors)}`,
    );
  }
}
