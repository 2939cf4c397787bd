// push.ts: FCM and APNs as far as a sender can tell: HTTP/2 over TLS, on this machine. They check what they are sent
// against what Google and Apple document, note every breach in `problems`, and answer as they are told to.
import { execFileSync } from "node:child_process";
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  verify,
} from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import {
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";

// biome-ignore lint/suspicious/noExplicitAny: tests look into any document
type Json = any;

export interface Received {
  at: number; // ms since 1970
  path: string;
  headers: IncomingHttpHeaders;
  text: string;
  json: Json;
  session: number; // which connection it came on
}

export interface Reply {
  status?: number;
  headers?: Record<string, string>;
  body?: Json;
  act?: "destroy" | "goaway" | "silence" | "half"; // instead of an answer
}

const patience = { size: 4096, clockS: 60 };

// --- certificates ------------------------------------------------------------------------------------------------

export interface Authority {
  ca: string; // file
  key: string;
  certificate: string;
}

// An authority of the test's own and a certificate of it for this machine.
export function makeAuthority(folder: string, name = "ca"): Authority {
  const file = (part: string) => join(folder, `${name}-${part}.pem`);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "pipe" });
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...ec, "-keyout", file("key"), "-out", file("root"), "-subj", "/CN=Test CA");
  openssl("req", ...ec, "-keyout", file("server-key"), "-out", file("request"), "-subj", "/CN=localhost");
  writeFileSync(file("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  openssl(
    ...[
      "x509",
      "-req",
      "-in",
      file("request"),
      "-CA",
      file("root"),
      "-CAkey",
      file("key"),
      "-CAcreateserial",
    ],
    ...["-days", "2", "-extfile", file("names"), "-out", file("server")],
  );
  return {
    ca: file("root"),
    key: readFileSync(file("server-key"), "utf8"),
    certificate: readFileSync(file("server"), "utf8"),
  };
}

// --- tokens ------------------------------------------------------------------------------------------------------

const decode = (part: string | undefined): Json =>
  JSON.parse(Buffer.from(part ?? "", "base64url").toString());

// The header and claims of a JSON Web Token; what is wrong with it is told to `complain`.
function readJwt(token: string, key: KeyObject, alg: string, complain: (problem: string) => void) {
  const parts = token.split(".");
  const signed = Buffer.from(`${parts[0]}.${parts[1]}`);
  const signature = Buffer.from(parts[2] ?? "", "base64url");
  const how = alg === "ES256" ? { key, dsaEncoding: "ieee-p1363" as const } : key;
  if (parts.length !== 3 || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) complain(`no JWT: ${token}`);
  else if (!verify("sha256", signed, how, signature)) complain("the signature of the JWT is wrong");
  const [header, claims] = [decode(parts[0]), decode(parts[1])];
  if (header.alg !== alg) complain(`the JWT says alg ${header.alg}`);
  const now = Date.now() / 1000;
  if (!Number.isInteger(claims.iat) || claims.iat > now + patience.clockS || claims.iat < now - 3600)
    complain(`the JWT says iat ${claims.iat}`);
  return { header, claims };
}

// --- both --------------------------------------------------------------------------------------------------------

abstract class Service {
  readonly problems: string[] = [];
  readonly received: Received[] = [];
  readonly sessions: ServerHttp2Session[] = [];
  private readonly replies: Reply[] = [];
  private readonly server: Http2SecureServer;
  private port = 0;

  constructor(authority: Authority, settings: { maxConcurrentStreams?: number } = {}) {
    this.server = createSecureServer({
      key: authority.key,
      cert: authority.certificate,
      allowHTTP1: false,
      settings: { maxConcurrentStreams: 100, ...settings },
    });
    this.server.on("session", (session) => {
      this.sessions.push(session);
      const socket = session.socket as TLSSocket;
      if (session.alpnProtocol !== "h2") this.complain(`ALPN is ${session.alpnProtocol}`);
      if (!/^TLSv1\.[23]$/.test(socket.getProtocol() ?? "")) this.complain(`TLS is ${socket.getProtocol()}`);
      session.on("error", () => {});
    });
    this.server.on("stream", (stream, headers) => this.take(stream, headers));
    this.server.on("unknownProtocol", (socket) => {
      this.complain("a client does not speak HTTP/2");
      socket.destroy();
    });
    this.server.on("sessionError", () => {});
    this.server.on("tlsClientError", () => {});
  }

