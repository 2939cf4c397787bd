// actor.ts: one person with one device: a real client behind a network of its own, which follows URLs, loads more,
// writes, and is sometimes started again.
import { Client } from "../../packages/client/src/client.ts";
import type { SocketLike } from "../../packages/client/src/connection.ts";
import type { DocumentState } from "../../packages/client/src/documents.ts";
import { canonicalUrl } from "../../packages/client/src/url.ts";
import type { Checker } from "./checker.ts";
import { Device } from "./device.ts";
import { type Asked, type Caller, isNever, readUrl } from "./evaluate.ts";
import type { History } from "./history.ts";
import type { Network } from "./network.ts";
import type { Random } from "./random.ts";
import type { Pools } from "./urls.ts";
import { drawValue, toApi } from "./values.ts";
import { isOptional, type Model, modelOf, type World } from "./world.ts";

export interface Account extends Caller {
  token: string | null;
}

// A write and what became of it. unknown: no answer has come, or one that does not say.
export interface Sent {
  kind: "create" | "update" | "delete";
  id: string;
  mark: string | null;
  outcome: "sending" | "done" | "refused" | "unknown";
  problem: string;
  attempts: number; // how often it went out, under the same key
}

interface Followed {
  asked: Asked;
  leave: () => void;
}

// TRACE="client 3", or "all": what it was told and what it said, for looking into a divergence.
function trace(name: string, socket: WebSocket): void {
  const send = socket.send.bind(socket);
  socket.send = (data) => {
    console.log(`# ${name} → ${data}`);
    send(data);
  };
  socket.addEventListener("message", ({ data }) => console.log(`# ${name} ← ${data}`));
  socket.addEventListener("close", ({ code }) => console.log(`# ${name} closed ${code}`));
}

export class Actor {
  readonly name: string;
  readonly account: Account;
  readonly network: Network;
  readonly sent: Sent[] = [];
  readonly followed = new Map<string, Followed>();
  client: Client;
  private device = new Device();
  private socket: WebSocket | null = null;
  private readonly world: World;
  private readonly checker: Checker;
  private readonly random: Random;
  private readonly positions = new Map<string, { epoch: string; position: number }>();
  private readonly last = new Map<string, DocumentState>();
  private marks = 0;

  constructor(
    name: string,
    account: Account,
    network: Network,
    world: World,
    checker: Checker,
    random: Random,
  ) {
    this.name = name;
    this.account = account;
    this.network = network;
    this.world = world;
    this.checker = checker;
    this.random = random;
    this.client = this.start();
  }

  private start(): Client {
    const { token, id, name, staff } = this.account;
    const options = {
      platform: {
        apiBase: `http://127.0.0.1:${this.network.port}`,
        native: true,
        credentials: "omit" as const,
        token: { get: () => token, set: () => undefined },
      },
      cache: id ? this.device : null,
      tabs: null, // each has its own connection
      fetch: (input: RequestInfo | URL, init?: RequestInit) => {
        this.countAttempt(String(init?.body ?? ""));
        return fetch(input, init);
      },
      socket: (url: string) => {
        this.socket = new WebSocket(url);
        if (["all", this.name].includes(process.env.TRACE ?? "")) trace(this.name, this.socket);
        return this.socket as unknown as SocketLike;
      },
      random: () => this.random.fraction() * 0.1, // people are patient, tests are not
    };
    const client = new Client(options);
    if (id) client.setSession({ id, username: name, display_name: "", avatar: "", staff });
    client.store.subscribe(() => this.look());
    return client;
  }

