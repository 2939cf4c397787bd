import { describe, expect, test } from "vitest";
import { applyOperations, loadDocument, resumeDocument, withWindow } from "../src/documents";
import type { Operation } from "../src/frames";
import { mergePage } from "../src/offline/paging";
import { mergePatch } from "../src/patch";
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
const WINDOW = { order: "-n,id", limit: 50, end: false, detail: false, computed: false };
const live = (rows: AnyRow[], limit = 50) =>
  withWindow(loadDocument(URL, list(rows), null, "live"), { ...WINDOW, limit });

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
    const document = applyOperations(live([row("b", 20), row("a", 10)]), operations, 11);
    expect(document.ids).toEqual(expected);
    expect(Object.keys(document.rows).sort()).toEqual([...expected].sort());
  });

  test("is the same object when nothing changed", () => {
    const document = live([row("a", 1)]);
    expect(
      applyOperations(
        document,
        [
          { op: "del", id: "z" },
          { op: "total", total: 1 },
          { op: "end", end: false },
        ],
        10,
      ),
    ).toBe(document);
  });
  test("takes totals and included rows", () => {
    const operations: Operation[] = [
      { op: "total", total: 7 },
      { op: "include", field: "sender", id: "u", row: row("u", 1) },
    ];
    const document = applyOperations(live([row("a", 1)]), operations, 11);
    expect(document.total).toBe(7);
    expect(document.included.sender?.u).toEqual(row("u", 1));
  });
  test("lets go of what stands behind its window, after the whole frame", () => {
    const full = live([row("c", 3), row("b", 2)], 2);
    const pushed = applyOperations(full, [{ op: "put", id: "d", row: row("d", 4) }], 11);
    expect(pushed.ids).toEqual(["d", "c"]);
    expect(Object.keys(pushed.rows).sort()).toEqual(["c", "d"]);
    const refilled = applyOperations(
      pushed,
      [
        { op: "put", id: "b", row: row("b", 2) },
        { op: "del", id: "d" },
      ],
      12,
    );
    expect(refilled.ids).toEqual(["c", "b"]);
  });
  test("lets go of included rows with the last row that names them", () => {
    const first = { ...live([row("b", 2, { sender: "u" }), row("a", 1, { sender: "v" })]) };
    const held = { ...first, included: { sender: { u: row("u", 1), v: row("v", 1) } } };
    const left = applyOperations(held, [{ op: "del", id: "b" }], 11);
    expect(Object.keys(left.included.sender ?? {})).toEqual(["v"]);
  });
  test("does not go back: what is older than what is held changes nothing", () => {
    const document = live([row("a", 1)]);
    expect(applyOperations(document, [{ op: "del", id: "a" }], 9)).toBe(document);
  });
  test("starts again inside a step when it is loaded", () => {
    const document = live([row("a", 1)]);
    const load: Operation = { op: "load", ...WINDOW, limit: 1, document: list([row("y", 2), row("x", 1)]) };
    const after = applyOperations(document, [load, { op: "put", id: "z", row: row("z", 3) }], 12);
    expect(after).toMatchObject({ ids: ["z"], position: 12, epoch: EPOCH, limit: 1, status: "live" });
  });
  test("continues from what is held: ops first, then the window", () => {
    const held = loadDocument(URL, list([row("b", 2), row("a", 1)]), null, "stale");
    const operations: Operation[] = [{ op: "put", id: "c", row: row("c", 3) }];
    const after = resumeDocument(held, { ...WINDOW, limit: 2, epoch: EPOCH, position: 15, operations });
    expect(after).toMatchObject({ ids: ["c", "b"], position: 15, status: "live", limit: 2 });
  });
});

describe("a computed document", () => {
  const load = (value: Record<string, unknown>) =>
    loadDocument("/api/unread/", value, `${EPOCH}-10`, "stale");

  test("is what GET answers, and neither a list nor a row", () => {
    expect(load({ total: 3 })).toMatchObject({ value: { total: 3 }, ids: [], detail: false, position: 10 });
    expect(loadDocument(URL, list([]), null, "stale").value).toBeUndefined();
    expect(loadDocument("/api/chats/1/", row("1", 1), null, "stale").value).toBeUndefined();
  });
  test("changes by a merge patch", () => {
    const document = load({ counts: { a: 1, b: 2 }, total: 3 });
    const patch = { counts: { a: null, c: 5 }, total: 7 };
    expect(applyOperations(document, [{ op: "patch", patch }], 11).value).toEqual({
      counts: { b: 2, c: 5 },
      total: 7,
    });
  });
  test.each([
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [["a", "b"], ["c"], ["c"]],
    [{ a: "foo" }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    [{}, JSON.parse('{"__proto__":{"x":1}}'), JSON.parse('{"__proto__":{"x":1}}')],
  ])("%j patched with %j is %j", (target, patch, expected) => {
    const before = JSON.stringify(target);
    expect(JSON.stringify(mergePatch(target, patch))).toBe(JSON.stringify(expected));
    expect(JSON.stringify(target)).toBe(before);
  });
});

describe("the next page", () => {
  test("joins behind without gaps or duplicates", () => {
    const document = live([row("d", 4), row("c", 3)]);
    const merged = mergePage(document, list([row("c", 3), row("b", 2), row("a", 1)], 10));
    expect(merged.ids).toEqual(["d", "c", "b", "a"]);
    expect(merged).toMatchObject({ next: null, end: true });
  });
  test("is nothing to continue from when it was read at another position", () => {
    const document = live([row("c", 3)]);
    expect(mergePage(document, list([row("b", 2)], 10)).mixed).toBe(false);
    expect(mergePage(document, list([row("b", 2)], 11)).mixed).toBe(true);
  });
  test("does not put an older copy over a row that the stream has changed", () => {
    const document = { ...live([row("c", 3, { text: "new" })]), position: 20 };
    expect(mergePage(document, list([row("c", 3, { text: "old" })], 15)).rows.c?.text).toBe("new");
    expect(mergePage(document, list([row("c", 3, { text: "newest" })], 25)).rows.c?.text).toBe("newest");
  });
});
