/* @tims/client/platform: what differs between a browser and a device, for an app's components.
 *
 * Small: the platform itself comes by import() once the page is alive, so that nothing of it stands in the way of the
 * first paint, and what a server has rendered is what a browser shows first. */

import { useSyncExternalStore } from "react";
import type { Client } from "../client";
import type { PlatformHost } from "./attach";
import type { Leave, Platform } from "./types";

export type { PlatformHost } from "./attach";
export { fetchFile, useFile } from "./file";
export { API_KEY } from "./keys";
export { pathOfLink, safePath } from "./links";
export { refreshToken, register, signIn, signOut, takeWho } from "./session";
export { shellConfig } from "./transport";
export type { PermissionState, Platform, PushAddress } from "./types";

let current: Platform | null = null;
const listeners = new Set<() => void>();

function become(platform: Platform | null): void {
  current = platform;
  for (const listener of listeners) listener();
}

/** From an effect of the app's root; until the returned function is called. */
export function startPlatform(client: Client, host: PlatformHost): Leave {
  let isLeft = false;
  let leave: Leave | null = null;
  void import("./attach").then(async ({ attachPlatform, openPlatform }) => {
    const platform = await openPlatform(client);
    if (isLeft) return;
    leave = attachPlatform(client, platform, host);
    become(platform);
  });
  return () => {
    isLeft = true;
    leave?.();
    become(null);
  };
}

/** Tells the backend where this person's pushes go, see attach.ts; asks the person, if need be. */
export async function registerPush(client: Client, platform: Platform): Promise<boolean> {
  return (await import("./attach")).registerPush(client, platform);
}

function subscribe(listener: () => void): Leave {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** null on the server and until it is there. */
export function usePlatform(): Platform | null {
  return useSyncExternalStore(
    subscribe,
    () => current,
    () => null,
  );
}
