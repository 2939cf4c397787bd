/* Rooms: who is present at a detail, and what they say in passing. Nothing of it touches the database.
 *
 * What the store holds of a room, and the pure steps by which it changes; the connection's side is roombook.ts. */

import type { Present, SaidItem } from "./frames";
import type { Problem } from "./types";

/** What was said in passing is past by then. */
export const SAID_MS = 6_000;

export interface Said<T = unknown> extends SaidItem {
  data: T;
  at_ms: number;
}

export interface RoomState {
  /** joining: not answered yet, or the connection is away · live · error: refused or gone, see `problem`. */
  status: "joining" | "live" | "error";
  users: Present[];
  /** More than `users` when there are too many to be named. */
  count: number;
  /** Others may be there, and say things, who cannot be heard at the moment: the servers do not hear each other. */
  partial: boolean;
  /** Of one user and kind the newest. */
  said: Said[];
  problem: Problem | null;
}

export interface JoinOptions {
  /** False: to hear and speak without being seen. */
  present?: boolean;
  /** Shown to the others, at most 256 bytes of JSON. */
  state?: Record<string, unknown>;
}

export interface RoomEvents {
  onPresence(facts: {
    url: string;
    count: number;
    partial?: boolean;
    users?: Present[];
    joined?: Present[];
    left?: Present[];
  }): void;
  onSaid(facts: { url: string; items: SaidItem[]; at_ms: number }): void;
  onRoomError(facts: { url: string; problem: Problem }): void;
}

export const EMPTY_ROOM: RoomState = {
  status: "joining",
  users: [],
  count: 0,
  partial: false,
  said: [],
  problem: null,
};

export function withPresence(
  room: RoomState,
  facts: { count: number; partial?: boolean; users?: Present[]; joined?: Present[]; left?: Present[] },
): RoomState {
  const { count, partial = false, users, joined = [], left = [] } = facts;
  const isCountAlone = !users && !facts.joined && !facts.left;
  const changed = new Set([...joined, ...left].map(({ id }) => id));
  const present = [...(users ?? room.users).filter(({ id }) => !changed.has(id)), ...joined];
  const gone = new Set(left.map(({ id }) => id));
  const said = room.said.filter(({ user }) => !gone.has(user));
  return { ...room, status: "live", count, partial, users: isCountAlone ? [] : present, said };
}

export function withSaid(room: RoomState, items: SaidItem[], at_ms: number): RoomState {
  const said = [...room.said];
  for (const { user, kind, data } of items) {
    const at = said.findIndex((other) => other.user === user && other.kind === kind);
    if (at >= 0) said.splice(at, 1);
    said.push({ user, kind, data, at_ms });
  }
  return { ...room, said };
}

export function withoutOld(room: RoomState, now_ms: number): RoomState {
  const said = room.said.filter(({ at_ms }) => now_ms - at_ms < SAID_MS);
  return said.length === room.said.length ? room : { ...room, said };
}
