import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Client, createClient } from "../src/client";
import { EPOCH, FakeNetwork, json, listOf, page, row } from "./fake";

/* The tables of docs/reference/live-protocol.md, from the client's side: a frame, in a state, and what comes of it. */

const LIST = "/api/messages/?chat=1";
const ROOM = "/api/chats/1/";
const WINDOW = { order: "-n,id", limit: 3, end: true, detail: false };
const ROWS = [row("b", 20), row("a", 10)];

type Frame = Record<string, unknown>;

let network: FakeNetwork;
let client: Client;
let leave: () => void;

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
const STATES = {
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
function outcome() {
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
type Outcome = Partial<ReturnType<typeof outcome>>;

function check(state: keyof typeof STATES, frames: (Frame | string)[], expected: Outcome) {
  STATES[state]();
  for (const frame of frames) network.last.receive(frame);
  expect(outcome()).toMatchObject(expected);
}

const put = (id: string, n: number) => ({ view: 7, op: "put", id, row: row(id, n) });
const tx = (position: number, ...ops: Frame[]) => ({ t: "tx", position, ops });
const snap = { t: "snap", sub: 1, view: 7, position: 12, ...WINDOW, document: listOf([row("z", 1)]) };
const UNTOUCHED: Outcome = { ids: "b a", status: "live", position: 10, closed: null, connection: "live" };

describe("frames from the server", () => {
  test.each<[string, keyof typeof STATES, (Frame | string)[], Outcome]>([
    ["welcome begins all that is wanted", "asked", [], { connection: "live", sent: "hello sub join" }],
    [
      "a second welcome answers auth and begins nothing again",
      "followed",
      [{ t: "welcome", protocol: 2, epoch: EPOCH, position: 11, user: "u1" }],
      { ...UNTOUCHED, sent: "hello sub join" },
    ],
    [
      "nothing counts before welcome",
      "opened",
      [snap, tx(11, put("c", 30))],
      { connection: "connecting", ids: "", status: "loading" },
    ],
    ["snap replaces what was held", "followed", [snap], { ids: "z", position: 12, limit: 3, status: "live" }],
    [
      "snap of a detail that is not there is an empty one",
      "asked",
      [{ ...snap, detail: true, document: null }],
      { ids: "", status: "live" },
    ],
    [
      "snap of a computed endpoint is its JSON",
      "asked",
      [{ t: "snap", sub: 1, view: 7, position: 12, computed: true, document: { rows: 3 } }],
      { value: { rows: 3 }, ids: "", position: 12, status: "live" },
    ],
    [
      "patch changes a computed document",
      "asked",
      [
        { t: "snap", sub: 1, view: 7, position: 12, computed: true, document: { a: 1, b: 2 } },
        tx(13, { view: 7, op: "patch", patch: { a: null, c: 3 } }),
      ],
      { value: { b: 2, c: 3 }, position: 13 },
    ],
    [
      "reset says nothing yet; what comes for the old view is for nobody",
      "followed",
      [{ t: "reset", sub: 1, reason: "access" }, tx(11, put("c", 30))],
      { ids: "b a", position: 10 },
    ],
    [
      "snap of what may not be seen yet is an empty one, and nothing comes for it",
      "asked",
      [
        { ...snap, view: 0, document: { rows: [] } },
        tx(13, { ...put("c", 30), view: 0 }),
        { t: "pong", position: 14 },
      ],
      { ids: "", status: "live", position: 14 },
    ],
    [
      "until a load tells its view",
      "asked",
      [
        { ...snap, view: 0, document: { rows: [] } },
        tx(
          13,
          { op: "load", sub: 1, view: 8, ...WINDOW, document: listOf(ROWS), reason: "access" },
          { ...put("c", 30), view: 8 },
        ),
      ],
      { ids: "c b a", position: 13 },
    ],
    [
      "resumed comes unasked to who has read too slowly",
      "followed",
      [
        {
          t: "resumed",
          sub: 1,
          view: 7,
          position: 20,
          ...WINDOW,
          ops: [{ ...put("c", 30), sub: 1, view: undefined }],
        },
      ],
      { ids: "c b a", position: 20, sent: "hello sub join" },
    ],
    [
      "reset and its snap start again",
      "followed",
      [{ t: "reset", sub: 1, reason: "too_far" }, snap],
      { ids: "z", position: 12 },
    ],
    ["pong moves the position", "followed", [{ t: "pong", position: 15 }], { ids: "b a", position: 15 }],
    [
      "pong does not move what was not answered",
      "asked",
      [{ t: "pong", position: 15 }],
      { position: -1, status: "loading" },
    ],
    ["tx without operations for the list moves its position", "followed", [tx(15)], { position: 15 }],
    [
      "window comes unasked behind a snap, when more rows were wanted",
      "followed",
      [
        { ...snap, end: false, limit: 1 },
        {
          t: "window",
          sub: 1,
          view: 8,
          position: 12,
          limit: 2,
          end: true,
          ops: [{ ...put("0", 0), view: undefined, sub: 1 }],
        },
        tx(13, { ...put("z", 2), view: 8 }),
      ],
      { ids: "z 0", limit: 2, end: true, position: 13 },
    ],
    [
      "window makes it larger and resolves the wait",
      "grown",
      [
        {
          t: "window",
          sub: 1,
          view: 8,
          position: 11,
          limit: 52,
          end: true,
          ops: [{ ...put("0", 5), view: 8 }],
        },
      ],
      { ids: "b a 0", limit: 52, end: true, position: 11 },
    ],
    [
      "after window operations come under its view",
      "grown",
      [
        { t: "window", sub: 1, view: 8, position: 11, limit: 52, end: true, ops: [] },
        tx(12, put("old", 99)),
        tx(13, { ...put("new", 99), view: 8 }),
      ],
      { ids: "new b a", position: 13 },
    ],
    [
      "error ends the subscription and shows why",
      "asked",
      [{ t: "error", sub: 1, status: 404, code: "not_found", message: "No." }],
      { status: "error", code: "not_found", connection: "live" },
    ],
    [
      "error of what may not be seen any more leaves nothing",
      "followed",
      [{ t: "error", sub: 1, status: 404, code: "not_found", message: "No." }],
      { ids: "", status: "error", code: "not_found" },
    ],
    [
      "error of what was too much leaves what is held",
      "followed",
      [{ t: "error", sub: 1, status: 429, code: "too_many_subscriptions", message: "No." }],
      { ids: "b a", status: "error", code: "too_many_subscriptions" },
    ],
    [
      "error without sub or join is about one frame",
      "followed",
      [{ t: "error", status: 400, code: "unknown_message" }],
      UNTOUCHED,
    ],
    [
      "error other_user greets anew",
      "followed",
      [{ t: "error", status: 409, code: "other_user" }],
      { sockets: 2, connection: "connecting" },
    ],
    ["bye is the last word", "told bye", [snap, tx(11, put("c", 30))], { ids: "b a", position: 10 }],
    ["a subscription that was left hears nothing", "left again", [snap], { ids: "b a", status: "stale" }],
  ])("%s", (_name, state, frames, expected) => check(state, frames, expected));
});

describe("operations", () => {
  test.each<[string, Frame[], Outcome]>([
    ["put of a new row enters in its place", [put("c", 15)], { ids: "b c a" }],
    ["put of a held row replaces it, and moves it", [put("a", 25)], { ids: "a b" }],
    ["what stands behind the window is let go of", [put("c", 30), put("d", 40)], { ids: "d c b" }],
    [
      "a row that leaves makes room for the one that comes in",
      [put("c", 30), put("d", 5), { view: 7, op: "del", id: "c" }],
      { ids: "b a d" },
    ],
    ["del of a row that is not held does nothing", [{ view: 7, op: "del", id: "x" }], { ids: "b a" }],
    ["one subscription can be meant alone", [{ sub: 1, op: "del", id: "b" }], { ids: "a" }],
    ["an unknown view is for nobody", [{ view: 70, op: "del", id: "b" }], { ids: "b a", position: 11 }],
    [
      "an unknown subscription is for nobody",
      [{ sub: 70, op: "del", id: "b" }],
      { ids: "b a", position: 11 },
    ],
    ["no address is for nobody", [{ op: "del", id: "b" }], { ids: "b a", position: 11 }],
    ["total", [{ view: 7, op: "total", total: 9 }], { total: 9 }],
    ["total that is not counted", [{ view: 7, op: "total", total: null }], { total: null }],
    ["end", [{ view: 7, op: "end", end: false }], { end: false }],
    ["an unknown operation is passed over", [{ view: 7, op: "sparkle" }, put("c", 15)], { ids: "b c a" }],
    [
      "load starts again inside the step, under its view",
      [
        {
          op: "load",
          sub: 1,
          view: 9,
          ...WINDOW,
          limit: 2,
          document: listOf([row("y", 2)]),
          reason: "access",
        },
        put("old", 99),
        { ...put("z", 3), view: 9 },
      ],
      { ids: "z y", limit: 2, position: 11, status: "live" },
    ],
    [
      "load of what may not be seen any more leaves nothing, and nothing comes for it",
      [
        { op: "load", sub: 1, view: 0, ...WINDOW, document: { rows: [] }, reason: "access" },
        { ...put("old", 99), view: 7 },
        { ...put("none", 99), view: 0 },
      ],
      { ids: "", position: 11, status: "live" },
    ],
    [
      "load of a view is for all who are on it, and they stay there",
      [{ op: "load", view: 7, ...WINDOW, document: listOf([row("y", 2)]), reason: "lagging" }, put("z", 3)],
      { ids: "z y", position: 11, status: "live" },
    ],
    [
      "load of a computed document replaces it",
      [{ op: "load", view: 7, computed: true, document: [1, 2], reason: "changed" }],
      { value: [1, 2], ids: "", position: 11, status: "live" },
    ],
  ])("%s", (_name, ops, expected) => check("followed", [tx(11, ...ops)], expected));

  const included = () =>
    Object.entries(client.state.documents[LIST]?.included ?? {}).map(
      ([field, rows]) => `${field} ${Object.keys(rows).join(" ")}`,
    );
  const include = (id: string) => ({ view: 7, op: "include", field: "sender", id, row: row(id, 1) });

  test("include brings a row that others point at, exclude takes it away", () => {
    check("followed", [tx(11, include("u2"), include("u3"))], { ids: "b a" });
    expect(included()).toEqual(["sender u2 u3"]);
    network.last.receive(tx(12, { view: 7, op: "exclude", field: "sender", id: "u2" }));
    expect(included()).toEqual(["sender u3"]);
    const { included: before } = client.state.documents[LIST] ?? {};
    network.last.receive(tx(13, { view: 7, op: "exclude", field: "sender", id: "u2" }));
    network.last.receive(tx(14, { view: 7, op: "exclude", field: "chat", id: "u2" }));
    expect(client.state.documents[LIST]?.included).toBe(before);
  });

  test("of one tx are one step of the store", () => {
    STATES.followed();
    let steps = 0;
    client.store.subscribe(() => steps++);
    network.last.receive(
      tx(11, put("c", 15), { view: 7, op: "total", total: 3 }, { sub: 1, op: "del", id: "a" }),
    );
    expect(steps).toBe(1);
    expect(outcome()).toMatchObject({ ids: "b c", total: 3 });
  });
});

describe("positions", () => {
  test("only grow: a step from before what is held changes nothing in it", () =>
    check("followed", [tx(20, put("c", 30)), tx(15, { view: 7, op: "del", id: "c" })], {
      ids: "c b a",
      position: 20,
    }));
  test("a pong from before moves nothing back", () =>
    check("followed", [tx(20), { t: "pong", position: 15 }], { position: 20 }));

  test("what is held is continued: from, with the number of rows", () => {
    STATES.followed();
    network.last.receive(tx(20, put("c", 30)));
    network.last.cut(1013);
    vi.advanceTimersByTime(300);
    network.last.welcome(25);
    expect(network.last.of("sub")).toEqual([{ t: "sub", id: 1, url: LIST, from: `${EPOCH}-20`, limit: 3 }]);
    network.last.receive({
      t: "resumed",
      sub: 1,
      view: 3,
      position: 25,
      ...WINDOW,
      ops: [
        { view: 3, op: "del", id: "c" },
        { sub: 1, op: "total", total: 2 },
      ],
    });
    expect(outcome()).toMatchObject({ ids: "b a", position: 25, status: "live", total: 2 });
    network.last.receive(tx(26, { view: 3, op: "del", id: "b" }));
    expect(outcome()).toMatchObject({ ids: "a", position: 26 });
  });

  test("what was replaced while it was being continued is continued once more, from there", () => {
    STATES.followed();
    network.last.cut();
    vi.advanceTimersByTime(300);
    network.last.welcome(25);
    client.takePage(page({ [LIST]: { ...listOf([row("p", 1)]), position: undefined } }, 24));
    network.last.receive({ t: "resumed", sub: 1, view: 3, position: 22, ...WINDOW, ops: [put("c", 30)] });
    expect(outcome()).toMatchObject({ ids: "p", status: "stale" });
    expect(network.last.of("unsub")).toEqual([{ t: "unsub", sub: 1 }]);
    expect(network.last.of("sub").at(-1)).toMatchObject({ id: 3, from: `${EPOCH}-24`, limit: 1 });
  });

  test("who waits for more rows of what may not be seen any more waits no longer", async () => {
    STATES.followed();
    network.last.receive(tx(10, { view: 7, op: "end", end: false }));
    const more = client.loadMore(LIST);
    network.last.receive(
      tx(11, { op: "load", sub: 1, view: 0, ...WINDOW, document: { rows: [] }, reason: "access" }),
    );
    await more;
    expect(outcome()).toMatchObject({ ids: "", status: "live" });
  });

  test("of pages that were read at several positions nothing is continued", async () => {
    STATES.followed();
    network.last.receive({ ...snap, end: false, document: listOf(ROWS, `${LIST}&cursor=1`) });
    network.last.cut();
    network.answer = () => json(200, { ...listOf([row("0", 1)]), position: `${EPOCH}-13` });
    await client.loadMore(LIST);
    vi.advanceTimersByTime(300);
    network.last.welcome(25);
    expect(network.last.of("sub")).toEqual([{ t: "sub", id: 1, url: LIST, limit: 3 }]);
  });
});

describe("frames that are malformed end the connection, and it comes back", () => {
  test.each<[string, string | Frame]>([
    ["no JSON", "{nonsense"],
    ["no object", "[]"],
    ["null", "null"],
    ["no kind", { position: 12 }],
    ["a kind that is no text", { t: 7 }],
    ["snap without a view", { ...snap, view: undefined }],
    ["snap without a document", { ...snap, document: undefined }],
    ["snap whose limit is text", { ...snap, limit: "3" }],
    ["tx without a position", { t: "tx", ops: [] }],
    ["tx whose position is text", { t: "tx", position: "11", ops: [] }],
    ["tx without operations", { t: "tx", position: 11 }],
    ["an operation that is no object", { t: "tx", position: 11, ops: [7] }],
    ["put without a row", tx(11, { view: 7, op: "put", id: "c" })],
    ["put of a row without an id", tx(11, { view: 7, op: "put", id: "c", row: { n: 1 } })],
    ["del without an id", tx(11, { view: 7, op: "del" })],
    ["exclude without an id", tx(11, { view: 7, op: "exclude", field: "sender" })],
    ["end without a truth", tx(11, { view: 7, op: "end", end: 1 })],
    ["load without a document", tx(11, { op: "load", sub: 1, view: 9 })],
    ["window without operations", { t: "window", sub: 1, view: 7, position: 11, limit: 5, end: true }],
    ["pong without a position", { t: "pong" }],
    ["error without a code", { t: "error", sub: 1, status: 404 }],
    ["presence without a count", { t: "presence", room: 31 }],
    ["presence without a room", { t: "presence", join: 2, count: 1 }],
    ["presence that is partial in words", { t: "presence", room: 31, count: 1, partial: "yes" }],
    ["presence of nobody in particular", { t: "presence", room: 31, count: 1, users: [null] }],
    ["said without items", { t: "said", room: 31 }],
  ])("%s", (_name, frame) => {
    STATES.followed();
    network.last.receive(frame);
    expect(network.sockets[0]?.closedWith).toBe(4400);
    expect(outcome()).toMatchObject({ ids: "b a", status: "stale", connection: "waiting" });
    vi.advanceTimersByTime(300);
    expect(network.sockets).toHaveLength(2);
  });

  test("a binary frame too", () => {
    STATES.followed();
    network.last.onmessage?.({ data: new ArrayBuffer(4) });
    expect(outcome()).toMatchObject({ closed: 4400, connection: "waiting" });
  });

  test("a kind that is not known is passed over", () =>
    check("followed", [{ t: "fireworks", sub: 1 }, { t: "__proto__" }, { t: "constructor" }], UNTOUCHED));
  test("members that are not known are passed over", () =>
    check("followed", [{ ...tx(11, { ...put("c", 15), colour: "red" }), mood: "good" }], { ids: "b c a" }));

  test("a peer that greets and talks nonsense is not hammered", () => {
    STATES.followed();
    const pauses: number[] = [];
    for (let i = 0; i < 5; i++) {
      network.last.receive("{nonsense");
      const before = Date.now();
      const { length } = network.sockets;
      while (network.sockets.length === length) vi.advanceTimersByTime(10);
      pauses.push(Date.now() - before);
      network.last.welcome();
    }
    expect(pauses).toEqual([250, 500, 1000, 2000, 4000]);
  });
});

describe("closing", () => {
  test.each<[number, string, number | null]>([
    [1001, "the server stops", 4000],
    [1006, "the network is gone", 250],
    [1013, "we read too slowly", 250],
    [4400, "this is not its protocol", null],
    [4408, "it has not heard from us", 250],
    [4429, "there are too many of us", 250],
  ])("%i: %s", (code, _why, returnsAfter_ms) => {
    STATES[code === 1001 ? "told bye" : "followed"]();
    network.last.cut(code);
    expect(client.state.documents[LIST]?.status).toBe("stale");
    vi.advanceTimersByTime((returnsAfter_ms ?? 100_000) - 1);
    expect(network.sockets).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(network.sockets).toHaveLength(returnsAfter_ms === null ? 1 : 2);
  });

  test("4401: asks who it is and returns as that", async () => {
    STATES.followed();
    network.last.cut(4401);
    expect(client.state.connection.status).toBe("ended");
    await vi.advanceTimersByTimeAsync(2_000);
    expect(network.requests.map(({ url }) => url)).toEqual(["/api/auth/me/"]);
    expect(network.sockets).toHaveLength(2);
  });

  test("a fresh token of the same user goes out at once", () => {
    STATES.followed();
    client.setSession(client.state.user, "csrf-1", "fresh");
    expect(network.last.of("auth")).toEqual([{ t: "auth", token: "fresh" }]);
  });
});

describe("rooms", () => {
  const said = (...items: Frame[]) => ({ t: "said", room: 31, items });
  const typing = (user: string, data: unknown) => ({ user, kind: "typing", data });
  const presence = (count: number, more: Frame = {}) => ({ t: "presence", room: 31, count, ...more });

  test.each<[string, Frame[], Outcome]>([
    [
      "presence tells all",
      [presence(2, { users: [{ id: "u1" }, { id: "u2" }] })],
      { present: "u1 u2", count: 2 },
    ],
    ["and then what has changed", [presence(2, { joined: [{ id: "u2" }] })], { present: "u1 u2", count: 2 }],
    [
      "and who has left",
      [presence(2, { joined: [{ id: "u2" }] }), presence(1, { left: [{ id: "u1" }] })],
      { present: "u2", count: 1 },
    ],
    ["joined twice is present once", [presence(1, { joined: [{ id: "u1" }] })], { present: "u1", count: 1 }],
    [
      "too many to be named are counted, and the names let go of",
      [presence(900)],
      { count: 900, present: "", room: "live" },
    ],
    [
      "and named again when they are fewer",
      [presence(900), presence(2, { users: [{ id: "u1" }, { id: "u2" }] })],
      { count: 2, present: "u1 u2" },
    ],
    [
      "left of somebody who is not shown does nothing",
      [presence(1, { left: [{ id: "u9" }] })],
      { present: "u1", count: 1 },
    ],
    [
      "of one user and kind the newest is said",
      [said(typing("u2", 1), typing("u3", 1)), said(typing("u2", 2))],
      { said: "u3 typing 1, u2 typing 2" },
    ],
    [
      "who leaves has said nothing",
      [said(typing("u2", 1)), presence(1, { left: [{ id: "u2" }] })],
      { said: "" },
    ],
    ["one does not hear oneself", [said(typing("u1", 1), typing("u2", 2))], { said: "u2 typing 2" }],
    ["what is for an unknown room is for nobody", [{ ...said(typing("u2", 1)), room: 9 }], { said: "" }],
    [
      "error ends the room and not the list",
      [{ t: "error", join: 2, status: 404, code: "not_found", message: "Gone." }],
      { room: "error", present: "", ...UNTOUCHED },
    ],
    [
      "a message that was refused ends nothing",
      [
        { t: "error", join: 2, status: 429, code: "throttled" },
        { t: "error", join: 2, status: 413, code: "too_large" },
        { t: "error", join: 2, status: 422, code: "invalid" },
        { t: "error", join: 2, status: 401, code: "unauthorized" },
      ],
      { room: "live", present: "u1" },
    ],
  ])("%s", (_name, frames, expected) => check("followed", frames, expected));

  test("is partial while the servers do not hear each other", () => {
    const room = () => client.state.rooms[ROOM];
    check("followed", [presence(1, { partial: true, users: [{ id: "u1" }] })], { present: "u1", count: 1 });
    expect(room()?.partial).toBe(true);
    network.last.receive(presence(2, { partial: true, joined: [{ id: "u2" }] }));
    expect(room()?.partial).toBe(true);
    network.last.receive(presence(2, { users: [{ id: "u1" }, { id: "u2" }] }));
    expect(room()).toMatchObject({ partial: false, count: 2 });
  });

  test("what was said passes", () => {
    check("followed", [said(typing("u2", 1))], { said: "u2 typing 1" });
    vi.advanceTimersByTime(4_000);
    network.last.receive(said(typing("u3", 1)));
    vi.advanceTimersByTime(2_500);
    expect(outcome().said).toBe("u3 typing 1");
  });

  test("are joined again on a new socket", () => {
    STATES.followed();
    network.last.cut();
    expect(outcome()).toMatchObject({ room: "joining", present: "u1" });
    vi.advanceTimersByTime(300);
    network.last.welcome();
    expect(network.last.of("join")).toEqual([{ t: "join", id: 2, url: ROOM }]);
  });

  test("are joined a while later when the server cannot now", () => {
    STATES.followed();
    network.last.receive({ t: "error", join: 2, status: 503, code: "unavailable" });
    vi.advanceTimersByTime(2_000);
    expect(network.last.of("join").map(({ id }) => id)).toEqual([2, 3]);
  });

  test("are left when nobody is in them any more, and entered anew with other options", () => {
    STATES.asked();
    const away = client.join("/api/chats/2/", { state: { mood: "good" } });
    expect(network.last.of("join").at(-1)).toEqual({
      t: "join",
      id: 3,
      url: "/api/chats/2/",
      state: { mood: "good" },
    });
    const again = client.join("/api/chats/2/", { present: false });
    expect(network.last.of("leave")).toEqual([{ t: "leave", join: 3 }]);
    expect(network.last.of("join").at(-1)).toEqual({
      t: "join",
      id: 4,
      url: "/api/chats/2/",
      present: false,
    });
    away();
    vi.advanceTimersByTime(2_000);
    expect(network.last.of("leave")).toHaveLength(1);
    again();
    again();
    vi.advanceTimersByTime(2_000);
    expect(network.last.of("leave")).toEqual([
      { t: "leave", join: 3 },
      { t: "leave", join: 4 },
    ]);
    expect(client.state.rooms["/api/chats/2/"]).toBeUndefined();
  });

  test("hear at most four messages of a kind a second, the newest last, and the same again every two", () => {
    STATES.followed();
    const publish = (kind: string, data: unknown) => client.publish(ROOM, kind, data);
    const spoken = () => network.last.of("publish").map(({ kind, data }) => `${kind} ${data}`);
    for (let n = 1; n <= 5; n++) publish("cursor", n);
    publish("typing", true);
    expect(spoken()).toEqual(["cursor 1", "typing true"]);
    vi.advanceTimersByTime(250);
    expect(spoken()).toEqual(["cursor 1", "typing true", "cursor 5"]);
    for (let i = 0; i < 40; i++) {
      publish("typing", true); // at every key stroke
      vi.advanceTimersByTime(100);
    }
    expect(spoken().filter((text) => text === "typing true")).toHaveLength(3);
    publish("typing", false);
    vi.advanceTimersByTime(250);
    expect(spoken().at(-1)).toBe("typing false");
  });

  test("are named by the number of the answer, which several joins may have in common", () => {
    STATES.followed();
    const again = `${ROOM}?fields=id`;
    client.join(again);
    const hear = (data: unknown) => network.last.receive(said(typing("u2", data)));
    const heard = (url: string) => client.state.rooms[url]?.said.map(({ data }) => data);
    hear(1);
    expect([heard(ROOM), heard(again)]).toEqual([[1], []]);
    network.last.receive({ t: "presence", join: 3, room: 31, count: 1, users: [{ id: "u1" }] });
    hear(2);
    expect([heard(ROOM), heard(again)]).toEqual([[2], [2]]);
    network.last.receive({ t: "error", join: 3, status: 404, code: "not_found" });
    hear(3);
    expect([heard(ROOM), heard(again)]).toEqual([[3], []]);
    expect(client.state.rooms[again]?.status).toBe("error");
  });

  test("of another socket have other numbers", () => {
    STATES.followed();
    network.last.cut();
    vi.advanceTimersByTime(300);
    network.last.welcome();
    network.last.receive(said(typing("u2", 1)));
    expect(outcome()).toMatchObject({ room: "joining", said: "" });
  });

  test.each([
    [401, "unauthorized"],
    [422, "invalid"],
    [429, "room_full"],
  ])("are refused with %i %s", (status, code) => {
    STATES.asked();
    network.last.receive({ t: "error", join: 2, status, code });
    expect(outcome().room).toBe("error");
    expect(client.state.rooms[ROOM]?.problem?.code).toBe(code);
  });

  test("hear nothing that was said before they had answered", () => {
    STATES.opened();
    client.publish(ROOM, "typing", true);
    network.last.welcome();
    client.publish(ROOM, "typing", true);
    expect(network.last.of("publish")).toEqual([]);
  });
});
