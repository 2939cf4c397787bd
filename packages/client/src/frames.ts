/* Frames of the live protocol (docs/reference/live-protocol.md, version 2), and the gate through which they come in.
 *
 * What the backend sends is trusted to be meant well, not to be well formed: a frame whose members are missing or of
 * another type is `malformed` as a whole, one of a kind that this version does not know is `unknown`, and an
 * operation that it does not know is passed over. So nothing behind the gate checks types again. */

import type { AnyRow, LiveDocument } from "./types";

export const PROTOCOL = 2;

/** The view of who may see nothing now: no operation comes for it. */
export const VIEW_OF_NOTHING = 0;

export const CLOSE_PROTOCOL = 4400;
export const CLOSE_SESSION = 4401;
export const CLOSE_TIMEOUT = 4408;

/** What a snap says of its window. */
export interface WindowFacts {
  order: string;
  /** Rows that the window may hold; null: not told, nothing is let go of. */
  limit: number | null;
  end: boolean;
  detail: boolean;
  /** A computed endpoint: JSON, no rows. */
  computed: boolean;
}

export type Operation =
  | { op: "put"; id: string; row: AnyRow }
  | { op: "del"; id: string }
  | { op: "total"; total: number | null }
  | { op: "end"; end: boolean }
  | { op: "include"; field: string; id: string; row: AnyRow }
  | { op: "exclude"; field: string; id: string }
  | { op: "patch"; patch: unknown }
  | ({ op: "load"; document: LiveDocument; reason?: string } & WindowFacts);

/** Which view or which one subscription an operation is for. */
export type Addressed = Operation & { view?: number; sub?: number };

export interface Present {
  id: string;
  state?: Record<string, unknown>;
}
export interface SaidItem {
  user: string;
  kind: string;
  data: unknown;
}

interface Told extends WindowFacts {
  sub: number;
  view: number;
  position: number;
}
export type Frame =
  | { t: "welcome"; epoch: string; position: number; user: string | null; heartbeat_ms?: number }
  | ({ t: "snap"; document: LiveDocument } & Told)
  | ({ t: "resumed"; ops: Addressed[] } & Told)
  | { t: "tx"; position: number; ops: Addressed[] }
  | {
      t: "window";
      sub: number;
      view: number;
      position: number;
      limit: number;
      end: boolean;
      ops: Addressed[];
    }
  | { t: "reset"; sub: number; reason: string }
  | { t: "error"; sub?: number; join?: number; status: number; code: string; message: string }
  | { t: "pong"; position: number }
  | { t: "bye"; reason: string; retry_ms?: number }
  | {
      t: "presence";
      /** The answer to it. */
      join?: number;
      room: number;
      count: number;
      /** The server hears only those connected to it at the moment. */
      partial?: boolean;
      users?: Present[];
      joined?: Present[];
      left?: Present[];
    }
  | { t: "said"; room: number; items: SaidItem[] };

type Shape = Record<string, string>;

/** Members and their types; "?" at the end: may be absent. */
const FRAMES: Record<string, Shape> = {
  welcome: { epoch: "string", position: "number", heartbeat_ms: "number?" },
  snap: { sub: "number", view: "number", position: "number", document: "any" },
  resumed: { sub: "number", view: "number", position: "number", ops: "array" },
  tx: { position: "number", ops: "array" },
  window: {
    sub: "number",
    view: "number",
    position: "number",
    limit: "number",
    end: "boolean",
    ops: "array",
  },
  reset: { sub: "number" },
  error: { sub: "number?", join: "number?", status: "number", code: "string" },
  pong: { position: "number" },
  bye: { retry_ms: "number?" },
  presence: {
    join: "number?",
    room: "number",
    count: "number",
    partial: "boolean?",
    users: "array?",
    joined: "array?",
    left: "array?",
  },
  said: { room: "number", items: "array" },
};
const WINDOW: Shape = {
  order: "string?",
  limit: "number?",
  end: "boolean?",
  detail: "boolean?",
  computed: "boolean?",
};
const OPERATIONS: Record<string, Shape> = {
  put: { id: "string", row: "row" },
  del: { id: "string" },
  total: {},
  end: { end: "boolean" },
  include: { field: "string", id: "string", row: "row" },
  exclude: { field: "string", id: "string" },
  patch: {},
  load: { sub: "number?", view: "number", document: "any", ...WINDOW },
};

type Members = Record<string, unknown>;

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isOf(type: string, value: unknown): boolean {
  if (type.endsWith("?")) return value === undefined || isOf(type.slice(0, -1), value);
  if (type === "array") return Array.isArray(value);
  if (type === "row") return isObject(value) && typeof value.id === "string";
  if (type === "number") return Number.isFinite(value);
  if (type === "any") return value !== undefined;
  return typeof value === type;
}

function hasShape(shape: Shape, members: Members): boolean {
  return Object.entries(shape).every(([name, type]) => isOf(type, members[name]));
}

function withWindowFacts(members: Members): void {
  members.order ??= "";
  members.limit ??= null;
  members.end = members.end === true;
  members.detail = members.detail === true;
  members.computed = members.computed === true;
}

/** The operations that are known; null: one of them is malformed. */
function readOperations(list: unknown[]): Addressed[] | null {
  const known: Addressed[] = [];
  for (const operation of list) {
    if (!isObject(operation)) return null;
    const shape = OPERATIONS[String(operation.op)];
    if (!shape) continue;
    if (!hasShape(shape, operation)) return null;
    if (operation.op === "load") withWindowFacts(operation);
    known.push(operation as unknown as Addressed);
  }
  return known;
}

export function readFrame(text: string): Frame | "unknown" | "malformed" {
  let members: unknown;
  try {
    members = JSON.parse(text);
  } catch {
    return "malformed";
  }
  if (!isObject(members) || typeof members.t !== "string") return "malformed";
  const shape = FRAMES[members.t];
  if (!shape) return "unknown";
  if (!hasShape(shape, members)) return "malformed";
  if (members.t === "snap" || members.t === "resumed") {
    if (!hasShape(WINDOW, members)) return "malformed";
    withWindowFacts(members);
  }
  if (Array.isArray(members.ops)) {
    const operations = readOperations(members.ops);
    if (!operations) return "malformed";
    members.ops = operations;
  }
  if (members.t === "presence" || members.t === "said") {
    const lists = [members.users, members.joined, members.left, members.items];
    if (!lists.every((list) => list === undefined || (list as unknown[]).every(isObject))) return "malformed";
  }
  return members as unknown as Frame;
}
