import { describe, expect, it } from "vitest";
import { findLinks, makeTimeline } from "@/chat/timeline";
import type { Member, Message } from "@/types";

const at = (minutes: number) => new Date(Date.UTC(2026, 10, 23, 12, 0) + minutes * 60_000).toISOString();
let count = 0;
const message = (sender: string, minutes: number): Message => ({
  id: `m${++count}`,
  chat: "c",
  sender,
  text: "",
  picture: null,
  created_at: at(minutes),
});
const member = (user: string, lastReadMinutes: number | null): Member => ({
  id: `of-${user}`,
  chat: "c",
  user,
  joined_at: at(-9999),
  last_read_at: lastReadMinutes === null ? null : at(lastReadMinutes),
  unread: 0,
});
/** Oldest first for reading; the API answers newest first. */
const timeline = (messages: Message[], members: Member[] = []) =>
  makeTimeline([...messages].reverse(), members, "me", false);

describe("timeline", () => {
  it("is empty for no messages", () => {
    expect(timeline([])).toEqual([]);
  });

  it("puts the oldest first", () => {
    const messages = [message("a", 0), message("b", 1)];
    expect(timeline(messages).map((entry) => entry.message)).toEqual(messages);
  });

  it("makes a run of messages of one person that are close in time", () => {
    const entries = timeline([message("a", 0), message("a", 1), message("b", 2), message("b", 30)]);
    expect(entries.map((entry) => entry.startsRun)).toEqual([true, false, true, true]);
    expect(entries.map((entry) => entry.endsRun)).toEqual([false, true, true, true]);
  });

  it("begins a day at midnight, and a run with it", () => {
    const entries = timeline([message("a", 719), message("a", 721)]);
    expect(entries.map((entry) => entry.startsDay)).toEqual([true, true]);
    expect(entries.map((entry) => entry.startsRun)).toEqual([true, true]);
  });

  it("shows a reader at the latest message that was there when they read", () => {
    const entries = timeline([message("me", 0), message("me", 5), message("me", 9)], [member("b", 6)]);
    expect(entries.map((entry) => entry.readers)).toEqual([[], ["b"], []]);
  });

  it("takes writing for reading, and shows nobody at their own message", () => {
    const entries = timeline([message("me", 0), message("b", 5), message("me", 9)], [member("b", null)]);
    expect(entries.map((entry) => entry.readers)).toEqual([[], [], []]);
  });

  it("never shows oneself, nor somebody who has read nothing", () => {
    const entries = timeline([message("me", 0)], [member("me", 5), member("b", null)]);
    expect(entries[0]?.readers).toEqual([]);
  });
});

describe("findLinks", () => {
  it.each([
    ["", []],
    ["plain", [{ text: "plain" }]],
    ["see https://a.b/c?d=e.", [{ text: "see " }, { href: "https://a.b/c?d=e" }, { text: "." }]],
    ["(http://a.b)", [{ text: "(" }, { href: "http://a.b" }, { text: ")" }]],
    ["javascript:alert(1)", [{ text: "javascript:alert(1)" }]],
    ['https://a.b/"onclick="x', [{ href: "https://a.b/" }, { text: '"onclick="x' }]],
  ])("%j", (text, pieces) => {
    expect(findLinks(text)).toEqual(pieces);
  });
});
