import { gzipSync } from "node:zlib";
import { build } from "vite";
import { expect, test } from "vitest";

// The live store is 13 of them; the cache, and tabs that share a socket, are in every app: they are what "offline" means.
test("is at most 20 KB minified and gzipped, without React and Redux", async () => {
  const output = await build({
    root: new URL("..", import.meta.url).pathname,
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      minify: true,
      lib: { entry: "src/index.ts", formats: ["es"] },
      rollupOptions: { external: [/^react/, /^@reduxjs/] },
    },
  });
  const first = Array.isArray(output) ? output[0] : output;
  if (!first || !("output" in first)) throw new Error("nothing was built");
  const code = first.output.map((chunk) => (chunk.type === "chunk" ? chunk.code : "")).join("");
  const bytes = gzipSync(code, { level: 9 }).length;
  expect(code.length).toBeGreaterThan(1000);
  expect(bytes).toBeLessThanOrEqual(20 * 1024);
  console.info(`@tims/client: ${bytes} bytes gzipped`);
}, 30_000);
