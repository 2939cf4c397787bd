// client.ts: a signed-in API client, and raw sockets for what no client library would send.
import { connect, type Socket } from "node:net";
import { password, type Server } from "./server.ts";

export interface Answer {
  status: number;
  headers: Headers;
  body: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into any document
  json: any;
}

export class Client {
  readonly server: Server;
  cookies = new Map<string, string>();
  csrf = "";
  // biome-ignore lint/suspicious/noExplicitAny: the user document
  user: any = null;

  constructor(server: Server) {
    this.server = server;
  }

  cookieHeader(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  async request(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const init: RequestInit = { method, redirect: "manual", headers: { ...headers } };
    const sent = init.headers as Record<string, string>;
    if (this.cookies.size > 0) sent.cookie ??= this.cookieHeader();
    if (this.csrf && !["GET", "HEAD"].includes(method)) sent["x-csrf-token"] ??= this.csrf;
    if (typeof body === "string" || body instanceof FormData || body instanceof Uint8Array)
      init.body = body as BodyInit;
    else if (body !== undefined) init.body = JSON.stringify(body);
    if (body !== undefined && !(body instanceof FormData)) sent["content-type"] ??= "application/json";
    const response = await fetch(this.server.url + path, init);
    this.keepCookies(response);
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") ?? false;
    return {
      status: response.status,
      headers: response.headers,
      body: text,
      json: isJson && text ? JSON.parse(text) : null,
    };
  }

  private keepCookies(response: Response): void {
    for (const line of response.headers.getSetCookie()) {
      const [pair] = line.split(";");
      const at = pair.indexOf("=");
      if (/max-age=(0|-)/i.test(line)) this.cookies.delete(pair.slice(0, at));
      else this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
  }

  get(path: string, headers?: Record<string, string>): Promise<Answer> {
    return this.request("GET", path, undefined, headers);
  }

  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer> {
    return this.request("POST", path, body, headers);
  }

  // Signs in as one of the demo's users and remembers cookie, CSRF token and user.
  async signIn(username: string, secret = password): Promise<this> {
    await this.refresh();
    const answer = await this.post("/api/auth/login/", { username, password: secret });
    if (answer.status !== 200) throw new Error(`login as ${username}: ${answer.status} ${answer.body}`);
    await this.refresh();
    if (!this.user) throw new Error(`login as ${username} has not stuck`);
    return this;
  }

  async refresh(): Promise<void> {
    const me = await this.get("/api/auth/me/");
    this.csrf = me.json.csrf;
    this.user = me.json.user;
  }
}

export async function signedIn(server: Server, username: string): Promise<Client> {
  return new Client(server).signIn(username);
}

// Sends bytes as they are; resolves with everything that came until the peer closed or was silent for `quietMs`.
export function sendRaw(
  server: Server,
  bytes: string | Uint8Array,
  quietMs = 400,
): Promise<{ text: string; closed: boolean }> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, "127.0.0.1");
    let text = "";
    let timer: NodeJS.Timeout;
    const end = (closed: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, closed });
    };
    const listen = () => {
      clearTimeout(timer);
      timer = setTimeout(() => end(false), quietMs);
    };
    socket.on("connect", () => {
      socket.write(bytes);
      listen();
    });
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      listen();
    });
    socket.on("close", () => end(true));
    socket.on("error", (error: NodeJS.ErrnoException) =>
      error.code === "ECONNRESET" || error.code === "EPIPE" ? end(true) : reject(error),
    );
  });
}

export function openRaw(server: Server): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, "127.0.0.1", () => resolve(socket));
    socket.once("error", reject);
  });
}

export function statusOf(text: string): number {
  return Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0);
}
