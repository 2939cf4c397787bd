// The pages for a native shell: the export without what only a web server needs, told which shell it is in.
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { filesBelow } from "../worker.mjs";

/** Compressed copies are for servers; a shell has its files already, so it needs no service worker. */
const ONLY_WEB = /\.(br|gz)$|(^|\/)(worker\.js|manifest\.webmanifest)$/;
const SCRIPT = '<script src="/app.js"></script>';

/** From the export's folder into `to`, which is made anew. `shell`: what the pages find as timsApp. */
export function writeShell(from, to, shell) {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true, filter: (name) => !ONLY_WEB.test(name) });
  writeFileSync(join(to, "app.js"), `globalThis.timsApp = ${JSON.stringify(shell)};\n`);
  for (const file of filesBelow(to).filter((name) => name.endsWith(".html"))) {
    const html = readFileSync(join(to, file), "utf8");
    if (!/<head[^>]*>/.test(html)) throw new Error(`${file} has no <head>`);
    writeFileSync(
      join(to, file),
      html.replace(/<head[^>]*>/, (head) => head + SCRIPT).replace(/<link rel="manifest"[^>]*>/, ""),
    );
  }
}
