// Changes to files of Capacitor's templates. Each names what it looks for, so that another template is an error and not
// an app that lacks something.
import { readFileSync, writeFileSync } from "node:fs";

/** `edits`: pairs of what is looked for (a text, or an expression) and what takes its place. */
export function editFile(file, edits) {
  let text = readFileSync(file, "utf8");
  for (const [from, to] of edits) {
    const found = typeof from === "string" ? text.includes(from) : from.test(text);
    if (!found) throw new Error(`${file}: the template has changed, there is no ${from}`);
    text = typeof from === "string" ? text.replace(from, () => to) : text.replace(from, to);
  }
  writeFileSync(file, text);
}

export const escapeXml = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
