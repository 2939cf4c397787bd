// example.ts: the example of packages/client, built into a folder of its own and served from a free port.
import { readFile } from "node:fs/promises";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { build } from "vite";
import { makeFolder, root } from "./server.ts";

const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
};

export interface Example {
  url: string;
  folder: string;
  close: () => void;
}

export async function buildExample(): Promise<string> {
  const outDir = join(makeFolder(), "example");
  const configFile = join(root, "packages/client/example/vite.config.ts");
  await build({ configFile, logLevel: "error", build: { outDir, emptyOutDir: true } });
  return outDir;
}

// The files alone: pages that bring their own backend.
export async function serveExample(): Promise<Example> {
  const folder = await buildExample();
  const server: HttpServer = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://x").pathname);
    try {
      const body = await readFile(join(folder, path));
      response.setHeader("Content-Type", types[extname(path)] ?? "application/octet-stream");
      response.end(body);
    } catch {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, folder, close: () => server.close() };
}
