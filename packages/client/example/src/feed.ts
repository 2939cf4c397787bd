/* A backend in the page: one list of messages, the newest first, live over the protocol, and by REST.
 *
 * For looking at long lists without a server, for measuring (bench.html), and for tests. What the real backend does
 * with a database it does with an array. */

import type { AnyRow, ListDocument } from "../../src/types";

export interface FeedRow extends AnyRow {
  n: number;
  text: string;
  sender: string;
  created_at: string;
}

type Frame = Record<string, unknown>;
type Operation = Record<string, unknown>;

export const FEED_EPOCH = "00112233445566aa";
export const FEED_URL = "/api/messages/?chat=1";
const VIEW = 1;
const WORDS = "the list keeps its place while rows of any height come and go above and below it".split(" ");

/** The same numbers at every start. */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** One connection, as a WebSocket looks to the client. */
export class FeedSocket {
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onerror: (() => void) | null = null;
  /** The subscription of the list and how many rows it may hold; null: not asked for. */
  list: { sub: number; limit: number } | null = null;

  constructor(private readonly feed: Feed) {
    feed.later(() => {
      this.readyState = 1;
      this.onopen?.();
    });
  }

  send(text: string): void {
    const frame = JSON.parse(text) as Frame;
    this.feed.later(() => this.feed.receive(this, frame));
  }

  /** Arrives later, in the order in which it was told. */
  tell(frame: Frame): void {
    const data = JSON.stringify(frame);
    this.feed.later(() => this.readyState === 1 && this.onmessage?.({ data }));
  }

  close(code = 1000): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.feed.sockets.delete(this);
    this.onclose?.({ code });
  }
}

export class Feed {
  rows: FeedRow[] = [];
  position = 10;
  readonly sockets = new Set<FeedSocket>();
  private made = 0;

  constructor(
    count: number,
    private readonly random: () => number = randomOf(1),
    /** How an answer comes later: the network. */
    readonly later: (work: () => unknown) => void = (work) => setTimeout(work, 20),
  ) {
    for (let i = 0; i < count; i++) this.rows.unshift(this.make());
  }

  private make(): FeedRow {
    const n = ++this.made;
    const id = `0190d1f2-0000-7000-8000-${String(n).padStart(12, "0")}`;
    const created_at = new Date(Date.UTC(2026, 0, 1) + n * 60_000).toISOString();
    return { id, n, chat: "1", sender: `u${n % 3}`, text: this.words(n), created_at };
  }

  private words(n: number): string {
    const count = 1 + Math.floor(this.random() ** 3 * 120);
    return `${n}: ${Array.from({ length: count }, (_, i) => WORDS[(n + i) % WORDS.length]).join(" ")}`;
  }

  socket = (_url: string): FeedSocket => {
    const socket = new FeedSocket(this);
    this.sockets.add(socket);
    return socket;
  };

  /** All connections end, as with a lost network. */
  cut(): void {
    for (const socket of [...this.sockets]) socket.close(1006);
  }

  // --- what is asked ---------------------------------------------------------------------------------------------

  receive(socket: FeedSocket, frame: Frame): void {
    const { position } = this;
    if (frame.t === "hello")
      socket.tell({
        t: "welcome",
        protocol: 2,
        epoch: FEED_EPOCH,
        position,
        user: "u1",
        heartbeat_ms: 15_000,
      });
    else if (frame.t === "ping") socket.tell({ t: "pong", position });
    else if (frame.t === "sub") this.subscribe(socket, Number(frame.id), Number(frame.limit ?? 50));
    else if (frame.t === "more" && socket.list) this.grow(socket, socket.list, Number(frame.limit));
    else if (frame.t === "unsub") socket.list = null;
  }

  private subscribe(socket: FeedSocket, sub: number, limit: number): void {
    socket.list = { sub, limit };
    const end = limit >= this.rows.length;
    const document = this.page(0, limit);
    const window = { order: "-n,id", limit, end, detail: false };
    socket.tell({ t: "snap", sub, view: VIEW, position: this.position, ...window, document });
  }

  private grow(socket: FeedSocket, list: { sub: number; limit: number }, limit: number): void {
    const ops = this.rows.slice(list.limit, limit).map((row) => put(row));
    list.limit = limit;
    const end = limit >= this.rows.length;
    socket.tell({ t: "window", sub: list.sub, view: VIEW, position: this.position, limit, end, ops });
  }

  page(from: number, limit: number): ListDocument {
    const rows = this.rows.slice(from, from + limit);
    const last = rows.at(-1);
    const next = last && from + limit < this.rows.length ? `${FEED_URL}&cursor=${last.n}` : null;
    const position = `${FEED_EPOCH}-${this.position}`;
    return { rows, total: this.rows.length, next, previous: null, position };
  }

  fetch = (async (url: string) => {
    await new Promise<void>((resolve) => this.later(resolve));
    const cursor = new URLSearchParams(url.split("?")[1]).get("cursor");
    const from = cursor === null ? 0 : this.rows.findIndex(({ n }) => n < Number(cursor));
    return new Response(JSON.stringify(this.page(from < 0 ? this.rows.length : from, 50)), {
      headers: { "Content-Type": "application/json" },
    });
  }) as typeof fetch;

  // --- what happens ----------------------------------------------------------------------------------------------

  /** A step of the database: what each connection sees of it. */
  private step(work: () => void): void {
    const before = new Map([...this.sockets].map((socket) => [socket, this.seenBy(socket)]));
    work();
    this.position++;
    for (const [socket, rows] of before) {
      if (!socket.list) continue;
      const after = this.seenBy(socket);
      const ops: Operation[] = [];
      for (const id of rows.keys()) if (!after.has(id)) ops.push(del(id));
      for (const [id, row] of after) if (rows.get(id) !== row) ops.push(put(row));
      ops.push({ op: "end", view: VIEW, end: socket.list.limit >= this.rows.length });
      this.tell(socket, ops);
    }
  }

  private seenBy({ list }: FeedSocket): Map<string, FeedRow> {
    return new Map(this.rows.slice(0, list?.limit ?? 0).map((row) => [row.id, row]));
  }

  private tell(socket: FeedSocket, ops: Operation[]): void {
    socket.tell({ t: "tx", position: this.position, ops });
  }

  private at(): number {
    return Math.floor(this.random() * this.rows.length);
  }

  add(text?: string): FeedRow {
    const row = this.make();
    if (text !== undefined) row.text = text;
    this.step(() => this.rows.unshift(row));
    return row;
  }

  remove(at = this.at()): void {
    this.step(() => this.rows.splice(at, 1));
  }

  /** A row is written again. */
  change(at = this.at(), text?: string): FeedRow | undefined {
    const row = this.rows[at];
    if (!row) return undefined;
    const changed = { ...row, text: text ?? this.words(row.n) };
    this.rows[at] = changed;
    this.position++;
    for (const socket of this.sockets)
      this.tell(socket, socket.list && at < socket.list.limit ? [put(changed)] : []);
    return changed;
  }

  /** A row takes another place. */
  move(): void {
    const row = this.rows[this.at()];
    if (!row) return;
    this.step(() => {
      this.rows = this.rows.filter(({ id }) => id !== row.id);
      const n = Math.floor(this.random() * this.made) + 0.5;
      const at = this.rows.findIndex((other) => other.n < n || (other.n === n && other.id > row.id));
      this.rows.splice(at < 0 ? this.rows.length : at, 0, { ...row, n });
    });
  }
}

const put = (row: FeedRow): Operation => ({ op: "put", view: VIEW, id: row.id, row });
const del = (id: string): Operation => ({ op: "del", view: VIEW, id });
