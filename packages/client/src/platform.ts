/* Where the backend is and how we say who we are. On the web: the page's own origin and a cookie. In a native shell
 * (or any other origin): NEXT_PUBLIC_API and a bearer token. */

declare const process: { env: Record<string, string | undefined> } | undefined;

export interface TokenStore {
  get(): string | null;
  set(token: string | null): void;
}

export interface Platform {
  /** "" for the page's own origin, else "https://api.example.org" without a slash at the end. */
  apiBase: string;
  native: boolean;
  credentials: RequestCredentials;
  token: TokenStore;
}

interface CapacitorGlobal {
  Capacitor?: { isNativePlatform?: () => boolean };
}

export function isNative(): boolean {
  return (globalThis as CapacitorGlobal).Capacitor?.isNativePlatform?.() === true;
}

function configuredBase(): string {
  // Written out in full: bundlers replace exactly this expression.
  const base = typeof process === "undefined" ? undefined : process.env.NEXT_PUBLIC_API;
  return (base ?? "").replace(/\/+$/, "");
}

/** Kept in local storage under one name; a native shell may hand in its own keychain instead. */
export function localTokenStore(name = "tims-token"): TokenStore {
  const storage = (): Storage | null => {
    try {
      return globalThis.localStorage ?? null;
    } catch {
      return null; // storage switched off by the browser
    }
  };
  return {
    get: () => storage()?.getItem(name) ?? null,
    set: (token) => (token === null ? storage()?.removeItem(name) : storage()?.setItem(name, token)),
  };
}

const NO_TOKEN: TokenStore = { get: () => null, set: () => undefined };

export function detectPlatform(): Platform {
  const native = isNative();
  const apiBase = native ? configuredBase() : "";
  return {
    apiBase,
    native,
    credentials: native ? "omit" : "same-origin",
    token: native ? localTokenStore() : NO_TOKEN,
  };
}

/** http → ws, https → wss; relative bases resolve against the page. */
export function liveSocketUrl(platform: Platform): string {
  const base = platform.apiBase || globalThis.location?.origin || "";
  return `${base.replace(/^http/, "ws")}/live`;
}
