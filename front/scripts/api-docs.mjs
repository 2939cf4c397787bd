// The pages about the API: Swagger UI and Redoc from their packages, with the little that starts them, into
// dist/api-docs, where the backend serves them at /api/docs/ and /api/redoc/. Nothing is loaded from elsewhere.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { compress } from "./compress.mjs";

const front = dirname(import.meta.dirname);
const made = join(front, "dist/api-docs");
const stamp = join(made, ".built");
const sources = [
  join(dirname(front), "package-lock.json"),
  import.meta.filename,
  join(front, "api-docs/index.html"),
  ...["docs", "redoc"].flatMap((folder) =>
    readdirSync(join(front, "api-docs", folder)).map((name) => join(front, "api-docs", folder, name)),
  ),
];
const find = createRequire(import.meta.url).resolve;
const swagger = dirname(find("swagger-ui-dist/package.json"));

const isFresh = () =>
  existsSync(stamp) && sources.every((file) => statSync(file).mtimeMs < statSync(stamp).mtimeMs);

// Redoc asks a stranger for the picture beside its name, and has no option not to: the picture is an empty one, which it leaves out.
const LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg";
function withoutLogo(script) {
  const parts = script.split(LOGO);
  if (parts.length !== 2) throw new Error(`redoc asks ${parts.length - 1} times for ${LOGO}, not once.`);
  return parts.join("data:,");
}

/** One page for both: page.css, viewer.js and init.js beside it. */
function make(folder, viewer, css) {
  const [from, to] = [join(front, "api-docs", folder), join(made, folder)];
  mkdirSync(to, { recursive: true });
  copyFileSync(join(front, "api-docs/index.html"), join(to, "index.html"));
  copyFileSync(join(from, "init.js"), join(to, "init.js"));
  writeFileSync(join(to, "page.css"), css + readFileSync(join(from, "page.css"), "utf8"));
  writeFileSync(join(to, "viewer.js"), viewer);
}

if (!isFresh()) {
  rmSync(made, { recursive: true, force: true });
  const text = (path) => readFileSync(path, "utf8");
  make("docs", text(join(swagger, "swagger-ui-bundle.js")), text(join(swagger, "swagger-ui.css")));
  make("redoc", withoutLogo(text(find("redoc/bundles/redoc.standalone.js"))), "");
  compress(made);
  writeFileSync(stamp, "");
}
