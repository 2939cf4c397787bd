/* A device's token: in its keychain, and in memory from the first reading on, since every call needs it. */

import type { TokenStore } from "./transport";

/** A secret of the device that others cannot read. */
export interface Keychain {
  read(): Promise<string | null>;
  write(value: string | null): Promise<void>;
}

interface KeptToken {
  token: string;
  refresh_ms: number;
}

/** A fresh token is asked for when a third of its life is left. */
const OLD_PART = 2 / 3;
const NEVER_MS = 8.64e15;

/** A keychain that cannot be read, or holds something else, is one without a token. */
async function readToken(keychain: Keychain): Promise<KeptToken | null> {
  try {
    const text = await keychain.read();
    const { token, refresh_ms } = JSON.parse(text ?? "{}") as Partial<KeptToken>;
    return typeof token === "string" && typeof refresh_ms === "number" ? { token, refresh_ms } : null;
  } catch (error) {
    console.error("The device's keychain cannot be read: sign in again.", error);
    return null;
  }
}

export async function openTokens(keychain: Keychain): Promise<TokenStore> {
  let held = await readToken(keychain);
  let tail: Promise<unknown> = Promise.resolve();
  return {
    get: () => held?.token ?? null,
    set(token, lifeS) {
      const refresh_ms = lifeS === undefined ? NEVER_MS : Date.now() + lifeS * 1000 * OLD_PART;
      held = token === null ? null : { token, refresh_ms };
      const text = held && JSON.stringify(held);
      const done = tail.then(() => keychain.write(text)); // in the order of the calls
      tail = done.catch(() => undefined);
      return done;
    },
    isOld: () => held !== null && Date.now() > held.refresh_ms,
  };
}