  async open(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(this.port, "127.0.0.1", resolve));
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  get url(): string {
    return `https://localhost:${this.port}`;
  }

  // What the next requests are answered with, one after the other; then they are well.
  next(...replies: Reply[]): void {
    this.replies.push(...replies);
  }

  protected complain(problem: string): void {
    this.problems.push(problem);
  }

  // Takes back what tests before have left.
  reset(): void {
    this.received.length = 0;
    this.replies.length = 0;
    this.problems.length = 0;
  }

  async close(): Promise<void> {
    for (const session of this.sessions) session.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const chunks: Buffer[] = [];
    stream.on("error", () => {});
    stream.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
    });
    stream.on("end", () => {
      const body = Buffer.concat(chunks);
      const session = this.sessions.indexOf(stream.session as ServerHttp2Session);
      const path = headers[":path"] as string;
      if (headers[":method"] !== "POST") this.complain(`the method is ${headers[":method"]}`);
      if (headers[":scheme"] !== "https") this.complain(`the scheme is ${headers[":scheme"]}`);
      if (headers["content-length"] !== undefined && Number(headers["content-length"]) !== body.length)
        this.complain("content-length is not the body's");
      const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
      const one: Received = { at: Date.now(), path, headers, text, json: null, session };
      const reply = this.check(one) ?? this.replies.shift() ?? {};
      this.answer(stream, one, reply);
    });
  }

  // Checks a request and keeps it; what it answers by itself is not up to the test.
  protected abstract check(one: Received): Reply | undefined;
  protected abstract success(one: Received): { headers?: Record<string, string>; body?: Json };

  private answer(stream: ServerHttp2Stream, one: Received, reply: Reply): void {
    const session = stream.session as ServerHttp2Session;
    if (reply.act === "silence") return;
    if (reply.act === "goaway") session.goaway(0, 0); // nothing of it was worked on
    if (reply.act === "destroy" || reply.act === "goaway") {
      session.destroy();
      return;
    }
    const well = reply.status === undefined ? this.success(one) : {};
    const body = reply.body ?? well.body;
    stream.respond({
      ":status": reply.status ?? 200,
      ...(body === undefined ? {} : { "content-type": "application/json; charset=UTF-8" }),
      ...well.headers,
      ...reply.headers,
    });
    if (reply.act === "half") {
      stream.write('{"name": "proj');
      setImmediate(() => session.destroy());
      return;
    }
    stream.end(body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body));
  }

  protected parse(one: Received): void {
    try {
      one.json = JSON.parse(one.text);
    } catch {
      this.complain(`the body is no JSON: ${one.text}`);
    }
  }

  protected checkKeys(what: string, object: Json, kinds: Record<string, (value: Json) => boolean>): void {
    for (const [key, value] of Object.entries(object ?? {}))
      if (!kinds[key]) this.complain(`${what} has ${key}`);
      else if (!kinds[key](value)) this.complain(`${what}.${key} is ${JSON.stringify(value)}`);
  }
}

const isText = (value: Json) => typeof value === "string" && value.length > 0;
const isCount = (value: Json) => Number.isInteger(value) && value >= 0;
const isStrings = (value: Json) => Object.values(value).every((one) => typeof one === "string");

// --- APNs --------------------------------------------------------------------------------------------------------

export class Apns extends Service {
  readonly keyId = "ABC123DEFG";
  readonly team = "TEAM123456";
  readonly topic = "org.example.chat";
  readonly jwts = new Set<string>();
  private readonly pair = generateKeyPairSync("ec", { namedCurve: "P-256" });

