import { describe, expect, test, vi } from "vitest";
import {
  check,
  client,
  type Frame,
  network,
  type Outcome,
  outcome,
  ROOM,
  STATES,
  UNTOUCHED,
} from "./protocol_states";

/* Frames of rooms: who is there, and what is said in passing. */

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
    expect(network.last.of("leave")).toHaveLength(0); // one of the two is to be seen
    away();
    away();
    vi.advanceTimersByTime(2_000);
    expect(network.last.of("leave")).toEqual([{ t: "leave", join: 3 }]);
    expect(network.last.of("join").at(-1)).toEqual({
      t: "join",
      id: 4,
      url: "/api/chats/2/",
      present: false,
    });
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