  private countAttempt(body: string): void {
    const [, mark] = /"mark":"([^"]+)"/.exec(body) ?? [];
    const sent = this.sent.find((one) => one.mark !== null && one.mark === mark);
    if (sent) sent.attempts++;
  }

  // The app is closed and opened again, now and then on a new device.
  restart(): void {
    if (this.random.chance(0.2)) this.device = new Device();
    const urls = [...this.followed.keys()];
    this.client.close();
    this.followed.clear();
    this.positions.clear();
    this.last.clear();
    this.client = this.start();
    for (const url of urls) this.follow(url);
  }

  close(): void {
    this.client.close();
    this.network.close();
  }

  follow(rawUrl: string): void {
    const url = canonicalUrl(rawUrl);
    if (this.followed.has(url)) return;
    const asked = readUrl(this.world, url);
    this.followed.set(url, { asked, leave: this.client.follow(url) });
    this.look();
  }

  leaveOne(): void {
    if (this.followed.size < 2) return;
    const url = this.random.pick([...this.followed.keys()]);
    this.followed.get(url)?.leave();
    this.followed.delete(url);
    this.positions.delete(url);
    this.last.delete(url);
  }

  loadMore(): void {
    const live = [...this.followed.keys()].filter((url) => this.document(url)?.status === "live");
    if (live.length > 0) this.client.loadMore(this.random.pick(live)).catch(() => undefined);
  }

  document(url: string): DocumentState | undefined {
    return this.client.state.documents[url];
  }

  // Called at each step of the store: what it holds now is claimed to be true.
  private look(): void {
    for (const [url, { asked }] of this.followed) {
      const document = this.document(url);
      if (!document || document === this.last.get(url)) continue;
      this.last.set(url, document);
      const claim = { caller: this.account, client: this.name, asked, document };
      const before = this.positions.get(url);
      if (before && before.epoch === document.epoch && document.position < before.position)
        this.checker.fail(claim, `went back from position ${before.position}`);
      // What was read by REST may come from a node that is ahead of the one that the socket is on.
      if (document.status === "live")
        this.positions.set(url, { epoch: document.epoch, position: document.position });
      this.checker.claim(claim);
    }
  }

  // --- writes ---------------------------------------------------------------------------------------------------

  mutate(history: History, pools: Pools): void {
    const looked = [...this.followed.values()].map(({ asked }) => asked.resource);
    const resource = this.random.pick(
      this.random.chance(0.8) && looked.length > 0 ? looked : this.world.resources,
    );
    const model = modelOf(this.world, resource.model);
    const kind = this.random.weighted({ create: 3, update: 4, delete: 1 });
    const rows = history.rowsAt(model.name);
    const isNew = kind === "create" && !this.random.chance(0.1); // else: a conflict
    const seen = this.rowsSeen(resource.path);
    const mine = seen.length > 0 && this.random.chance(0.8) ? seen : rows.map((row) => row.id);
    const id = isNew || mine.length === 0 ? this.random.id() : this.random.pick(mine);
    const mark = kind === "delete" ? null : `${this.name}-${++this.marks}`;
    const body = kind === "delete" ? null : this.drawBody(kind, model, pools, history);
    if (body) body.mark = mark;
    if (body && kind === "create") body.id = id;
    if (body && this.random.chance(0.05)) body.mark = 7; // not valid
    const sent: Sent = { kind, id, mark, outcome: "sending", problem: "", attempts: 0 };
    this.sent.push(sent);
    const method = ({ create: "POST", update: "PATCH", delete: "DELETE" } as const)[kind];
    const url = kind === "create" ? resource.path : `${resource.path}${id}/`;
    this.client.mutate(method, url, body).then((result) => {
      const status = result.ok ? 200 : result.problem.status;
      // Without an answer it may have arrived, also where it is not kept for later.
      const isUnknown = !result.ok && (result.queued || status === 0 || status >= 500);
      sent.outcome = result.ok ? "done" : isUnknown ? "unknown" : "refused";
      if (!result.ok) sent.problem = `${status} ${result.problem.code}`;
      if (!result.ok && sent.outcome === "refused") void this.client.discard(result.key);
    });
  }

  // Ids that this client shows of a resource: what a person would write to.
  private rowsSeen(path: string): string[] {
    const documents = Object.values(this.client.state.documents);
    return documents.filter((document) => document.url.startsWith(path)).flatMap((document) => document.ids);
  }

  private drawBody(kind: string, model: Model, pools: Pools, history: History): Record<string, unknown> {
    const fields = model.fields.filter((field) => !field.hidden && !field.primary && field.name !== "mark");
    const chosen = kind === "create" ? fields : fields.length > 0 ? [this.random.pick(fields)] : [];
    const pairs = chosen.map((field) => {
      const seen = field.to ? this.rowsSeen(`/api/${field.to}/`) : [];
      const there = field.to ? history.rowsAt(field.to).map((row) => row.id) : [];
      const known = seen.length > 0 && this.random.chance(0.9) ? seen : there;
      const targets = field.to && known.length > 0 ? { [field.to]: known } : pools;
      const mine = field.to === "user" && this.account.id && this.random.chance(0.6);
      const value = mine ? this.account.id : drawValue(this.random, field, targets);
      return [field.name, value === null && !isOptional(field) ? 0 : toApi(field, value)];
    });
    return Object.fromEntries(pairs);
  }

  // --- coming to rest -------------------------------------------------------------------------------------------

  // What is still open when all faults are over; null: everything is live at `position` or later.
  restless(position: number): string | null {
    if (this.sent.some((one) => one.outcome === "sending")) return "a write without an answer";
    const unsent = Object.values(this.client.state.mutations).filter(
      ({ status }) => status === "sending" || status === "waiting",
    );
    if (unsent.length > 0) {
      const told = unsent.map(
        ({ method, url, status, tries, problem }) =>
          `${method} ${url} ${status} after ${tries} tries (${problem?.status} ${problem?.code} ${problem?.detail})`,
      );
      return `${unsent.length} writes that have not reached the server: ${told.join(", ")}`;
    }
    for (const [url, { asked }] of this.followed) {
      const document = this.document(url);
      if (document?.status === "error" && isNever(this.world, asked.model, asked.model.read, this.account))
        continue;
      if (document?.status !== "live")
        return `${url} is ${document?.status} (${document?.problem?.status ?? "no problem"} ${document?.problem?.code ?? ""})`;
      if (document.position < position) return `${url} stands at ${document.position}`;
    }
    return null;
  }

  // A person who sees that a write has not gone out sends it again: the client keeps it under its key. One that was
  // refused in a later attempt is given up; what names its row has waited for that.
  hurry(): void {
    for (const { key, status } of Object.values(this.client.state.mutations)) {
      if (status === "waiting") void this.client.retry(key);
      if (status === "failed") void this.client.discard(key);
    }
    this.client.connection?.probe();
    // A step without operations for a socket is not sent; a pong says how far it has come.
    if (this.client.state.connection.status === "live") this.socket?.send('{"t":"ping"}');
  }

  checkAll(): void {
    for (const [url, { asked }] of this.followed) {
      const document = this.document(url);
      if (!document || document.status === "error") continue;
      const claim = { caller: this.account, client: this.name, asked, document };
      this.checker.check(claim);
      this.checker.checkKept(claim, this.device.rowsOf(url));
    }
  }
}
