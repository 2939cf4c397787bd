import { describe, expect, test } from "vitest";
import { applyOperations, loadDocument, mergePage, type Operation, withWindow } from "../src/documents";
import type { AnyRow, ListDocument } from "../src/types";

const EPOCH = "00112233445566aa";
const URL = "/api/messages/?chat=1";
const row = (id: string, n: number, more: Record<string, unknown> = {}): AnyRow => ({ id, n, ...more });
const list = (rows: AnyRow[], number = 10, next: string | null = null): ListDocument => ({
  rows,
  total: rows.length,
  next,
  previous: null,
  position: `${EPOCH}-${number}`,
});
const live = (rows: AnyRow[]) =>
  withWindow(loadDocument(URL, list(rows), null, "live"), { order: "-n,id", end: false, detail: false });

describe("a document", () => {
  test("is read from what GET answers", () => {
    const document = loadDocument(URL, list([row("b", 2), row("a", 1)], 10, "/next"), null, "stale");
    expect(document).toMatchObject({
      ids: ["b", "a"],
      total: 2,
      next: "/next",
      end: false,
      epoch: EPOCH,
      position: 10,
    });
  });
  test("is a detail when GET answers a row, and an empty one when it answers nothing", () => {
    expect(loadDocument("/api/chats/1/", row("1", 1), `${EPOCH}-3`, "live")).toMatchObject({
      detail: true,
      ids: ["1"],
      position: 3,
    });
    expect(loadDocument("/api/chats/1/", null, `${EPOCH}-3`, "live")).toMatchObject({
      detail: true,
      ids: [],
      position: 3,
    });
  });

  test.each<[string, Operation[], string[]]>([
    ["a row that enters stands in its place", [{ op: "put", id: "c", row: row("c", 15) }], ["b", "c", "a"]],
    ["a row that changes stays", [{ op: "put", id: "a", row: row("a", 10, { text: "new" }) }], ["b", "a"]],
    ["a row whose order changes moves", [{ op: "put", id: "a", row: row("a", 30) }], ["a", "b"]],
    ["a row that leaves is gone", [{ op: "del", id: "b" }], ["a"]],
    ["a row that is not held cannot leave", [{ op: "del", id: "z" }], ["b", "a"]],
    [
      "an operation may be applied twice",
      [
        { op: "put", id: "c", row: row("c", 5) },
        { op: "put", id: "c", row: row("c", 5) },
        { op: "del", id: "b" },
        { op: "del", id: "b" },
      ],
      ["a", "c"],
    ],
  ])("%s", (_name, operations, expected) => {
    const document = applyOperations(live([row("b", 20), row("a", 10)]), operations);
    expect(document.ids).toEqual(expected);
    expect(Object.keys(document.rows).sort()).toEqual([...expected].sort());
  });

  test("is the same object when nothing changed", () => {
    const document = live([row("a", 1)]);
    expect(
      applyOperations(document, [
        { op: "del", id: "z" },
        { op: "total", total: 1 },
      ]),
    ).toBe(document);
  });
  test("takes totals and included rows", () => {
    const document = applyOperations(live([row("a", 1)]), [
      { op: "total", total: 7 },
      { op: "include", field: "sender", id: "u", row: row("u", 1) },
    ]);
    expect(document.total).toBe(7);
    expect(document.included.sender?.u).toEqual(row("u", 1));
  });
  test("passes over an operation of a later protocol", () => {
    const document = live([row("a", 1)]);
    expect(applyOperations(document, [{ op: "sparkle", id: "a" } as unknown as Operation])).toBe(document);
  });
});

describe("the next page", () => {
  test("joins behind without gaps or duplicates", () => {
    const document = live([row("d", 4), row("c", 3)]);
    const merged = mergePage(document, list([row("c", 3), row("b", 2), row("a", 1)], 10));
    expect(merged.ids).toEqual(["d", "c", "b", "a"]);
    expect(merged).toMatchObject({ next: null, end: true });
  });
  test("does not put an older copy over a row that the stream has changed", () => {
    const document = { ...live([row("c", 3, { text: "new" })]), position: 20 };
    expect(mergePage(document, list([row("c", 3, { text: "old" })], 15)).rows.c?.text).toBe("new");
    expect(mergePage(document, list([row("c", 3, { text: "newest" })], 25)).rows.c?.text).toBe("newest");
  });
});
