/* Where the backend is and how we say who we are. On the web: the page's own origin and a cookie. In a native shell: an
 * address from the app's configuration, and a bearer token that the device keeps.
 *
 * The configuration is a global, `timsApp`, which a script of the shell's sets before all others (front/scripts/native.mjs
 * writes it). So one build of the pages serves the web and every shell. */

export interface TokenStore {
  get(): string | null;
  /** `lifeS`: for how long from now it is good. Resolves when it is kept. */
  set(token: string | null, lifeS?: number): void | Promise<void>;
  /** Whether it is time to ask for a fresh one. */
  isOld?(): boolean;
}

/** What the client needs to speak with the backend. */
export interface Transport {
  /** "" for the page's own origin, else "https://api.example.org" without a slash at the end. */
  apiBase: string;
  native: boolean;
  credentials: RequestCredentials;
  token: TokenStore;
  /** Nothing is sent before: a device's token is read from its keychain. */
  ready?: Promise<void>;
}

/** What a shell is told when it is built. */
export interface ShellConfig {
  /** Where the backend is: "https://chat.example.org". */
  api: string;
  /** Shows the developers' menu, which can name another backend. */
  development?: boolean;
  /** Other backends, for that menu: the name and the address. */
  apis?: Record<string, string>;
  /** Links of these hosts, and of this scheme, are pages of the app. */
  hosts?: string[];
  scheme?: string;
}

/** A secret of the device that others cannot read. */
export interface Keychain {
  read(): Promise<string | null>;
  write(value: string | null): Promise<void>;
}

interface ShellGlobal {
  Capacitor?: { isNativePlatform?: () => boolean };
  timsApp?: ShellConfig;
}

export function isNative(): boolean {
  return (globalThis as ShellGlobal).Capacitor?.isNativePlatform?.() === true;
}

export function shellConfig(): ShellConfig {
  return (globalThis as ShellGlobal).timsApp ?? { api: "" };
}

/** Where the developers' menu keeps its choice. */
export const API_KEY = "tims-api";

function shellApi(): string {
  const { api, development } = shellConfig();
  let chosen: string | null = null;
  try {
    if (development) chosen = localStorage.getItem(API_KEY);
  } catch {
    // no storage, no choice
  }
  return (chosen ?? api).replace(/\/+$/, "");
}

const NO_TOKEN: TokenStore = { get: () => null, set: () => undefined };

interface KeptToken {
  token: string;
  refresh_ms: number;
}

/** A fresh token is asked for when a third of its life is left. */
const OLD_PART = 2 / 3;

/** In memory from the first reading on, since every call needs it. */
function deviceTokens(keychain: Promise<Keychain>): { token: TokenStore; ready: Promise<void> } {
  let held: KeptToken | null = null;
  let tail: Promise<unknown> = keychain
    .then((it) => it.read())
    .then((text) => {
      held = text === null ? null : (JSON.parse(text) as KeptToken);
    })
    .catch((error) => console.error("The device's keychain cannot be read: sign in again.", error));
  const token: TokenStore = {
    get: () => held?.token ?? null,
    set(value, lifeS = Number.POSITIVE_INFINITY) {
      held =
        value === null
          ? null
          : { token: value, refresh_ms: Math.min(Date.now() + lifeS * 1000 * OLD_PART, 8.64e15) };
      const text = held && JSON.stringify(held);
      const done = tail.then(() => keychain).then((it) => it.write(text)); // in the order of the calls
      tail = done.catch(() => undefined);
      return done;
    },
    isOld: () => held !== null && Date.now() > held.refresh_ms,
  };
  return { token, ready: tail.then(() => undefined) };
}

export function detectTransport(keychain: () => Promise<Keychain>): Transport {
  return isNative()
    ? { apiBase: shellApi(), native: true, credentials: "omit", ...deviceTokens(keychain()) }
    : { apiBase: "", native: false, credentials: "same-origin", token: NO_TOKEN };
}

/** http → ws, https → wss; relative bases resolve against the page. */
export function liveSocketUrl(transport: Transport): string {
  const base = transport.apiBase || globalThis.location?.origin || "";
  return `${base.replace(/^http/, "ws")}/live`;
}
