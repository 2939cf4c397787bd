// From a schema to the fields of a form, and from what is typed to what is sent: each kind, each limit, each code.
import { expect, test } from "vitest";
// @ts-expect-error a script without types
import { describeForm } from "../scripts/forms.mjs";
import { bodyOf, checkFields, type Form, type FormField, fillPath, readInput, showValue } from "../src/form";

const text = { type: "string" };
const id = { type: "string", format: "uuid" };
const json = (schema: unknown) => ({ "application/json": { schema } });
const page = (row: string, included = {}) => ({
  responses: {
    200: {
      content: json({
        properties: {
          rows: { type: "array", items: { $ref: `#/components/schemas/${row}` } },
          included: { properties: included },
        },
      }),
    },
  },
});
const make = (properties: Record<string, unknown>, required: string[] = []) => ({
  requestBody: { content: json({ type: "object", properties, required }) },
});

function documentWith(properties: Record<string, unknown>, required: string[] = []) {
  const room = { type: "object", additionalProperties: { $ref: "#/components/schemas/Room" } };
  return {
    paths: {
      "/api/desks/": {
        get: { operationId: "listDesks", ...page("Desk", { room }) },
        post: { operationId: "createDesk", ...make(properties, required) },
      },
      "/api/desks/{id}/": { patch: { operationId: "updateDesk", ...make(properties) } },
      "/api/desks/{id}/photo/": {
        put: {
          operationId: "setPhoto",
          requestBody: {
            content: {
              "multipart/form-data": {
                schema: {
                  properties: {
                    photo: { type: "string", contentMediaType: "image/png, image/jpeg", maxLength: 100 },
                    alt: text,
                  },
                  required: ["photo"],
                },
              },
            },
          },
        },
      },
      "/api/rooms/": { get: { operationId: "listRooms", ...page("Room") } },
    },
    components: {
      schemas: { Room: { properties: { id, code: text, title: text } }, Desk: { properties: { id } } },
    },
  };
}

const fieldsOf = (properties: Record<string, unknown>, required: string[] = [], operation = "createDesk") =>
  (describeForm(documentWith(properties, required), operation) as Form).fields;

test.each<[string, Record<string, unknown>, Partial<FormField>]>([
  ["text", { type: "string", maxLength: 60 }, { kind: "text", maxLength: 60 }],
  ["long text", { type: "string", maxLength: 4000 }, { kind: "long", maxLength: 4000 }],
  [
    "text or null",
    { type: ["string", "null"], maxLength: 60 },
    { kind: "text", maxLength: 60, nullable: true },
  ],
  [
    "an address",
    { type: "string", format: "email", maxLength: 254 },
    { kind: "text", format: "email", maxLength: 254 },
  ],
  [
    "a pattern",
    { type: "string", pattern: "^[a-z]+$", maxLength: 999 },
    { kind: "text", pattern: "^[a-z]+$", maxLength: 999 },
  ],
  [
    "a whole number",
    { type: "integer", minimum: 1, maximum: 9 },
    { kind: "number", integer: true, min: 1, max: 9 },
  ],
  ["a number", { type: ["number", "null"] }, { kind: "number", nullable: true }],
  [
    "a password",
    { type: "string", format: "password", maxLength: 1000 },
    { kind: "text", format: "password", maxLength: 1000 },
  ],
  ["a decimal", { type: ["string", "number"], format: "decimal" }, { kind: "text", format: "decimal" }],
  ["yes or no", { type: "boolean", default: true }, { kind: "boolean", default: true }],
  [
    "a choice",
    { type: "string", enum: ["a", "b"], default: "b" },
    { kind: "choice", choices: ["a", "b"], default: "b" },
  ],
  [
    "a choice or null",
    { type: ["string", "null"], enum: ["a", null] },
    { kind: "choice", choices: ["a"], nullable: true },
  ],
  ["a moment", { type: "string", format: "date-time" }, { kind: "time" }],
  [
    "either of one and null",
    { anyOf: [{ type: "boolean" }, { type: "null" }] },
    { kind: "boolean", nullable: true },
  ],
])("the field of %s", (_, schema, field) => {
  expect(fieldsOf({ it: schema })).toEqual([{ name: "it", ...field }]);
});

