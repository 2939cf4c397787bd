// The front end's types are the backend's: what is generated is what it says, and a change there is an error when compiling.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

const ROOT = join(import.meta.dirname, "../..");
const GENERATED = join(ROOT, "packages/client/src/generated");
const PROGRAM = process.env.TIMS_PROGRAM ?? join(ROOT, "build/release/chat");

let folder: string;
let schema: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "tims-types-"));
  const said = spawnSync(PROGRAM, ["openapi"], { cwd: folder, encoding: "utf8", maxBuffer: 1 << 26 });
  assert.equal(said.status, 0, said.stderr);
  schema = said.stdout;
});
after(() => rmSync(folder, { recursive: true }));

function check(generated: string) {
  const env = { ...process.env, TIMS_PROGRAM: PROGRAM, TIMS_GENERATED: generated };
  return spawnSync("tools/types", ["check"], { cwd: ROOT, env, encoding: "utf8" });
}

function generate(
  name: string,
  document: string,
  sources: string[] = [join(ROOT, "front/src"), join(ROOT, "front/pages")],
) {
  const to = join(folder, name);
  mkdirSync(to);
  writeFileSync(join(to, "openapi.json"), document);
  const script = join(ROOT, "packages/client/scripts/types.mjs");
  const args = [script, join(to, "openapi.json"), join(to, "generated"), ...sources];
  return { to, ...spawnSync(process.execPath, args, { encoding: "utf8" }) };
}

/** What the compiler says of the front end with these types; inside the repository, for its packages. */
function compile(generated: string): string {
  const at = mkdtempSync(join(ROOT, "front/.types-"));
  try {
    cpSync(generated, join(at, "generated"), { recursive: true });
    const forms = join(at, "generated/forms.ts"); // its own import is from beside it
    writeFileSync(forms, readFileSync(forms, "utf8").replace('"../form"', '"@tims/client/form"'));
    const paths = {
      "@/*": ["../src/*"],
      "@tims/client/generated": ["./generated/api.ts"],
      "@tims/client/generated/forms": ["./generated/forms.ts"],
    };
    const config = { extends: "../tsconfig.json", compilerOptions: { paths, incremental: false } };
    const include = ["../next-env.d.ts", "../pages/**/*", "../src/**/*"];
    writeFileSync(join(at, "tsconfig.json"), JSON.stringify({ ...config, include, exclude: [] }));
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const ran = spawnSync(process.execPath, [tsc, "--noEmit", "-p", at], { cwd: ROOT, encoding: "utf8" });
    assert.equal(ran.error, undefined);
    return ran.stdout;
  } finally {
    rmSync(at, { recursive: true });
  }
}

test("what is generated is what the backend says", () => {
  const { status, stderr } = check(GENERATED);
  assert.equal(stderr, "");
  assert.equal(status, 0);
});

test("where it is not, the check names what differs and how to renew it", () => {
  const stale = join(folder, "stale");
  cpSync(GENERATED, stale, { recursive: true });
  const api = join(stale, "api.ts");
  writeFileSync(api, readFileSync(api, "utf8").replace("last_message_at: string", "last_said_at: string"));
  const { status, stderr } = check(stale);
  assert.equal(status, 1);
  assert.match(stderr, /^< .*last_said_at: string/m);
  assert.match(stderr, /^> .*last_message_at: string/m);
  assert.match(stderr, /Run: npm run types/);
});

test("the front end compiles with the types as they are", () => {
  const { to, status, stderr } = generate("same", schema);
  assert.equal(status, 0, stderr);
  assert.equal(compile(join(to, "generated")), "");
});

test("a field that is renamed in the backend breaks the front end's build where it is used", () => {
  const document = JSON.parse(schema);
  const { properties, required } = document.components.schemas.Message;
  properties.words = properties.text;
  delete properties.text;
  required[required.indexOf("text")] = "words";
  const { to, status, stderr } = generate("renamed", JSON.stringify(document));
  assert.equal(status, 0, stderr);
  const said = compile(join(to, "generated"));
  assert.match(said, /src\/chat\/MessageList\.tsx\(\d+,\d+\): error TS\d+: Property 'text' does not exist/);
});

test("a field of a form that is renamed breaks the build of its page", () => {
  const document = JSON.parse(schema);
  const { requestBody } = document.paths["/api/auth/me/"].patch;
  const name = requestBody.content["application/json"].schema.$ref.split("/").at(-1);
  const { properties } = document.components.schemas[name];
  properties.called = properties.display_name;
  delete properties.display_name;
  const { to, status, stderr } = generate("form", JSON.stringify(document));
  assert.equal(status, 0, stderr);
  assert.match(
    compile(join(to, "generated")),
    /pages\/profile\.tsx\(\d+,\d+\): error TS2322: .*display_name/,
  );
});

test("a form of an operation that is not there is refused by name, with the file that shows it", () => {
  const sources = join(folder, "sources");
  mkdirSync(sources);
  for (const [operation, why] of [
    ["updateNothing", "There is no operation updateNothing in the API"],
    ["listMessages", "listMessages takes no fields"],
  ]) {
    writeFileSync(join(sources, "Page.tsx"), `export const a = <AutoForm operation="${operation}" />;`);
    const { status, stderr } = generate(`not-${operation}`, schema, [sources]);
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^types: .*Page\\.tsx: ${why}`));
  }
});

test("only the file that says something else is written, so that nobody who watches is woken for nothing", () => {
  const generated = join(folder, "watched");
  cpSync(GENERATED, generated, { recursive: true });
  writeFileSync(join(generated, "forms.ts"), "old");
  for (const name of ["api.ts", "forms.ts"]) utimesSync(join(generated, name), 1, 1);
  const env = { ...process.env, TIMS_PROGRAM: PROGRAM, TIMS_GENERATED: generated };
  const ran = spawnSync("tools/types", [], { cwd: ROOT, env, encoding: "utf8" });
  assert.equal(ran.status, 0, ran.stderr);
  assert.equal(statSync(join(generated, "api.ts")).mtimeMs, 1000);
  assert.equal(
    readFileSync(join(generated, "forms.ts"), "utf8"),
    readFileSync(join(GENERATED, "forms.ts"), "utf8"),
  );
});
