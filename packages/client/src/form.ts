/* Forms of an API: what an operation takes, field by field, as packages/client/scripts/forms.mjs writes it from the request
 * body's schema (generated/forms.ts), and what can be said of the fields' values before they are sent.
 *
 * Without React and without words: a check answers with the codes and pointers that the backend would have answered with, so
 * both are shown in one way. The backend checks again; what only it can know (a name that is taken) comes from there. */
import type { FieldProblem } from "./types";

export interface FormField {
  name: string;
  /** long: text of several lines · time: a moment, shown in the reader's zone · reference: the id of a row at `to`. */
  kind: "text" | "long" | "number" | "boolean" | "choice" | "time" | "reference" | "file";
  /** Text: email, uri, password, decimal. */
  format?: string;
  /** Text: a regular expression that it matches. */
  pattern?: string;
  required?: boolean;
  /** Left empty it is null. */
  nullable?: boolean;
  /** Numbers. */
  integer?: boolean;
  min?: number;
  max?: number;
  /** Text in code points, files in bytes. */
  minLength?: number;
  maxLength?: number;
  choices?: readonly string[];
  /** Files: media types. */
  accept?: readonly string[];
  default?: string | number | boolean;
  /** The list of the rows that can be referred to, and which of their fields says what each is. */
  to?: string;
  label?: string;
}

export interface Form {
  method: "POST" | "PUT" | "PATCH";
  /** With {parameters}. */
  path: string;
  /** Sent as multipart/form-data. */
  multipart?: boolean;
  fields: readonly FormField[];
}

export type FormValue = string | number | boolean | null | undefined | Blob;

/** An input as far as it matters here; badInput: a number or a time that the browser cannot read. */
interface Input {
  type?: string;
  value: string;
  checked?: boolean;
  files?: ArrayLike<File> | null;
  validity?: { badInput: boolean };
}

/** What an input holds, as it is sent; undefined: nothing is. NaN: what cannot be read. given: what it held at first; a moment
 * that still looks like it is that one, whose seconds are not shown. */
export function readInput(field: FormField, input: Input, given?: unknown): FormValue {
  if (field.kind === "boolean") return input.checked ?? false;
  if (field.kind === "file") return input.files?.[0];
  const text = input.type === "password" ? input.value : input.value.trim();
  if (input.validity?.badInput) return Number.NaN;
  if (text === "") return field.nullable ? null : mayBeEmpty(field) ? "" : undefined;
  if (field.kind === "number") return Number(text);
  if (field.kind === "time") {
    if (typeof given === "string" && text === showValue(field, given)) return given;
    const time = new Date(text);
    return Number.isNaN(time.getTime()) ? Number.NaN : time.toISOString();
  }
  return text;
}

/** What is shown of a value that the backend gave. */
export function showValue(field: FormField, value: unknown): string {
  if (value === null || value === undefined) return "";
  return field.kind === "time" ? localTime(String(value)) : String(value);
}

const mayBeEmpty = (field: FormField) =>
  isText(field) && !field.required && !field.minLength && !field.pattern;
const isText = ({ kind }: FormField) => kind === "text" || kind === "long";

/** 2026-03-01T12:00:00Z as an input of a local time has it. */
function localTime(text: string): string {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return "";
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** The first thing that is wrong with a value: a code of the backend's, and the limit that it is about. */
function wrongWith(field: FormField, value: FormValue): [code: string, limit?: number] | null {
  const { kind, min, max, minLength = 0, maxLength } = field;
  if (typeof value === "number" && Number.isNaN(value)) return [kind === "time" ? "time" : "type"];
  if (value === undefined || value === null || value === "")
    return field.required && !(value === null && field.nullable) ? ["required"] : null;
  if (typeof value === "number") {
    if (field.integer && !Number.isSafeInteger(value)) return ["type"];
    if (min !== undefined && value < min) return ["min", min];
    if (max !== undefined && value > max) return ["max", max];
  }
  if (value instanceof Blob) {
    if (field.accept && !field.accept.includes(value.type)) return ["format"];
    if (maxLength !== undefined && value.size > maxLength) return ["max_length", maxLength];
  }
  if (typeof value === "string" && isText(field)) {
    const length = [...value].length;
    if (length < minLength) return ["min_length", minLength];
    if (maxLength !== undefined && length > maxLength) return ["max_length", maxLength];
    if (!looksLike(field, value)) return ["format"];
  }
  if (field.choices && !field.choices.includes(String(value))) return ["choice"];
  return null;
}

/** Wider than the backend's own check: what it lets through is for the backend to refuse. */
function looksLike({ format, pattern }: FormField, text: string): boolean {
  if (format === "email" && !/^[^\s@]+@[^\s@]+$/.test(text)) return false;
  if (format === "uri" && !/^[a-z][a-z0-9+.-]*:\/\/\S+$/i.test(text)) return false;
  return !pattern || new RegExp(pattern, "u").test(text);
}

/** What is wrong with the fields, in the words of a problem document: pointers and codes. */
export function checkFields(fields: readonly FormField[], values: Record<string, FormValue>): FieldProblem[] {
  const problems: FieldProblem[] = [];
  for (const field of fields) {
    const wrong = wrongWith(field, values[field.name]);
    if (wrong)
      problems.push({ pointer: `/${field.name}`, code: wrong[0], message: String(wrong[1] ?? wrong[0]) });
  }
  return problems;
}

/** A path with its parameters filled in. Throws when one is missing. */
export function fillPath(path: string, params: Readonly<Record<string, string>>): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name];
    if (!value) throw new Error(`${path} needs a value for ${name}.`);
    return encodeURIComponent(value);
  });
}

/** What is sent: JSON, or a form when there are files in it. */
export function bodyOf(form: Form, values: Record<string, FormValue>): FormData | Record<string, unknown> {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  if (!form.multipart) return Object.fromEntries(given);
  const body = new FormData();
  for (const [name, value] of given)
    if (value instanceof Blob) body.set(name, value);
    else if (value !== null) body.set(name, String(value));
  return body;
}
