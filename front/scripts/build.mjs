// Builds both targets one after the other (they share Next's scratch folder), then puts .br and .gz beside what the
// backend serves as files, so that nothing is compressed twice.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { writePublic } from "./public.mjs";

const front = dirname(import.meta.dirname);
const COMPRESSED = /\.(js|css|html|svg|json|webmanifest|txt)$/;
const SMALLEST = 1024;

function build(target) {
  const environment = {
    ...process.env,
    NODE_ENV: "production",
    NEXT_TELEMETRY_DISABLED: "1",
    APP_TARGET: target,
  };
  const next = join(dirname(front), "node_modules/next/dist/bin/next");
  const { status } = spawnSync(process.execPath, [next, "build"], {
    cwd: front,
    env: environment,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function compress(folder) {
  for (const file of filesBelow(folder)) {
    if (!COMPRESSED.test(file) || statSync(file).size < SMALLEST) continue;
    const bytes = readFileSync(file);
    writeFileSync(
      `${file}.br`,
      brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 10 } }),
    );
    writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
  }
}

await writePublic();
// Next's cache does not notice a changed loader; the export leaves its scratch behind.
const remove = (folder) => rmSync(join(front, folder), { recursive: true, force: true });
remove("dist/server/cache");
remove(".next");
for (const target of ["server", "export"]) build(target);
remove(".next");
for (const folder of ["dist/server/static", "dist/app/_next"]) compress(join(front, folder));