  // Writes the key as Apple gives it: PKCS#8 in a .p8 file.
  settings(folder: string): Record<string, string> {
    const path = join(folder, "AuthKey.p8");
    writeFileSync(path, this.pair.privateKey.export({ type: "pkcs8", format: "pem" }));
    return {
      PUSH_APNS_KEY: path,
      PUSH_APNS_KEY_ID: this.keyId,
      PUSH_APNS_TEAM: this.team,
      PUSH_APNS_TOPIC: this.topic,
      PUSH_APNS_URL: this.url,
    };
  }

  protected check(one: Received): Reply | undefined {
    const { headers } = one;
    this.received.push(one);
    if (!/^\/3\/device\/[0-9a-f]{64,200}$/.test(one.path)) this.complain(`the path is ${one.path}`);
    const token = /^bearer (\S+)$/.exec(headers.authorization ?? "")?.[1] ?? "";
    this.jwts.add(token);
    const { header, claims } = readJwt(token, createPublicKey(this.pair.privateKey), "ES256", (problem) =>
      this.complain(problem),
    );
    if (header.kid !== this.keyId) this.complain(`the JWT says kid ${header.kid}`);
    if (claims.iss !== this.team) this.complain(`the JWT says iss ${claims.iss}`);
    if (Object.keys(claims).sort().join() !== "iat,iss") this.complain("the JWT has other claims");
    this.checkHeaders(headers);
    if (Buffer.byteLength(one.text) > patience.size) this.complain("the payload is too large");
    this.parse(one);
    this.checkKeys("the payload", one.json?.aps, {
      alert: (value) => typeof value === "object" && Object.keys(value).length > 0,
      badge: isCount,
      sound: isText,
      "thread-id": isText,
    });
    this.checkKeys("alert", one.json?.aps?.alert, { title: isText, body: isText });
    const { aps, ...own } = one.json ?? {};
    if (!aps || !isStrings(own)) this.complain(`the payload is ${one.text}`);
    return undefined;
  }

  private checkHeaders(headers: IncomingHttpHeaders): void {
    const known: Record<string, RegExp> = {
      "apns-topic": /^org\.example\.chat$/,
      "apns-push-type": /^alert$/,
      "apns-priority": /^(5|10)$/,
      "apns-expiration": /^\d{10}$/,
      "apns-id": /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
      "apns-collapse-id": /^.{1,64}$/,
    };
    for (const [name, form] of Object.entries(known)) {
      const value = headers[name] as string | undefined;
      if (value === undefined ? name !== "apns-collapse-id" : !form.test(value))
        this.complain(`${name} is ${value}`);
    }
    for (const name of Object.keys(headers))
      if (name.startsWith("apns-") && !known[name]) this.complain(`there is a header ${name}`);
    if (headers.expect !== undefined || headers["transfer-encoding"] !== undefined)
      this.complain("there are headers of HTTP/1");
  }

  protected success(one: Received) {
    return { headers: { "apns-id": (one.headers["apns-id"] as string) ?? randomUUID() } };
  }
}

// --- FCM ---------------------------------------------------------------------------------------------------------

const scope = "https://www.googleapis.com/auth/firebase.messaging";

export class Fcm extends Service {
  readonly project = "demo-project-1";
  readonly email = "sender@demo-project-1.iam.gserviceaccount.com";
  readonly tokenRequests: Received[] = [];
  lifeS = 3599; // of the next access tokens
  private readonly tokens = new Map<string, number>(); // until when each holds
  private readonly tokenReplies: Reply[] = [];
  private readonly pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  private readonly keyId = createHash("sha1").update("key").digest("hex");

  // Writes the key as Google gives it.
  settings(folder: string): Record<string, string> {
    const path = join(folder, "account.json");
    const account = {
      type: "service_account",
      project_id: this.project,
      private_key_id: this.keyId,
      private_key: this.pair.privateKey.export({ type: "pkcs8", format: "pem" }),
      client_email: this.email,
      client_id: "123456789012345678901",
      token_uri: `${this.url}/token`,
    };
    writeFileSync(path, JSON.stringify(account, null, 2));
    return { PUSH_FCM_ACCOUNT: path, PUSH_FCM_URL: this.url };
  }