test("a reference is a choice among the rows that a page can include, by what they are called", () => {
  const reference = { name: "room", kind: "reference", to: "/api/rooms/", label: "title" };
  expect(fieldsOf({ room: id }, ["room"])).toEqual([{ ...reference, required: true }]);
  expect(fieldsOf({ room: id })).toEqual([reference]);
});

test("what must be there is needed: in a change only what may not be emptied", () => {
  const title = { type: "string", minLength: 1, maxLength: 60 };
  expect(fieldsOf({ title }, ["title"])[0]?.required).toBe(true);
  expect(fieldsOf({ title })[0]?.required).toBeUndefined();
  expect(fieldsOf({ title }, [], "updateDesk")[0]?.required).toBe(true);
});

test("in a change, what cannot be empty is needed: left empty it would stay as it was without a word", () => {
  const number = { type: "integer" };
  const needed = (schema: object) => fieldsOf({ it: schema }, [], "updateDesk")[0]?.required;
  for (const one of [number, { type: "string", format: "date-time" }, { type: "string", enum: ["a"] }])
    expect(needed(one)).toBe(true);
  expect(fieldsOf({ room: id }, [], "updateDesk")[0]?.required).toBe(true);
  for (const one of [{ type: ["integer", "null"] }, { type: "boolean" }, { type: "string", maxLength: 9 }])
    expect(needed(one)).toBeUndefined();
  expect(fieldsOf({ number })[0]?.required).toBeUndefined();
});

test("a moment that nobody has touched is sent as it was, to the microsecond", () => {
  const since: FormField = { name: "since", kind: "time" };
  const given = "2026-03-01T12:00:37.123456Z";
  const shown = { value: showValue(since, given) };
  expect(readInput(since, shown, given)).toBe(given);
  expect(readInput(since, { value: "2026-03-01T12:30" }, given)).not.toBe(given);
  expect(readInput(since, { value: "" }, given)).toBeUndefined();
});

test("what the server sets, ids and lists are not asked for; where one is needed there is no form", () => {
  const list = { type: "array", items: text };
  expect(
    fieldsOf({ id, list, at: { ...text, readOnly: true }, title: text }).map(({ name }) => name),
  ).toEqual(["title"]);
  expect(() => fieldsOf({ list, title: text }, ["list", "title"])).toThrow(
    "createDesk needs list, which no form can",
  );
  expect(() => fieldsOf({}, [], "nothing")).toThrow("There is no operation nothing in the API.");
  expect(() => fieldsOf({}, [], "listDesks")).toThrow("listDesks takes no fields");
});

test("a file is sent in a form", () => {
  const form = describeForm(documentWith({}), "setPhoto") as Form;
  expect(form).toEqual({
    method: "PUT",
    path: "/api/desks/{id}/photo/",
    multipart: true,
    fields: [
      { name: "photo", kind: "file", accept: ["image/png", "image/jpeg"], maxLength: 100, required: true },
      { name: "alt", kind: "text" },
    ],
  });
  const photo = new File(["x"], "a.png", { type: "image/png" });
  const body = bodyOf(form, { photo, alt: null }) as FormData;
  expect([...body.keys()]).toEqual(["photo"]);
  expect(bodyOf({ ...form, multipart: false }, { a: 1, b: undefined, c: null })).toEqual({ a: 1, c: null });
});

const field = (kind: FormField["kind"], more: Partial<FormField> = {}): FormField => ({
  name: "it",
  kind,
  ...more,
});
const value = (text: string, more = {}) => ({ value: text, ...more });

