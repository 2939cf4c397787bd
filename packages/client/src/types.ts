/* The words of the client: rows, documents, page data, problems. */

/** One row as the API shows it. Ids are UUIDs as text, times RFC 3339 text in UTC. */
export interface Row {
  id: string;
}
export type AnyRow = Row & Record<string, unknown>;

/** The signed-in user as the backend tells it. */
export interface User extends Row {
  username: string;
  display_name: string;
  avatar: string;
  staff: boolean;
  email?: string | null;
}

/** What GET of a list answers. */
export interface ListDocument {
  rows: AnyRow[];
  total?: number | null;
  next?: string | null;
  previous?: string | null;
  position?: string;
  included?: Record<string, Record<string, AnyRow>>;
}
/** A list, a detail's row, null for a detail that is not there, or the JSON of a computed endpoint. */
export type LiveDocument = ListDocument | AnyRow | Record<string, unknown> | null;

/** What the backend hands to a rendered page, and what /page-data answers. */
export interface PageData {
  path: string;
  route: string;
  params: Record<string, string>;
  /** Of the project's languages: what the page is written in. */
  language: string;
  user: User | null;
  /** For forms that work without JavaScript, on pages that ask for it. */
  csrf?: string;
  /** "epoch-number": the snapshot in which all of `live` was read. */
  position: string;
  live: Record<string, LiveDocument>;
  values: Record<string, unknown>;
}

/** One problem with one field of a body. */
export interface FieldProblem {
  pointer: string;
  code: string;
  message: string;
}

/** A failed call, as plain data: an application/problem+json document, or status 0 for "no answer". */
export interface Problem {
  status: number;
  code: string;
  title: string;
  detail: string;
  errors: FieldProblem[];
  request_id?: string;
  retry_after_s?: number;
}

/**
 * loading: nothing to show yet · live: follows the backend · stale: shown from what is held while the connection is
 * away · error: refused, see `problem`.
 */
export type LiveStatus = "loading" | "live" | "stale" | "error";

export type MutationMethod = "POST" | "PUT" | "PATCH" | "DELETE";
/**
 * sending: on its way · waiting: met no server, or waits behind one that did not; sent by itself · confirmed: answered, not
 * yet seen in the stream · failed: refused, draft kept; the person decides.
 */
export type MutationStatus = "sending" | "waiting" | "confirmed" | "failed";

/**
 * What becomes of a write that meets no server. onlineOnly: it fails at once, its caller keeps the draft · queue: it waits
 * and is sent later · queueLatest: the same, in place of an earlier one by the same method to the same URL.
 */
export type OfflinePolicy = "onlineOnly" | "queue" | "queueLatest";

/** A file of a form, as it is kept. */
export interface KeptFile {
  name: string;
  type: string;
  base64: string;
}

/** A write that is on its way or waits, or that was refused and waits for the person to decide. */
export interface Mutation {
  /** Grows, so it is also their order. Sent as Idempotency-Key, unless there is a `sendKey`. */
  key: string;
  /** Of a draft that was changed after an earlier one had left. */
  sendKey?: string;
  kind: "create" | "update" | "delete" | "call";
  method: MutationMethod;
  url: string;
  /** What was sent: the draft. */
  body: Record<string, unknown> | null;
  /** The row it is about. */
  id: string | null;
  /** create: the row to show · update: the fields to show over the row. */
  row: Record<string, unknown> | null;
  /** Files of a form, by the names of their fields. */
  files?: Record<string, KeptFile>;
  offline: OfflinePolicy;
  /** How often it was sent without being answered: it may have arrived. */
  tries: number;
  status: MutationStatus;
  problem: Problem | null;
  epoch: string;
  position: number;
  created_ms: number;
}

export type ConnectionStatus = "idle" | "connecting" | "live" | "waiting" | "ended";
export interface ConnectionState {
  status: ConnectionStatus;
  epoch: string;
  position: number;
  /** Failed attempts in a row. */
  attempts: number;
}
