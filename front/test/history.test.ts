import { describe, expect, it } from "vitest";
import { keepUp } from "@/chat/useHistory";
import type { Message } from "@/types";

const message = (n: number): Message => ({
  id: `m${String(n).padStart(4, "0")}`,
  chat: "c",
  sender: "s",
  text: "",
  picture: null,
  created_at: new Date(n * 1000).toISOString(),
});
/** Newest first. */
const messages = (from: number, to: number) =>
  Array.from({ length: from - to + 1 }, (_, i) => message(from - i));
const numbers = (rows: readonly Message[]) => rows.map(({ id }) => Number(id.slice(1)));
const archive = (rows: Message[]) => ({ rows, pictures: {}, more: true });

describe("keepUp", () => {
  it("takes what new messages push out of the live list", () => {
    const kept = keepUp(archive(messages(10, 1)), messages(15, 11), messages(17, 13));
    expect(numbers(kept?.rows ?? [])).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  });

  it("does not keep a message that was deleted", () => {
    const before = messages(15, 11);
    const now = [...messages(15, 14), ...messages(12, 10)]; // 13 has gone, 10 has come in its place
    const kept = keepUp(archive(messages(10, 1)), before, now);
    expect(numbers([...now, ...(kept?.rows ?? [])])).toEqual([15, 14, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  });

  it("has nothing twice when the live list grows into it", () => {
    const kept = keepUp(archive(messages(10, 1)), messages(15, 11), messages(15, 6));
    expect(numbers(kept?.rows ?? [])).toEqual([5, 4, 3, 2, 1]);
  });

  it("is given up when the live list has gone on without it", () => {
    expect(keepUp(archive(messages(10, 1)), messages(15, 11), messages(99, 90))).toBeNull();
  });

  it("stays the same object when nothing has changed for it", () => {
    const held = archive(messages(10, 1));
    expect(keepUp(held, messages(15, 11), [...messages(15, 11)])).toBe(held);
    expect(keepUp(held, messages(15, 11), [])).toBe(held);
  });
});