  nextToken(...replies: Reply[]): void {
    this.tokenReplies.push(...replies);
  }

  // Access tokens that were given do not hold any more.
  revoke(): void {
    this.tokens.clear();
  }

  override reset(): void {
    super.reset();
    this.tokenRequests.length = 0;
    this.tokenReplies.length = 0;
    this.lifeS = 3599;
  }

  protected check(one: Received): Reply | undefined {
    if (one.path === "/token") return this.checkToken(one);
    this.received.push(one);
    if (one.path !== `/v1/projects/${this.project}/messages:send`) this.complain(`the path is ${one.path}`);
    if (!/^application\/json\b/.test(one.headers["content-type"] ?? ""))
      this.complain("it is not said to be JSON");
    this.parse(one);
    this.checkMessage(one.json);
    const token = /^Bearer (\S+)$/.exec(one.headers.authorization ?? "")?.[1] ?? "";
    if ((this.tokens.get(token) ?? 0) > Date.now()) return undefined;
    return fcmError(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
  }

  private checkToken(one: Received): Reply {
    this.tokenRequests.push(one);
    if (one.headers["content-type"] !== "application/x-www-form-urlencoded")
      this.complain(`the token is asked for with ${one.headers["content-type"]}`);
    const form = new URLSearchParams(one.text);
    if (form.get("grant_type") !== "urn:ietf:params:oauth:grant-type:jwt-bearer")
      this.complain(`grant_type is ${form.get("grant_type")}`);
    const { header, claims } = readJwt(
      form.get("assertion") ?? "",
      createPublicKey(this.pair.privateKey),
      "RS256",
      (problem) => this.complain(problem),
    );
    if (header.kid !== this.keyId || header.typ !== "JWT") this.complain("the header of the JWT is wrong");
    const wanted = { iss: this.email, scope, aud: `${this.url}/token` };
    for (const [key, value] of Object.entries(wanted))
      if (claims[key] !== value) this.complain(`the JWT says ${key} ${claims[key]}`);
    if (!(claims.exp > claims.iat && claims.exp <= claims.iat + 3600)) this.complain(`exp is ${claims.exp}`);
    const told = this.tokenReplies.shift();
    if (told) return told;
    const token = `ya29.${randomUUID()}`;
    this.tokens.set(token, Date.now() + this.lifeS * 1000);
    return { status: 200, body: { access_token: token, expires_in: this.lifeS, token_type: "Bearer" } };
  }

  private checkMessage(body: Json): void {
    this.checkKeys("the body", body, { message: (value) => typeof value === "object" });
    const message = body?.message;
    this.checkKeys("message", message, {
      token: isText,
      notification: (value) => Object.keys(value).length > 0,
      data: isStrings,
      android: (value) => typeof value === "object",
    });
    this.checkKeys("notification", message?.notification, { title: isText, body: isText });
    this.checkKeys("android", message?.android, {
      priority: (value) => value === "HIGH" || value === "NORMAL",
      ttl: (value) => /^\d+s$/.test(value),
      notification: (value) => typeof value === "object",
    });
    this.checkKeys("android.notification", message?.android?.notification, {
      tag: isText,
      sound: isText,
      notification_count: isCount,
    });
    if (!isText(message?.token)) this.complain("there is no token");
    const counted = JSON.stringify([message?.notification, message?.data]);
    if (Buffer.byteLength(counted) > patience.size) this.complain("the message is too large");
  }

  protected success() {
    return { body: { name: `projects/${this.project}/messages/0:${Date.now()}` } };
  }
}

// An error as FCM writes it. `errorCode`: FCM's own; without it the error has no details.
export function fcmError(status: number, code: string, message: string, errorCode?: string): Reply {
  const type = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
  const details = errorCode ? { details: [{ "@type": type, errorCode }] } : {};
  return { status, body: { error: { code: status, message, status: code, ...details } } };
}
