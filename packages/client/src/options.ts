/* What a client is made with. */

import type { Client } from "./client";
import type { SocketLike } from "./connection";
import type { OfflineOptions } from "./offline/index";
import type { Transport } from "./platform/transport";
import type { PageData, User } from "./types";

export interface Session {
  user: User | null;
  csrf?: string;
}

/** Loaded when it is first needed. */
export type OfflineModule = Pick<typeof import("./offline/index"), "Offline">;

/** What a device has, in a chunk that the web never loads. */
export type NativeModule = Pick<typeof import("./platform/native"), "openTransport" | "nativePlatform">;

export interface ClientOptions {
  pageData?: PageData | null;
  platform?: Partial<Transport>;
  /** For native shells: () => import("@tims/client/native"). Never called on the web. */
  native?: () => Promise<NativeModule>;
  /** Asked when the backend ended the session; who is signed in now? Default: GET /api/auth/me/. */
  whoAmI?: (client: Client) => Promise<Session>;
  fetch?: typeof fetch;
  socket?: (url: string) => SocketLike;
  /** Where documents and writes survive a restart. Default: the browser's IndexedDB; null: nowhere. */
  cache?: OfflineOptions["cache"];
  /** How tabs find each other, to share one socket. Default: Web Locks and BroadcastChannel; null: they do not. */
  tabs?: OfflineOptions["tabs"];
  /** Loads the part for life without a network. Default: its own chunk, by import(). */
  offline?: () => Promise<OfflineModule>;
  random?: () => number;
}

/** Whether there may be a cache to look into, or other tabs, before the connection is opened. */
export function hasPast({ cache, tabs }: ClientOptions): boolean {
  try {
    const hasCache = cache === undefined ? Boolean(globalThis.indexedDB) : cache !== null;
    const hasTabs =
      tabs === undefined ? Boolean(globalThis.document && globalThis.navigator.locks) : tabs !== null;
    return hasCache || hasTabs;
  } catch {
    return false; // switched off by the browser
  }
}
