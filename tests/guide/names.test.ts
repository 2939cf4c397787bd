// names.test.ts: what the pages name is there: make's targets and variables, filters of suites, commands and options of the
// program, files. (Tutorial and how-to pages are followed in guide.test.ts; C and TypeScript are compiled in compile.test.ts.)
import assert from "node:assert/strict";
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeFolder, removeFolder, root, run } from "../server.ts";
import { blocksOf } from "./blocks.ts";

const pages = [
  "README.md",
  "CONTRIBUTING.md",
  "deploy/server/README.md",
  ...["guide", "reference", "howto", "tutorial", "why"].flatMap((folder) =>
    readdirSync(join(root, "docs", folder)).map((name) => `docs/${folder}/${name}`),
  ),
];

interface Code {
  text: string; // a `span`, or a line of a block of shell without its comment
  where: string;
}

const codes: Code[] = pages.flatMap((page) => {
  const text = readFileSync(join(root, page), "utf8");
  const spans = text
    .replace(/^ *```.*\n[\s\S]*?^ *```/gm, (block) => block.replace(/[^\n]/g, ""))
    .split("\n")
    .flatMap((line, index) =>
      [...line.matchAll(/`([^`]+)`/g)].map((found) => ({
        text: found[1] as string,
        where: `${page}:${index + 1}`,
      })),
    );
  const lines = blocksOf(page)
    .filter(({ language }) => ["", "sh"].includes(language))
    .flatMap((block) =>
      block.text.split("\n").map((line, index) => ({
        text: line.replace(/(^| )#.*/, "").trim(),
        where: `${page}:${block.line + index}`,
      })),
    );
  return [...spans, ...lines];
});

const found = (pattern: RegExp) =>
  codes.flatMap(({ text, where }) => [...text.matchAll(pattern)].map((words) => ({ words, where })));

// The places at which `right` does not hold of what the pattern finds; that it finds `least` shows that it can.
function wrong(pattern: RegExp, least: number, right: (words: RegExpExecArray) => boolean): string[] {
  const all = found(pattern);
  assert.ok(all.length >= least, `only ${all.length}: ${all.map(({ words }) => words[0])}`);
  return all.filter(({ words }) => !right(words)).map(({ words, where }) => `${where}: ${words[0]}`);
}

const makefile = readFileSync(join(root, "Makefile"), "utf8");

test("every target and variable of make", () => {
  const targets = new Set([...makefile.matchAll(/^([a-z][a-z0-9_]*):/gm)].map((one) => one[1]));
  const knows = (word: string) =>
    word.includes("=") ? makefile.includes(word.slice(0, word.indexOf("="))) : targets.has(word);
  const words = (line: RegExpExecArray) => (line[1] as string).trim().split(/ +/);
  assert.deepEqual(
    wrong(/^make((?: [^ &|]+)+)/g, 40, (line) => words(line).every(knows)),
    [],
  );
});

test("every filter leads to a suite", () => {
  const runner = readFileSync(join(root, "tools/run-tests"), "utf8");
  const suites = [...runner.matchAll(/^ *suite ([a-z-]+)/gm)].map((one) => one[1] as string);
  const programs = globSync("{stack,back}/**/*_test.c", { cwd: root });
  assert.ok(suites.length > 10 && programs.length > 20);
  const units = programs.flatMap((path) => {
    const name = `unit/${path.replace(/.*\//, "").replace(/\.c$/, "")}`;
    return [name, `${name}-postgres`];
  });
  const names = [...suites, ...units];
  assert.deepEqual(
    wrong(/\bFILTER=([\w/-]+)/g, 5, ([, filter]) => names.some((name) => name.includes(filter as string))),
    [],
  );
});

test("every command of the program, with its options", () => {
  const folder = makeFolder();
  try {
    const commands = [...run(folder, ["--help"]).matchAll(/^ {2}([a-z-]+) /gm)].map((one) => one[1]);
    assert.ok(commands.includes("serve"));
    const told = new Map<string, string>();
    const right = ([, command = "", rest = ""]: RegExpExecArray) => {
      if (!commands.includes(command)) return false;
      if (!told.has(command)) told.set(command, run(folder, [command, "--help"]));
      return [...rest.matchAll(/ \[?(--[a-z-]+)/g)].every(([, option]) =>
        told.get(command)?.includes(option as string),
      );
    };
    assert.deepEqual(wrong(/(?:^|\/)chat ([a-z][a-z-]*)((?: [^ `|&;]+)*)/g, 15, right), []);
  } finally {
    removeFolder(folder);
  }
});

// What somebody who follows a page makes, what is built, and examples.
const made =
  /^(build|back\/data|deploy\/packages|back\/(notes|todo)|files|helm\/production-values\.yaml|front\/(android|ios|dist|build\.log|torch|google-services|pages\/(notes|todo)))\b/;
const bases = [
  "",
  "front",
  "front/pages",
  "front/src",
  "packages/client",
  "stack",
  "stack/include",
  "docs/guide",
];
const ending = /\.(c|h|ts|tsx|mjs|js|css|md|yaml|json|sh|svg|service|socket)$/;
const folders = new Set(
  readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name),
);

function isThere(path: string): boolean {
  const plain = path.replace(/<\w+>/g, "*").replace(/^stack\/(?=build|front|node_modules|tools)/, ""); // the tutorial's link
  return bases.some(
    (base) => existsSync(join(root, base, plain)) || globSync(plain, { cwd: join(root, base) }).length > 0,
  );
}

test("every file and folder", () => {
  const path = /(?<![\w./:$~*-])(?:\.github|[\w@-]+)(?:\/[\w.@[\]{},*<>-]+)+\/?/g;
  const right = ([words]: RegExpExecArray) => {
    const name = (words as string).replace(/[.,>]+$/, "");
    const ours = folders.has(name.slice(0, name.indexOf("/"))) || ending.test(name);
    return !ours || made.test(name) || isThere(name) || isThere(name.replace(/^deploy\//, "deploy/server/"));
  };
  assert.deepEqual(wrong(path, 150, right), []);
});

test("the patterns find what is wrong", () => {
  assert.equal(isThere("stack/no_such_room/"), false);
  assert.equal(isThere("stack/*/"), true);
  assert.equal(isThere("stack/include/tims/<room>.h"), true);
});