test.each<[string, FormField, Parameters<typeof readInput>[1], unknown]>([
  ["text, without space at its ends", field("text"), value("  Ada "), "Ada"],
  ["a password as it is", field("text"), value(" a b ", { type: "password" }), " a b "],
  ["no text", field("text"), value(" "), ""],
  ["no text where null may be", field("text", { nullable: true }), value(""), null],
  ["no text where some is needed", field("text", { required: true }), value(""), undefined],
  ["no text where it has a least length", field("text", { minLength: 3 }), value(""), undefined],
  ["a number", field("number"), value("1.5"), 1.5],
  ["no number", field("number"), value(""), undefined],
  ["what is no number", field("number"), value("", { validity: { badInput: true } }), Number.NaN],
  ["yes", field("boolean"), value("on", { checked: true }), true],
  ["no", field("boolean"), value("on", { checked: false }), false],
  ["no choice", field("choice"), value(""), undefined],
  ["a moment", field("time"), value("2026-03-01T12:00Z"), "2026-03-01T12:00:00.000Z"],
  ["what is no moment", field("time"), value("soon"), Number.NaN],
])("reads %s", (_, of, input, expected) => {
  expect(readInput(of, input)).toEqual(expected);
});

test("a moment is shown in the reader's zone and comes back the same", () => {
  const shown = showValue(field("time"), "2026-03-01T12:00:00Z");
  expect(shown).toMatch(/^2026-0[23]-\d\dT\d\d:\d\d$/);
  expect(readInput(field("time"), value(shown))).toBe("2026-03-01T12:00:00.000Z");
  expect(showValue(field("time"), "never")).toBe("");
  expect(showValue(field("text"), null)).toBe("");
});

test.each<[string, FormField, unknown, string | null, string?]>([
  ["nothing where something is needed", field("text", { required: true }), "", "required"],
  ["null where it is allowed", field("text", { required: true, nullable: true }), null, null],
  ["nothing where nothing is needed", field("text", { minLength: 3 }), undefined, null],
  ["too short", field("text", { minLength: 3 }), "ab", "min_length", "3"],
  ["as short as it may be", field("text", { minLength: 3 }), "abc", null],
  ["as long as it may be, in code points", field("long", { maxLength: 2 }), "😀😀", null],
  ["too long", field("long", { maxLength: 2 }), "😀😀a", "max_length", "2"],
  ["too little", field("number", { min: 1 }), 0, "min", "1"],
  ["nought", field("number", { max: 1, required: true }), 0, null],
  ["too much", field("number", { max: 1 }), 2, "max", "1"],
  ["half of a whole number", field("number", { integer: true }), 1.5, "type"],
  ["no number", field("number"), Number.NaN, "type"],
  ["no moment", field("time"), Number.NaN, "time"],
  ["none of the choices", field("choice", { choices: ["a"] }), "b", "choice"],
  ["more than a number holds", field("number", { integer: true }), 2 ** 53, "type"],
  ["no address", field("text", { format: "email" }), "ada", "format"],
  ["an address", field("text", { format: "email" }), "ada@example.org", null],
  ["no URL", field("text", { format: "uri" }), "example.org", "format"],
  ["against a pattern", field("text", { pattern: "^[a-z]+$" }), "A", "format"],
  [
    "a file of another kind",
    field("file", { accept: ["image/png"] }),
    new Blob(["a"], { type: "text/plain" }),
    "format",
  ],
  ["a file that is too large", field("file", { maxLength: 1 }), new Blob(["ab"]), "max_length", "1"],
])("%s", (_, of, given, code, limit) => {
  const found = checkFields([of], { it: given as string });
  expect(found).toEqual(code === null ? [] : [{ pointer: "/it", code, message: limit ?? code }]);
});

test("a path is filled in, and not without what it needs", () => {
  expect(fillPath("/api/desks/{id}/", { id: "a/b" })).toBe("/api/desks/a%2Fb/");
  expect(() => fillPath("/api/desks/{id}/", {})).toThrow("/api/desks/{id}/ needs a value for id.");
});
