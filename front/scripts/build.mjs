// Makes the pictures and the manifest, builds both targets one after the other (they share Next's scratch folder) and the
// service worker from what they are, then puts .br and .gz beside what the backend serves as files, so that nothing is
// compressed twice.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { compress } from "./compress.mjs";
import { writePublic } from "./public.mjs";
import { filesBelow, writeWorker } from "./worker.mjs";

const front = dirname(import.meta.dirname);
/** In these folders by our own hand, not sources. */
const MADE =
  /^front\/(public\/(icons\/|favicon\.ico|manifest\.webmanifest|worker\.js)|next-env\.d\.ts|.*\.tsbuildinfo)/;

/** The same sources have the same name, so that only a build in which something changed is a new version. */
function nameBuild() {
  const root = dirname(front);
  const hash = createHash("sha256");
  const sources = [
    ...["front", "packages/client/src"].flatMap((folder) =>
      filesBelow(join(root, folder), /^(dist|\.next|node_modules|android|ios|test)$/).map((file) =>
        join(folder, file),
      ),
    ),
    "package-lock.json",
  ];
  for (const file of sources.filter((name) => !MADE.test(name)))
    hash
      .update(file)
      .update("\0")
      .update(readFileSync(join(root, file)));
  const settings = Object.entries(process.env).filter(([name]) => name.startsWith("NEXT_PUBLIC_"));
  return hash.update(JSON.stringify(settings.sort())).digest("hex").slice(0, 16);
}

function build(target, name) {
  const environment = {
    ...process.env,
    NODE_ENV: "production",
    NEXT_TELEMETRY_DISABLED: "1",
    APP_TARGET: target,
    TIMS_BUILD: name,
  };
  const next = join(dirname(front), "node_modules/next/dist/bin/next");
  const { status } = spawnSync(process.execPath, [next, "build"], {
    cwd: front,
    env: environment,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}

await writePublic();
// Next's cache does not notice a changed loader; the export leaves its scratch behind.
const remove = (folder) => rmSync(join(front, folder), { recursive: true, force: true });
remove("dist/server/cache");
remove(".next");
const name = nameBuild();
for (const target of ["server", "export"]) build(target, name);
remove(".next");
writeWorker(name);
for (const folder of ["dist/server/static", "dist/app/_next"]) compress(join(front, folder));
