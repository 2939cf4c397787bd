/* Files of a form that waits: kept as text inside their write, so that any storage can hold them, and put together again
 * with the same bytes at every attempt, so that the backend knows the write by its key. */

import type { KeptFile, Mutation } from "../types";

const BYTES_MAX = 8 * 1024 * 1024;
const SLICE = 0x8000;

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += SLICE) text += String.fromCharCode(...bytes.subarray(i, i + SLICE));
  return btoa(text);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

/** null: too large to be kept, or not readable: changed since it was chosen, say. Of several files under one name the
 * last counts. */
export async function keepFiles(form: FormData): Promise<Record<string, KeptFile> | null> {
  const found = new Map<string, File>();
  form.forEach((value, field) => {
    if (typeof value !== "string") found.set(field, value);
  });
  const size = [...found.values()].reduce((sum, file) => sum + file.size, 0);
  if (size > BYTES_MAX) return null;
  const files: Record<string, KeptFile> = {};
  try {
    for (const [field, file] of found) {
      const base64 = toBase64(new Uint8Array(await file.arrayBuffer()));
      files[field] = { name: file.name, type: file.type, base64 };
    }
  } catch {
    return null;
  }
  return files;
}

const quoted = (text: string) =>
  text.replace(/[\r\n"]/g, (char) => (char === '"' ? "%22" : char === "\r" ? "%0D" : "%0A"));

/** The form of a write that has one: a multipart body whose boundary is the write's own. null: it has none. */
export function formOf({ key, body, files }: Mutation): Blob | null {
  if (!files) return null;
  const parts: BlobPart[] = [];
  for (const [field, value] of Object.entries(body ?? {}))
    parts.push(`--${key}\r\nContent-Disposition: form-data; name="${quoted(field)}"\r\n\r\n${value}\r\n`);
  for (const [field, { name, type, base64 }] of Object.entries(files)) {
    const head = `Content-Disposition: form-data; name="${quoted(field)}"; filename="${quoted(name)}"`;
    const kind = `Content-Type: ${type || "application/octet-stream"}`;
    parts.push(`--${key}\r\n${head}\r\n${kind}\r\n\r\n`, fromBase64(base64), "\r\n");
  }
  parts.push(`--${key}--\r\n`);
  return new Blob(parts, { type: `multipart/form-data; boundary=${key}` });
}
