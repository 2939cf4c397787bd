// blocks.ts: the code blocks of a page, and what their info strings say is to be done with them:
//
//   ```c file=back/a.c                the block is this file
//   ```c insert=back/a.c before="x"   it goes into that file, in front of the line that has x (or after="x")
//   ```sh run                         it is run in the folder, and must succeed
//   ```text output                    what the run before has printed; "…" stands for anything
//   ```sh serve                       it is left running until the next one, or the end of the page
//   ```c after=<preamble>             see compile.ts; likewise ```tsx after=<preamble>
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../server.ts";

export interface Block {
  language: string;
  word: string; // "run", "serve", "output", or nothing
  values: Record<string, string>; // file=… before="…"
  text: string;
  line: number; // of its first line in the page
  indent: number;
}

export function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  const lines = readFileSync(join(root, page), "utf8").split("\n");
  for (let i = 0; i < lines.length; i++) {
    const opening = /^(\s*)```(\w*)(.*)$/.exec(lines[i] ?? "");
    if (!opening) continue;
    const [, space = "", language = "", info = ""] = opening;
    const end = lines.findIndex((line, index) => index > i && line.trim() === "```");
    if (end < 0) throw new Error(`${page}:${i + 1}: this block has no end`);
    const values: Record<string, string> = {};
    const rest = info.replace(/(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S+))/g, (_, name, quoted, plain) => {
      values[name] = quoted?.replace(/\\(.)/g, "$1") ?? plain;
      return "";
    });
    const text = lines
      .slice(i + 1, end)
      .map((line) => line.slice(space.length))
      .join("\n");
    blocks.push({
      language,
      word: rest.trim(),
      values,
      text: `${text}\n`,
      line: i + 2,
      indent: space.length,
    });
    i = end;
  }
  return blocks;
}
