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

const NO_TOKEN: TokenStore = { get: () => null, set: () => undefined };

/** `open` completes what a device has to be asked for: its token, above all. */
export function detectTransport(open: (transport: Transport) => Promise<unknown>): Transport {
  const native = isNative();
  const transport: Transport = {
    apiBase: native ? shellConfig().api : "",
    native,
    credentials: native ? "omit" : "same-origin",
    token: NO_TOKEN,
  };
  if (native) transport.ready = open(transport).then(() => undefined, console.error);
  return transport;
}

/** http → ws, https → wss; relative bases resolve against the page. */
export function liveSocketUrl(transport: Transport): string {
  const base = transport.apiBase || globalThis.location?.origin || "";
  return `${base.replace(/^http/, "ws")}/live`;
}
