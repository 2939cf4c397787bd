/* Signing in and out, on the web by a cookie, on a device by a token. */

import type { Client } from "../client";
import type { User } from "../types";

/** What the account's endpoints answer. */
interface Who {
  user: User | null;
  csrf: string;
  /** A device's. */
  token?: string;
  expires_in_s?: number;
}

/** Keeps a device's fresh token and goes on as whoever the answer names. */
export async function takeWho(client: Client, { user, csrf, token, expires_in_s }: Who): Promise<void> {
  const isSame = client.state.user?.id === user?.id;
  if (token) await client.platform.token.set(token, expires_in_s);
  client.setSession(user, csrf);
  if (token && isSame) client.connection?.auth(token); // the socket of a new one begins with it
}

/** What the person finds in a list of the own devices. */
function deviceName(): string {
  return globalThis.navigator?.userAgent.slice(0, 100) ?? "";
}

/** Throws ApiError. */
export async function signIn(client: Client, body: { username: string; password: string }): Promise<void> {
  const { native } = client.platform;
  const { data } = native
    ? await client.api<Who>("POST", "/api/auth/token/", { body: { ...body, label: deviceName() } })
    : await client.api<Who>("POST", "/api/auth/login/", { body });
  await takeWho(client, data);
}

/** Makes an account and signs in. Throws ApiError. */
export async function register(
  client: Client,
  body: { username: string; password: string; email?: string; display_name?: string },
): Promise<void> {
  const device = client.platform.native ? { device: deviceName() } : {};
  const { data } = await client.api<Who>("POST", "/api/auth/register/", { body: { ...body, ...device } });
  await takeWho(client, data);
}

/** Ends the session there, and the token here. Throws ApiError, and then nothing has ended. */
export async function signOut(client: Client, everywhere = false): Promise<void> {
  await client.api("POST", everywhere ? "/api/auth/logout-everywhere/" : "/api/auth/logout/");
  await client.platform.token.set(null);
  client.setSession(null, "");
}

let refreshing: Promise<void> | null = null;

/** A fresh token in time. One that cannot be had now is asked for again later. */
export function refreshToken(client: Client): Promise<void> {
  if (!client.platform.token.isOld?.()) return Promise.resolve();
  refreshing ??= client
    .api<Who>("POST", "/api/auth/token/refresh/")
    .then(({ data }) => takeWho(client, data))
    .catch(() => undefined)
    .finally(() => {
      refreshing = null;
    });
  return refreshing;
}
