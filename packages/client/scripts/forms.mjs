// From an OpenAPI document to what a form of one of its operations needs (src/form.ts): at build time, so that no page
// carries schemas.

const METHODS = ["get", "put", "post", "patch", "delete"];
const LONG = 200; // code points: more is written on several lines
const LABELS = ["title", "display_name", "name", "label", "username"];
const PLAIN = ["csrf_token", "next"]; // carried by forms that browsers post by themselves
const TEXT_FORMATS = ["email", "uri", "password", "decimal"];

function resolve(document, schema) {
  if (!schema?.$ref) return schema;
  const found = schema.$ref
    .replace(/^#\//, "")
    .split("/")
    .reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], document);
  if (!found) throw new Error(`${schema.$ref} is not in the document.`);
  return resolve(document, found);
}

/** The schema without null, and whether it may be null. */
function withoutNull(document, given) {
  const schema = resolve(document, given);
  const isNull = (one) => resolve(document, one).type === "null";
  for (const key of ["anyOf", "oneOf"]) {
    const rest = schema[key]?.filter((one) => !isNull(one));
    if (rest?.length === 1)
      return {
        schema: { ...resolve(document, rest[0]), ...schema, [key]: undefined },
        nullable: rest.length < schema[key].length,
      };
  }
  if (!Array.isArray(schema.type)) return { schema, nullable: false };
  const types = schema.type.filter((type) => type !== "null");
  return {
    schema: {
      ...schema,
      type: types.length === 1 ? types[0] : types,
      enum: schema.enum?.filter((c) => c !== null),
    },
    nullable: types.length < schema.type.length,
  };
}

const rowsOf = (document, path) => {
  const answer = resolve(document, document.paths[path]?.get?.responses?.["200"]);
  const list = resolve(document, answer?.content?.["application/json"]?.schema);
  return { row: list?.properties?.rows?.items, included: resolve(document, list?.properties?.included) };
};

/** Of a resource's field: the list at which the rows are that it refers to, and which of their fields says what each is.
 * A resource's page says so by the rows that it can include. */
function referenceOf(document, path, name) {
  const own = rowsOf(document, path.replace(/\{\w+\}\/$/, ""));
  const wanted = resolve(document, own.included?.properties?.[name])?.additionalProperties;
  if (!wanted) return null;
  const to = Object.keys(document.paths).find((other) => rowsOf(document, other).row?.$ref === wanted.$ref);
  const texts = Object.entries(resolve(document, wanted).properties)
    .filter(([field, schema]) => field !== "id" && withoutNull(document, schema).schema.type === "string")
    .map(([field]) => field);
  const label = LABELS.find((field) => texts.includes(field)) ?? texts[0];
  return to && label ? { kind: "reference", to, label } : null;
}

function textOf({ format, minLength, maxLength, pattern }) {
  const kind = !format && !pattern && maxLength > LONG ? "long" : "text";
  return { kind, format: TEXT_FORMATS.includes(format) ? format : undefined, pattern, minLength, maxLength };
}

/** null: no form can ask for it. */
function kindOf(schema, isMultipart, reference) {
  const { format, maxLength, contentMediaType, minimum: min, maximum: max } = schema;
  const types = [schema.type].flat();
  if (schema.enum) return { kind: "choice", choices: schema.enum.map(String) };
  if (isMultipart && (format === "binary" || contentMediaType))
    return { kind: "file", accept: contentMediaType?.split(/,\s*/), maxLength };
  if (types.includes("boolean")) return { kind: "boolean" };
  if (types.includes("string") && format === "date-time") return { kind: "time" };
  if (types.includes("string") && format === "uuid") return reference;
  if (types.includes("string")) return schema.contentEncoding ? null : textOf(schema);
  if (types.includes("integer")) return { kind: "number", integer: true, min, max };
  return types.includes("number") ? { kind: "number", min, max } : null;
}

function fieldOf(document, at, name, given, isRequired) {
  const { schema, nullable } = withoutNull(document, given);
  if (schema.readOnly) return null;
  const kind = kindOf(schema, at.isMultipart, referenceOf(document, at.path, name));
  if (!kind) return null;
  const { default: initial } = schema;
  // In a PATCH everything may be left out, but what is sent may not be empty; and what is left out stays as it was, which
  // nobody means who empties an input.
  const canBeEmpty =
    kind.kind === "file" || (["text", "long"].includes(kind.kind) && !(schema.minLength > 0));
  const isNeeded = isRequired || (at.method === "patch" && !canBeEmpty && !nullable);
  const field = {
    name,
    ...kind,
    required: (isNeeded && kind.kind !== "boolean") || undefined,
    nullable: nullable || undefined,
    default: initial === null || initial === "" ? undefined : initial,
  };
  return Object.fromEntries(Object.entries(field).filter(([, value]) => value !== undefined));
}

function find(document, operationId) {
  for (const [path, item] of Object.entries(document.paths))
    for (const method of METHODS)
      if (item[method]?.operationId === operationId) return { path, method, operation: item[method] };
  throw new Error(`There is no operation ${operationId} in the API.`);
}

/** The form of an operation. Throws when there is none, or when it needs what no form can ask for. */
export function describeForm(document, operationId) {
  const { path, method, operation } = find(document, operationId);
  const content = resolve(document, operation.requestBody)?.content ?? {};
  const isMultipart = !content["application/json"] && Boolean(content["multipart/form-data"]);
  const body = resolve(document, (content["application/json"] ?? content["multipart/form-data"])?.schema);
  if (!["post", "put", "patch"].includes(method) || !body?.properties)
    throw new Error(`${operationId} takes no fields: there can be no form for it.`);
  const required = body.required ?? [];
  const isPlainToo = Boolean(content["application/x-www-form-urlencoded"]);
  const fields = Object.entries(body.properties)
    .filter(([name]) => !isPlainToo || !PLAIN.includes(name))
    .map(([name, schema]) =>
      fieldOf(document, { path, method, isMultipart }, name, schema, required.includes(name)),
    )
    .filter((field) => field !== null);
  const lost = required.filter((name) => !fields.some((field) => field.name === name));
  if (lost.length > 0)
    throw new Error(`${operationId} needs ${lost.join(", ")}, which no form can ask for. Write one by hand.`);
  return { method: method.toUpperCase(), path, ...(isMultipart ? { multipart: true } : {}), fields };
}
