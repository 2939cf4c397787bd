import { afterEach, beforeEach, expect, vi } from "vitest";
import { type Client, createClient } from "../src/client";
import { FakeNetwork, json, listOf, page, row } from "./fake";

/* For the tables of docs/reference/live-protocol.md from the client's side, a frame in a state and what comes of it:
 * a client, the states, and how each is come to. */

export const LIST = "/api/messages/?chat=1";
export const ROOM = "/api/chats/1/";
export const WINDOW = { order: "-n,id", limit: 3, end: true, detail: false };
export const ROWS = [row("b", 20), row("a", 10)];

export type Frame = Record<string, unknown>;

export let network: FakeNetwork;
export let client: Client;
export let leave: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  network = new FakeNetwork();
  network.user = "u1";
  network.answer = () => json(200, { user: page({}).user, csrf: "csrf-1" });
  client = createClient({
    pageData: page({}),
    fetch: network.fetch,
    socket: network.socket,
    random: () => 0.5,
  });
});
afterEach(() => {
  client.close();
  vi.useRealTimers();
});

/** How each state is come to. The list is subscription 1 on view 7, the join is 2, its room 31. */
export const STATES = {
  opened: () => {
    leave = client.follow(LIST);
    client.join(ROOM);
    network.last.open();
  },
  asked: () => {
    STATES.opened();
    network.last.welcome(10);
  },
  followed: () => {
    STATES.asked();
    network.last.receive({ t: "snap", sub: 1, view: 7, position: 10, ...WINDOW, document: listOf(ROWS) });
    network.last.receive({ t: "presence", join: 2, room: 31, count: 1, users: [{ id: "u1" }] });
  },
  grown: () => {
    STATES.followed();
    network.last.receive({ t: "tx", position: 10, ops: [{ view: 7, op: "end", end: false }] });
    void client.loadMore(LIST).catch(() => undefined);
  },
  "left again": () => {
    STATES.followed();
    leave();
    vi.advanceTimersByTime(6_000);
  },
  "told bye": () => {
    STATES.followed();
    network.last.receive({ t: "bye", reason: "draining", retry_ms: 4000 });
  },
} as const;

/** What the store and the connection are like, in one object. */
export function outcome() {
  const document = client.state.documents[LIST];
  const room = client.state.rooms[ROOM];
  return {
    sockets: network.sockets.length,
    closed: network.last.closedWith ?? null,
    connection: client.state.connection.status,
    sent: network.last.sent.map((frame) => frame.t).join(" "),
    ids: document?.ids.join(" "),
    status: document?.status,
    position: document?.position,
    limit: document?.limit,
    end: document?.end,
    total: document?.total,
    code: document?.problem?.code ?? null,
    value: document?.value,
    present: room?.users.map(({ id }) => id).join(" "),
    count: room?.count,
    room: room?.status,
    said: room?.said.map(({ user, kind, data }) => `${user} ${kind} ${JSON.stringify(data)}`).join(", "),
  };
}
export type Outcome = Partial<ReturnType<typeof outcome>>;

export function check(state: keyof typeof STATES, frames: (Frame | string)[], expected: Outcome) {
  STATES[state]();
  for (const frame of frames) network.last.receive(frame);
  expect(outcome()).toMatchObject(expected);
}

export const put = (id: string, n: number) => ({ view: 7, op: "put", id, row: row(id, n) });
export const tx = (position: number, ...ops: Frame[]) => ({ t: "tx", position, ops });
export const snap = { t: "snap", sub: 1, view: 7, position: 12, ...WINDOW, document: listOf([row("z", 1)]) };
export const UNTOUCHED: Outcome = {
  ids: "b a",
  status: "live",
  position: 10,
  closed: null,
  connection: "live",
};
