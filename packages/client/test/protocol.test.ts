import { describe, expect, test, vi } from "vitest";
import { EPOCH, json, listOf, page, row } from "./fake";
import {
  check,
  client,
  type Frame,
  LIST,
  network,
  type Outcome,
  outcome,
  put,
  ROWS,
  STATES,
  snap,
  tx,
  UNTOUCHED,
  WINDOW,
} from "./protocol_states";

/* Frames that bring data: what each does in each state, operation by operation, position by position. */

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
