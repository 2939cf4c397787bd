// compile.test.ts: the blocks of docs/guide. C and TypeScript of a page must compile; what a block leaves out stands in
// context/: for C in a file of the page's name, for TypeScript in the one that the block names.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { root } from "../server.ts";
import { type Block, blocksOf } from "./blocks.ts";

const folder = join(root, "build/guide"); // below the root, where the packages are found
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

const pages = readdirSync(join(root, "docs/guide"))
  .filter((name) => name.endsWith(".md"))
  .sort();
const contextOf = (name: string) => join(import.meta.dirname, "context", name);

function write(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

function run(command: string, args: string[]): void {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: "utf8" });
  assert.equal(status, 0, `${stdout}${stderr}`);
}

function compile(...sources: string[]): void {
  const warnings = ["-Wall", "-Wextra", "-Werror", "-Wno-unused", "-Wno-missing-field-initializers"];
  const includes = ["-I", join(root, "stack/include"), "-I", folder];
  run("cc", ["-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", ...warnings, ...includes, ...sources]);
}

// One translation unit: the page's context, then its blocks in their order, each at its own line of the page.
function unitOf(page: string, blocks: Block[]): string {
  const context = contextOf(page.replace(".md", ".c"));
  const [before = "", inside = ""] = existsSync(context)
    ? readFileSync(context, "utf8").split("/* in functions */\n")
    : ["#include <tims.h>\n"];
  const parts = blocks.map((block) => {
    const text = `#line ${block.line} "docs/guide/${page}"\n${block.text}`;
    if (block.values.in !== "function") return text;
    return `void block_${block.line}(tims_request *rq, tims_run *run)\n{\n${inside}${text}}\n`;
  });
  return before + parts.join("");
}

for (const page of pages) {
  const blocks = blocksOf(`docs/guide/${page}`).filter(({ language }) => language === "c");
  if (blocks.length === 0) continue;
  test(`${page}: its C compiles`, () => {
    const files = blocks.filter(({ values }) => values.file);
    const written = files.map(({ values, text }) => write(values.file as string, text));
    const unit = write(
      page.replace(".md", ".c"),
      unitOf(
        page,
        blocks.filter(({ values }) => !values.file),
      ),
    );
    compile(unit, ...written.filter((name) => name.endsWith(".c")));
  });
}

test("TypeScript of all pages has the types it says", () => {
  let count = 0;
  for (const page of pages)
    for (const block of blocksOf(`docs/guide/${page}`)) {
      if (!["ts", "tsx"].includes(block.language)) continue;
      const { context } = block.values;
      const around = context ? readFileSync(contextOf(`${context}.tsx`), "utf8") : "/* here */\nexport {};\n";
      write(
        `${basename(page, ".md")}-line-${block.line}.tsx`,
        around.replace("/* here */", () => block.text),
      );
      count++;
    }
  assert.ok(count >= 8, `only ${count} blocks`);
  const options = {
    extends: "../../front/tsconfig.json",
    compilerOptions: {
      paths: { "@/*": ["../../front/src/*"] },
      noUnusedLocals: false,
      noUnusedParameters: false,
      incremental: false,
    },
    include: ["*.tsx"],
    exclude: [],
  };
  write("tsconfig.json", JSON.stringify(options));
  run(join(root, "node_modules/.bin/tsc"), ["--noEmit", "-p", folder]);
});
