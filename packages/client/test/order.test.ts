import { describe, expect, test } from "vitest";
import { newId } from "../src/id";
import { compareRows, parseOrder, placeOf } from "../src/order";
import { formatPosition, parsePosition } from "../src/position";
import { canonicalUrl, listTakes } from "../src/url";

describe("order", () => {
  const sort = (order: string, rows: Record<string, unknown>[]) =>
    [...rows].sort((a, b) => compareRows(parseOrder(order), a, b)).map((row) => row.id);

  test.each([
    ["id", [{ id: "b" }, { id: "a" }], ["a", "b"]],
    ["-id", [{ id: "a" }, { id: "b" }], ["b", "a"]],
    [
      "-n,id",
      [
        { id: "a", n: 1 },
        { id: "c", n: 2 },
        { id: "b", n: 2 },
      ],
      ["b", "c", "a"],
    ],
    [
      "n",
      [
        { id: "x", n: 10 },
        { id: "y", n: 9 },
      ],
      ["y", "x"],
    ],
    [
      "n",
      [
        { id: "x", n: 1 },
        { id: "y", n: null },
      ],
      ["y", "x"],
    ],
    [
      "-n",
      [
        { id: "x", n: null },
        { id: "y", n: 1 },
      ],
      ["y", "x"],
    ],
    [
      "b",
      [
        { id: "x", b: true },
        { id: "y", b: false },
      ],
      ["y", "x"],
    ],
    [
      "t",
      [
        { id: "x", t: "\u{1F600}" },
        { id: "y", t: "\uFFFD" },
      ],
      ["y", "x"],
    ],
    [
      "t",
      [
        { id: "x", t: "ab" },
        { id: "y", t: "a" },
      ],
      ["y", "x"],
    ],
    [
      "p:decimal",
      ["-10.50", "9.00", "10.50", "-9.00", null, "0.05", "100000000000000.01", "-0.05", 9.5].map((p) => ({
        id: p,
        p,
      })),
      [null, "-10.50", "-9.00", "-0.05", "0.05", "9.00", 9.5, "10.50", "100000000000000.01"],
    ],
    ["-p:decimal,id", ["9.00", "10.50"].map((p) => ({ id: p, p })), ["10.50", "9.00"]],
    [
      "b:bytes",
      ["/w==", "AP8=", "", "AA==", null].map((b) => ({ id: b, b })),
      [null, "", "AA==", "AP8=", "/w=="],
    ],
  ])("sorts by %s as the database does", (order, rows, expected) => {
    expect(sort(order, rows)).toEqual(expected);
  });

  test("puts a row without the field at the new end, whichever way the list runs", () => {
    expect(sort("-created_at", [{ id: "old", created_at: "2026" }, { id: "new" }])).toEqual(["new", "old"]);
    expect(sort("created_at", [{ id: "new" }, { id: "old", created_at: "2026" }])).toEqual(["old", "new"]);
  });

  test("finds the place of a row", () => {
    const rows = { a: { id: "a", n: 1 }, c: { id: "c", n: 3 } };
    expect(placeOf(parseOrder("n"), ["a", "c"], rows, { id: "b", n: 2 })).toBe(1);
    expect(placeOf(parseOrder("n"), ["a", "c"], rows, { id: "d", n: 4 })).toBe(2);
    expect(placeOf(parseOrder("n"), [], {}, { id: "d", n: 4 })).toBe(0);
  });
});

describe("position", () => {
  test("reads its text form and nothing else", () => {
    expect(parsePosition("0123456789abcdef-42")).toEqual({ epoch: "0123456789abcdef", number: 42 });
    for (const bad of [
      "",
      "x",
      "0123456789abcdef",
      "0123456789abcdef-",
      "0123456789abcdef--1",
      "g123456789abcdef-1",
      null,
    ])
      expect(parsePosition(bad)).toBeNull();
    expect(formatPosition("0123456789abcdef", 7)).toBe("0123456789abcdef-7");
  });
});

describe("id", () => {
  test("is a UUIDv7 of the given time", () => {
    const id = newId(Date.UTC(2030, 0, 1));
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(Number.parseInt(id.replace("-", "").slice(0, 12), 16)).toBe(Date.UTC(2030, 0, 1));
  });
  test("grows, also within a millisecond and when the clock goes back", () => {
    const ids = Array.from({ length: 10_000 }, (_, i) => newId(Date.UTC(2031, 0, 1) - (i % 3)));
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe("url", () => {
  test("has one name however its parameters stand", () => {
    expect(canonicalUrl("/api/messages/?b=2&a=1")).toBe("/api/messages/?a=1&b=2");
    expect(canonicalUrl("https://example.org/api/chats/#x")).toBe("/api/chats/");
    expect(canonicalUrl("/api/chats/?")).toBe("/api/chats/");
  });
  test.each([
    ["/api/messages/?chat=1", { chat: "1" }, true],
    ["/api/messages/?chat=1&order=-id&limit=5", { chat: "1" }, true],
    ["/api/messages/?chat=2", { chat: "1" }, false],
    ["/api/messages/?chat=1&sender=9", { chat: "1" }, false],
    ["/api/messages/?chat=1&page=2", { chat: "1" }, false],
    ["/api/chats/", { chat: "1" }, false],
    ["/api/messages/", { chat: "1" }, true],
  ])("%s takes %o: %s", (url, row, expected) => {
    expect(listTakes(url, "/api/messages/", row)).toBe(expected);
  });
});
