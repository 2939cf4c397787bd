import { gzipSync } from "node:zlib";
import { build } from "vite";
import { expect, test } from "vitest";

const KB = 1024;
/** What a page loads at once, and what it loads after hydration; without React and Redux, which it has anyway. */
const MOST: Record<string, number> = { index: 15 * KB, connection: 6 * KB, offline: 10 * KB };

interface Chunk {
  fileName: string;
  code: string;
  imports: string[];
  dynamicImports: string[];
}

async function buildPackage(): Promise<Map<string, Chunk>> {
  const output = await build({
    root: new URL("..", import.meta.url).pathname,
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      lib: { entry: "src/index.ts", formats: ["es"] },
      rollupOptions: {
        external: [/^react/, /^@reduxjs/],
        output: {
          minify: true, // wholly, as an app's build does; `lib` alone keeps white space
          entryFileNames: "index.js",
          chunkFileNames: ({ facadeModuleId }) =>
            `${/(\w+)(?:\/index)?\.\w+$/.exec(facadeModuleId ?? "")?.[1] ?? "shared"}.js`,
        },
      },
    },
  });
  const first = Array.isArray(output) ? output[0] : output;
  if (!first || !("output" in first)) throw new Error("nothing was built");
  const chunks = first.output.filter((chunk) => chunk.type === "chunk");
  return new Map(chunks.map((chunk) => [chunk.fileName, chunk]));
}

/** A chunk and all that comes with it. */
function withImports(name: string, chunks: Map<string, Chunk>, found = new Set<Chunk>()): Set<Chunk> {
  const chunk = chunks.get(name);
  if (!chunk || found.has(chunk)) return found; // React or Redux
  found.add(chunk);
  for (const other of chunk.imports) withImports(other, chunks, found);
  return found;
}

const gzipped = (chunks: Iterable<Chunk>) =>
  gzipSync([...chunks].map(({ code }) => code).join("\n"), { level: 9 }).length;

test("is at most 15 KB minified and gzipped at once, and little more after hydration", async () => {
  const chunks = await buildPackage();
  const loaded = withImports("index.js", chunks);
  const sizes: Record<string, number> = { index: gzipped(loaded) };
  const later = new Set([...loaded].flatMap(({ dynamicImports }) => dynamicImports));
  for (const name of [...later].sort()) {
    const more = [...withImports(name, chunks)].filter((chunk) => !loaded.has(chunk));
    sizes[name.replace(/\.js$/, "")] = gzipped(more);
    for (const chunk of more) loaded.add(chunk);
  }
  console.info(`@tims/client, bytes gzipped: ${JSON.stringify(sizes)}`);
  expect(Object.keys(sizes).sort()).toEqual(Object.keys(MOST).sort());
  for (const [name, bytes] of Object.entries(sizes)) {
    expect(bytes, name).toBeGreaterThan(1000);
    expect(bytes, name).toBeLessThanOrEqual(MOST[name] ?? 0);
  }
}, 30_000);
