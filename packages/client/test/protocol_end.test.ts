import { describe, expect, test, vi } from "vitest";
import {
  check,
  client,
  type Frame,
  LIST,
  network,
  outcome,
  put,
  STATES,
  snap,
  tx,
  UNTOUCHED,
} from "./protocol_states";

/* What ends a connection, and how the client comes back. */

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
    client.connection?.auth("fresh");
    expect(network.last.of("auth")).toEqual([{ t: "auth", token: "fresh" }]);
  });
});
