// proxy.ts: tests/proxy/app.c before upstreams that behave, and some that do not on purpose.
import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer as createNetServer, type Socket } from "node:net";
import { join } from "node:path";
import { WebSocketServer } from "ws";
import { root, type Server, startServer } from "./server.ts";
import { stream } from "./stream.ts";

export const secret = "a secret that both of them know, long enough";
const names = ["OPEN", "MEMBERS", "STAFF", "ASKED", "OPEN_INNER", "READ_ONLY", "SMALL", "AGAIN", "FEW"];

export interface Seen {
  method: string;
  url: string;
  headers: Record<string, string>;
  lines: string[]; // names as they came
  body: string;
}

export interface Upstream {
  port: number;
  url: string;
  asked: () => number;
  connections: () => number;
  taken: () => number; // bytes of bodies, at its path "both"
  close: () => Promise<void>;
}

interface Count {
  taken: number;
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of request) text += piece;
  return text;
}

async function answer(request: IncomingMessage, response: ServerResponse, count: Count): Promise<void> {
  const url = new URL(`http://x${request.url}`);
  const name = url.pathname.split("/").pop();
  if (name === "stream") return stream(response, Number(url.searchParams.get("bytes")));
  if (name === "mirror") return void request.pipe(response);
  if (name === "count") {
    let bytes = 0;
    for await (const piece of request) bytes += (piece as Buffer).length;
    return void response.end(String(bytes));
  }
  if (name === "both") {
    stream(response, Number(url.searchParams.get("bytes")));
    for await (const piece of request) count.taken += (piece as Buffer).length;
    return;
  }
  if (name === "refuse") {
    response.writeHead(413, { Connection: "close" }).end("too much");
    return;
  }
  if (name === "events") {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write("data: one\n\n");
    request.on("close", () => response.end());
    return;
  }
  if (name === "redirect") {
    response.writeHead(302, { Location: url.searchParams.get("to") ?? "/" }).end();
    return;
  }
  if (name === "cookies") {
    response.writeHead(200, {
      "Set-Cookie": [
        "theirs=1; Path=/",
        "tims_session=stolen; Path=/",
        "__Host-tims_session=stolen; Path=/; Secure",
        "csrf=known",
        "TIMS_VISITOR=x",
        "=tims_session=nameless",
        "tims_session",
        "another=2",
      ],
      "X-Kept": "yes",
      "X-Hop": "no",
      Connection: "keep-alive, X-Hop",
      "Strict-Transport-Security": "max-age=1",
      "Alt-Svc": 'h3=":443"',
      "Clear-Site-Data": '"*"',
    });
    return void response.end("cookies");
  }
  if (name === "status") {
    response.writeHead(Number(url.searchParams.get("code")), { ETag: '"e"' }).end();
    return;
  }
  const body = await textOf(request);
  const seen: Seen = {
    method: request.method ?? "",
    url: request.url ?? "",
    headers: request.headers as Record<string, string>,
    lines: request.rawHeaders.filter((_, i) => i % 2 === 0),
    body,
  };
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify(seen));
}

function follow(server: HttpServer, count: Count = { taken: 0 }): Upstream {
  const open = new Set<Socket>();
  let asked = 0;
  let connections = 0;
  server.on("connection", (socket) => {
    connections++;
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => {});
  });
  server.on("request", () => asked++);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}/`,
    asked: () => asked,
    connections: () => connections,
    taken: () => count.taken,
    close: () => {
      for (const socket of open) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

// With `tls` it is asked as https.
export async function startUpstream(port = 0, tls?: { key: Buffer; cert: Buffer }): Promise<Upstream> {
  const count = { taken: 0 };
  const react = (request: IncomingMessage, response: ServerResponse) =>
    void answer(request, response, count).catch(() => {});
  const server = tls ? createTlsServer(tls, react) : createServer(react);
  const sockets = new WebSocketServer({ noServer: true });
  server.on("upgrade", (request, socket, head) =>
    sockets.handleUpgrade(request, socket, head, (ws) => {
      ws.on("message", (data, isBinary) =>
        ws.send(`${data}` === "headers" ? JSON.stringify(request.headers) : data, { binary: isBinary }),
      );
    }),
  );
  server.requestTimeout = 0;
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  server.on("tlsClientError", () => {}); // who does not trust it hangs up
  return follow(server as HttpServer, count);
}

// One that is told nothing of HTTP: `react` gets a socket whenever a request's head is in, with that head.
export interface RawUpstream extends Upstream {
  react: (socket: Socket, head: string) => void;
  heads: string[];
}
export async function startRawUpstream(): Promise<RawUpstream> {
  const server = createNetServer() as unknown as HttpServer;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const upstream: RawUpstream = { ...follow(server), react: (socket) => socket.destroy(), heads: [] };
  server.on("connection", (socket: Socket) => {
    let text = "";
    let body = 0; // bytes of one that are still to come
    socket.on("data", (bytes) => {
      const piece = bytes.toString("latin1");
      text += piece.slice(body);
      body = Math.max(0, body - piece.length);
      for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
        const head = text.slice(0, end + 4);
        text = text.slice(end + 4);
        const length = Number(/^Content-Length: (\d+)/im.exec(head)?.[1] ?? 0);
        body = Math.max(0, length - text.length);
        text = text.slice(length);
        upstream.heads.push(head);
        upstream.react(socket, head);
      }
    });
  });
  return upstream;
}

export interface Proxied {
  server: Server;
  upstream: Upstream;
  raw: RawUpstream;
  close: () => Promise<void>;
}

export async function startProxied(env: Record<string, string> = {}): Promise<Proxied> {
  const upstream = await startUpstream();
  const raw = await startRawUpstream();
  const addresses = Object.fromEntries(names.map((name) => [`PROXY_${name}`, upstream.url]));
  const server = await startServer({
    program: process.env.TIMS_PROXY_PROGRAM ?? join(root, "build/release/proxy_app"),
    env: {
      ...addresses,
      PROXY_DEEP: `${upstream.url}base/dir/`,
      PROXY_BAD: raw.url,
      PROXY_FRAGILE: raw.url,
      PROXY_WATCHED: raw.url,
      PROXY_OPEN_SECRET: secret,
      PROXY_MEMBERS_SECRET: secret,
      LOOPS: "1",
      ...env,
    },
  });
  return {
    server,
    upstream,
    raw,
    close: async () => {
      await server.stop();
      server.remove();
      await upstream.close();
      await raw.close();
    },
  };
}
