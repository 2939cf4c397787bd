// renderer.ts: a render server that is quick to start and does what the page's query asks for: it embeds the posted
// data as Next does, and can be slow, silent, failing or greedy. For tests of what the backend does with HTML; what is
// about Next itself is tested with Next.
//
//   ?slow=100 (ms) · ?hang · ?spin (hears nothing any more) · ?fail · ?grow=64 (MiB, kept)
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export interface PageData {
  path: string;
  route: string;
  language: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into any document
  user: any;
  position: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into any document
  live: Record<string, any>;
  values: Record<string, unknown>;
  csrf?: string;
}

// What the page was made of, and by which process and build.
export interface Made {
  data: PageData;
  build: string;
  pid: number;
}

export function madeOf(html: string): Made {
  const found = /<script id="made" type="application\/json">(.*?)<\/script>/s.exec(html);
  if (!found?.[1]) throw new Error(`this is not a rendered page: ${html.slice(0, 200)}`);
  return JSON.parse(found[1]) as Made;
}

export const isShell = (html: string) => html.includes("the shell of");

export const command = `${process.execPath} ${import.meta.filename}`;

// A folder that stands for the front end's: a build, and shells of the demo's pages.
export function makeFront(folder: string, build = "build-1"): string {
  const front = join(folder, "front");
  for (const name of ["dist/app/chat", "dist/app/articles", "dist/server/static", "public"])
    mkdirSync(join(front, name), { recursive: true });
  for (const name of ["index", "chats", "login", "profile", "chat/[chat]", "articles/[slug]", "404", "500"])
    writeFileSync(
      join(front, `dist/app/${name}.html`),
      `<!DOCTYPE html><p>the shell of ${name}</p><script>1</script>`,
    );
  setBuild(front, build);
  return front;
}

export function setBuild(front: string, build: string): void {
  writeFileSync(join(front, "dist/server/BUILD_ID"), build);
}

function serve(socket: string, front: string): void {
  const build = readFileSync(join(front, "dist/server/BUILD_ID"), "utf8");
  const greed: Buffer[] = [];
  const answer = (response: http.ServerResponse, nonce: unknown, data: PageData) => {
    const made: Made = { data, build, pid: process.pid };
    const json = JSON.stringify(made).replace(/</g, "\\u003c");
    response.end(
      `<!DOCTYPE html><html lang="${data.language}"><head><script src="/a.js" nonce="${nonce}"></script>` +
        `<script nonce="${nonce}">self.started = 1</script></head><body><p>${data.user?.username ?? "nobody"}</p>` +
        `<script id="made" type="application/json" nonce="${nonce}">${json}</script></body></html>`,
    );
  };
  const server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const query = new URL(request.url ?? "/", "http://x").searchParams;
    let text = "";
    request.on("data", (piece) => {
      text += piece;
    });
    request.on("end", () => {
      response.setHeader("X-Build", build);
      if (query.has("grow")) greed.push(Buffer.alloc(Number(query.get("grow")) << 20, 1));
      if (query.has("hang")) return;
      while (query.has("spin"));
      if (query.has("fail")) response.statusCode = 500;
      setTimeout(
        answer,
        Number(query.get("slow") ?? 0),
        response,
        request.headers["x-nonce"],
        JSON.parse(text),
      );
    });
  });
  server.listen(socket);
  process.on("SIGTERM", () => {
    server.close(() => process.exit(0));
    setTimeout(() => process.exit(0), 2000).unref();
  });
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && process.exit(0), 200).unref();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href)
  serve(process.env.TIMS_RENDER_SOCKET ?? "", process.env.FRONT_DIRECTORY ?? "");
