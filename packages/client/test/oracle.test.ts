import { afterEach, expect, test, vi } from "vitest";
import { type Client, createClient } from "../src/client";
import { MemoryStorage } from "../src/offline/storage";
import type { AnyRow } from "../src/types";
import { EPOCH, FakeNetwork, type FakeSocket, page } from "./fake";

/* The promise, checked at random: whatever is written, however often the socket drops and the app is restarted from its
 * cache, what is live equals what GET of the URL answers in the snapshot of the document's position. The backend here
 * is a model: snapshots of a table, and views whose operations are differences of windows. */

type Snapshot = Map<string, AnyRow>;
interface Sub {
  id: number;
  url: string;
  limit: number;
  view: number;
}

const USER = "u1";
const LIST = (chat: number, limit: number) => `/api/messages/?chat=${chat}&limit=${limit}`;
const DETAIL = "/api/messages/r3/";
const URLS = [LIST(0, 3), LIST(1, 5), LIST(2, 2), DETAIL];
const STEPS = 250;

function parse(url: string) {
  const parameters = new URLSearchParams(url.split("?")[1]);
  return { chat: Number(parameters.get("chat")), limit: Number(parameters.get("limit")) || 1 };
}

class Backend {
  snapshots: Snapshot[] = [new Map()];
  /** Followers of each socket that is open. */
  readonly subs = new Map<FakeSocket, Map<number, Sub>>();
  private lastView = 0;

  get position(): number {
    return this.snapshots.length - 1;
  }

  result(url: string, position: number): AnyRow[] {
    const rows = [...(this.snapshots[position]?.values() ?? [])];
    if (url === DETAIL) return rows.filter(({ id }) => id === "r3");
    const { chat } = parse(url);
    return rows
      .filter((row) => row.chat === chat)
      .sort((a, b) => Number(b.n) - Number(a.n) || (a.id < b.id ? -1 : 1));
  }

  /** What a client that held the first `held` rows at `from` needs for the first `limit` at `to`. */
  private difference(url: string, from: number, held: number, to: number, limit: number, view: number) {
    const before = this.result(url, from);
    const after = this.result(url, to);
    const had = new Map(before.slice(0, held).map((row) => [row.id, row]));
    const window = new Set(after.slice(0, limit).map(({ id }) => id));
    const ops: Record<string, unknown>[] = [];
    for (const id of had.keys()) if (!after.some((row) => row.id === id)) ops.push({ view, op: "del", id });
    for (const row of after) {
      const old = had.get(row.id);
      if (old ? old !== row : window.has(row.id)) ops.push({ view, op: "put", id: row.id, row });
    }
    if (url !== DETAIL && before.length !== after.length)
      ops.push({ view, op: "total", total: after.length });
    const end = after.length <= limit;
    if (before.length <= held !== end) ops.push({ view, op: "end", end });
    return ops;
  }

  private facts({ id, url, limit, view }: Sub) {
    const detail = url === DETAIL;
    const end = this.result(url, this.position).length <= limit;
    return { sub: id, view, position: this.position, order: detail ? "id" : "-n,id", limit, end, detail };
  }

  /** Answers what the client has sent on a socket since the last time. */
  answer(socket: FakeSocket): void {
    const subs = this.subs.get(socket) ?? new Map<number, Sub>();
    this.subs.set(socket, subs);
    for (const frame of socket.sent.splice(0)) {
      if (frame.t === "hello") socket.welcome(this.position);
      else if (frame.t === "ping") socket.receive({ t: "pong", position: this.position });
      else if (frame.t === "unsub") subs.delete(frame.sub as number);
      else if (frame.t === "sub") this.subscribe(socket, subs, frame);
      else if (frame.t === "more") {
        const sub = subs.get(frame.sub as number);
        if (sub) this.grow(socket, sub, frame.limit as number);
      }
    }
  }

  private subscribe(socket: FakeSocket, subs: Map<number, Sub>, frame: Record<string, unknown>): void {
    const url = frame.url as string;
    const held = Number(frame.limit ?? 0);
    const limit = Math.max(held, parse(url).limit);
    const sub: Sub = { id: frame.id as number, url, limit, view: ++this.lastView };
    subs.set(sub.id, sub);
    const from = /-(\d+)$/.exec(String(frame.from ?? ""))?.[1];
    if (from !== undefined && this.position - Number(from) < 40) {
      const ops = this.difference(url, Number(from), held, this.position, limit, sub.view);
      const total = this.result(url, this.position).length;
      if (url !== DETAIL) ops.push({ view: sub.view, op: "total", total });
      socket.receive({ t: "resumed", ...this.facts(sub), ops });
      return;
    }
    if (from !== undefined) socket.receive({ t: "reset", sub: sub.id, reason: "too_far" });
    const rows = this.result(url, this.position);
    const document =
      url === DETAIL ? (rows[0] ?? null) : { rows: rows.slice(0, limit), total: rows.length, next: null };
    socket.receive({ t: "snap", ...this.facts(sub), document });
  }

