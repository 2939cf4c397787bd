// types.mjs DOCUMENT FOLDER [SOURCES…]: writes api.ts, the types of an OpenAPI document, and forms.ts, what the forms need
// that the sources show (<AutoForm operation="…">), into FOLDER.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import openapiTS, { astToString } from "openapi-typescript";
import { describeForm } from "./forms.mjs";

const HEAD =
  "/* Written by tools/types from the backend's descriptors. Not to be edited: `npm run types` writes it anew. */\n";

function operationsIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".tsx"))
    .flatMap((entry) => {
      const file = join(entry.parentPath, entry.name);
      const text = readFileSync(file, "utf8");
      return [...text.matchAll(/<AutoForm\s[^<]*?\boperation="(\w+)"/g)].map(([, name]) => ({ file, name }));
    });
}

function formsOf(document, sources) {
  const uses = new Map(sources.flatMap(operationsIn).map(({ file, name }) => [name, file]));
  return [...uses]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, file]) => {
      try {
        return `  ${name}: ${JSON.stringify(describeForm(document, name))},\n`;
      } catch (error) {
        throw new Error(`${file}: ${error.message}`);
      }
    });
}

const [documentPath, folder, ...sources] = process.argv.slice(2);
if (!folder) throw new Error("types.mjs DOCUMENT FOLDER [SOURCES…]");
try {
  const document = JSON.parse(readFileSync(documentPath, "utf8"));
  // A default is what the backend puts in; it is not asked for.
  const api = astToString(await openapiTS(document, { alphabetize: true, defaultNonNullable: false }));
  const forms = formsOf(document, sources);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "api.ts"), HEAD + api);
  writeFileSync(
    join(folder, "forms.ts"),
    `${HEAD}import type { Form } from "../form";\n\nexport const forms = {\n${forms.join("")}} as const satisfies Record<string, Form>;\n`,
  );
} catch (error) {
  console.error(`types: ${error.message}`);
  process.exitCode = 1;
}
