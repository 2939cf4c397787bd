// The render server. The backend owns the address, the session, the status and the headers; it posts a page's data to
// the page's path over a private socket and gets the page's HTML. It is stateless: run as many as there are cores.
//
//   TIMS_RENDER_SOCKET=/run/x/render.sock node render.mjs   (or PORT=3101, HOST=127.0.0.1; NODE_ENV=development for hot reload)
import { readFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import next from "next";

const development = process.env.NODE_ENV !== "production";
const DATA_BYTES_MAX = 16 * 1024 * 1024;

async function readData(request) {
  const parts = [];
  let length = 0;
  for await (const part of request) {
    length += part.length;
    if (length > DATA_BYTES_MAX) throw new Error("page data is too large");
    parts.push(part);
  }
  return JSON.parse(Buffer.concat(parts).toString("utf8"));
}

// Which build this process has loaded: pages of another one are not kept by the backend.
function buildId() {
  try {
    return readFileSync(join(import.meta.dirname, "dist/server/BUILD_ID"), "utf8").trim();
  } catch {
    return null; // none: Next says so itself
  }
}
const build = development ? null : buildId();

// Next sees a GET; _app finds the data on the request (getInitialProps). Without Next's own cookies and previews.
async function becomeGet(request) {
  request.pageData = await readData(request);
  request.method = "GET";
  for (const name of ["content-length", "content-type", "transfer-encoding", "cookie"])
    delete request.headers[name];
}

function withoutOwnOrigin(request) {
  const { host, origin } = request.headers;
  if (origin && URL.canParse(origin) && new URL(origin).host === host) delete request.headers.origin;
  return request;
}

const server = http.createServer({ keepAliveTimeout: 60_000 }, async (request, response) => {
  try {
    if (build) response.setHeader("X-Build", build);
    if (request.url === "/healthz") return response.end("ok\n");
    if (request.method === "POST" && !request.url.startsWith("/_")) await becomeGet(request);
    await handle(development ? withoutOwnOrigin(request) : request, response);
  } catch (error) {
    console.error(error);
    if (!response.headersSent) response.statusCode = 500;
    response.end("The page could not be rendered.");
  }
});

// In an image Next has what it runs with alone, without what reads next.config.mjs: the build has left what was read.
if (process.env.STANDALONE)
  process.env.__NEXT_PRIVATE_STANDALONE_CONFIG = JSON.stringify(
    JSON.parse(readFileSync(join(import.meta.dirname, "dist/server/required-server-files.json"), "utf8"))
      .config,
  );
const app = next({ dev: development, dir: import.meta.dirname, quiet: true, httpServer: server });
await app.prepare();
const handle = app.getRequestHandler();
// Hot reload. Next lets only localhost have it; here it is whoever's page comes from the address that it asks.
if (development) {
  const upgrade = app.getUpgradeHandler();
  server.on("upgrade", (request, socket, head) => upgrade(withoutOwnOrigin(request), socket, head));
}

const socket = process.env.TIMS_RENDER_SOCKET;
if (socket) server.listen(socket);
else
  server.listen(Number(process.env.PORT ?? 3101), process.env.HOST ?? "127.0.0.1", () =>
    console.log(`http://localhost:${server.address().port}`),
  );

// Goes with the backend: asked to by a signal, or when its parent has gone without a word.
function stop() {
  server.close(() => process.exit(0));
  setTimeout(() => process.exit(0), development ? 0 : 2000).unref(); // hot reload's sockets stay open
}
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
const parent = process.ppid;
if (socket) setInterval(() => process.ppid !== parent && process.exit(0), 1000).unref();
