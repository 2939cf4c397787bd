// .br and .gz beside what the backend serves as files, so that nothing is compressed twice.
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { filesBelow } from "./worker.mjs";

const COMPRESSED = /\.(js|css|html|svg|json|webmanifest|txt)$/;
const SMALLEST = 1024;

export function compress(folder) {
  for (const file of filesBelow(folder).map((name) => join(folder, name))) {
    if (!COMPRESSED.test(file) || statSync(file).size < SMALLEST) continue;
    const bytes = readFileSync(file);
    writeFileSync(
      `${file}.br`,
      brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 10 } }),
    );
    writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
  }
}
