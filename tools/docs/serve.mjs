// serve.mjs [PORT]: build/docs/html on this machine (HOST=0.0.0.0: for others), until it is stopped. Says the URL, and opens it where there is a
// desktop.
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const root = join(import.meta.dirname, "../../build/docs/html");
const types = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
  ".png": "image/png",
};

const server = createServer(async (request, response) => {
  try {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname)); // has no ".." left
    const file = join(root, path.endsWith("/") ? `${path}index.html` : path);
    const body = await readFile(file);
    response.setHeader("Content-Type", types[extname(file)] ?? "application/octet-stream");
    response.end(body);
  } catch {
    response.writeHead(404).end("There is no such page.\n");
  }
});

server.on("error", ({ code }) => {
  console.error(code === "EADDRINUSE" ? "The port is taken: make docs PORT=8081" : code);
  process.exit(1);
});
server.listen(Number(process.argv[2] || 8080), process.env.HOST ?? "127.0.0.1", () => {
  const url = `http://localhost:${server.address().port}/`;
  console.log(`The documentation: ${url}`);
  if (process.env.DISPLAY || process.env.WAYLAND_DISPLAY) {
    spawn("xdg-open", [url], { stdio: "ignore" }).on("error", () => undefined);
  }
});
// As a container's first process, too: what is under way is answered.
for (const signal of ["SIGTERM", "SIGINT"])
  process.on(signal, () => {
    server.close(() => process.exit(0));
    setTimeout(() => process.exit(0), 2000).unref();
  });