  private grow(socket: FakeSocket, sub: Sub, limit: number): void {
    const before = sub.limit;
    Object.assign(sub, { limit, view: ++this.lastView });
    const { position } = this;
    const ops = this.difference(sub.url, position, before, position, limit, sub.view);
    socket.receive({ t: "window", ...this.facts(sub), ops });
  }

  commit(change: (rows: Snapshot) => void): void {
    const rows = new Map(this.snapshots.at(-1));
    change(rows);
    this.snapshots.push(rows);
    for (const [socket, subs] of this.subs) {
      if (socket.readyState !== 1) continue;
      const { position } = this;
      const ops = [...subs.values()].flatMap(({ url, limit, view }) =>
        this.difference(url, position - 1, limit, position, limit, view),
      );
      if (ops.length > 0) socket.receive({ t: "tx", position, ops });
    }
  }
}

function random(seed: number) {
  let state = seed;
  return (sides: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % sides;
  };
}

let client: Client | null = null;
afterEach(() => {
  client?.close();
  vi.useRealTimers();
});

test.each(Array.from({ length: 12 }, (_, i) => i + 1))(
  "what is live is what GET answers at its position (seed %i)",
  async (seed) => {
    vi.useFakeTimers();
    const roll = random(seed);
    const backend = new Backend();
    const network = new FakeNetwork();
    const storage = new MemoryStorage();
    network.user = USER;
    let leaves = new Map<string, () => void>();
    let compared = 0;

    const start = () => {
      client = createClient({
        pageData: page({}, 0),
        fetch: network.fetch,
        socket: network.socket,
        random: () => 0.01,
        cache: storage,
      });
      leaves = new Map(URLS.map((url) => [url, (client as Client).follow(url)]));
    };
    const settle = async (ms = 10) => {
      await vi.advanceTimersByTimeAsync(ms);
      const socket = network.sockets.at(-1);
      if (!socket || socket.readyState > 1) return;
      socket.open();
      backend.answer(socket); // greets
      backend.answer(socket); // and answers what follows from it
      await vi.advanceTimersByTimeAsync(0);
    };
    const compare = () => {
      for (const url of URLS) {
        const document = client?.state.documents[url];
        if (document?.status !== "live") continue;
        const expected = backend.result(url, document.position);
        const limit = document.limit ?? 0;
        expect(document.ids.map((id) => document.rows[id])).toEqual(expected.slice(0, limit));
        expect(Object.keys(document.rows)).toHaveLength(document.ids.length);
        expect(document.end).toBe(expected.length <= limit);
        if (url !== DETAIL) expect(document.total).toBe(expected.length);
        expect(document.epoch).toBe(EPOCH);
        compared++;
      }
    };
    const write = (rows: Snapshot) => {
      for (let i = 0; i <= roll(3); i++) {
        const id = `r${roll(24)}`;
        if (roll(4) === 0) rows.delete(id);
        else rows.set(id, { id, chat: roll(3), n: roll(12), text: `${roll(1000)}` });
      }
    };

    start();
    await settle();
    for (let step = 0; step < STEPS; step++) {
      const what = roll(20);
      if (what < 12) backend.commit(write);
      else if (what < 14) network.sockets.at(-1)?.cut();
      else if (what === 14) for (let i = 0; i < 45; i++) backend.commit(write);
      else if (what === 15) void client?.loadMore(URLS[roll(3)] ?? "").catch(() => undefined);
      else if (what === 16) {
        const url = URLS[roll(URLS.length)] ?? "";
        leaves.get(url)?.();
        if (roll(2) === 0) await settle(6_000);
        leaves.set(url, (client as Client).follow(url));
      } else if (what === 17) {
        if (roll(2) === 0) await client?.save();
        network.sockets.at(-1)?.cut();
        client?.connection?.stop(); // gone without a word: what the cache has is what there is
        client = null;
        backend.commit(write);
        start();
      } else await settle(700);
      if (roll(3) > 0) await settle();
      compare();
    }
    await settle();
    compare();
    expect(compared).toBeGreaterThan(STEPS);
  },
  60_000,
);
