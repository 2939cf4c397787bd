// The pages about the API: Swagger UI and Redoc from their packages, with the little that starts them, into
// dist/api-docs, where the backend serves them at /api/docs/ and /api/redoc/. Nothing is loaded from elsewhere.
import { copyFileSync, cpSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { compress } from "./compress.mjs";

const front = dirname(import.meta.dirname);
const made = join(front, "dist/api-docs");
const stamp = join(made, ".built");
const sources = [
  join(dirname(front), "package-lock.json"),
  import.meta.filename,
  ...["docs", "redoc"].flatMap((folder) =>
    readdirSync(join(front, "api-docs", folder)).map((name) => join(front, "api-docs", folder, name)),
  ),
];
const find = createRequire(import.meta.url).resolve;
const swagger = dirname(find("swagger-ui-dist/package.json"));

const isFresh = () =>
  existsSync(stamp) && sources.every((file) => statSync(file).mtimeMs < statSync(stamp).mtimeMs);

if (!isFresh()) {
  rmSync(made, { recursive: true, force: true });
  cpSync(join(front, "api-docs"), made, { recursive: true });
  for (const name of ["swagger-ui.css", "swagger-ui-bundle.js"])
    copyFileSync(join(swagger, name), join(made, "docs", name));
  copyFileSync(find("redoc/bundles/redoc.standalone.js"), join(made, "redoc/redoc.standalone.js"));
  compress(made);
  writeFileSync(stamp, "");
}
