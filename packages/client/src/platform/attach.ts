/* Ties the platform to the client and to the app's router. In a chunk of its own, loaded after hydration. */

import { problemFrom } from "../api";
import type { Client } from "../client";
import { refreshToken } from "./session";
import type { Leave, Platform } from "./types";
import { webPlatform } from "./web";

export interface PlatformHost {
  /** Goes to a page of the app. */
  open(path: string): void;
}

/** The page's bottom, above the keyboard: `padding-bottom: var(--keyboard-inset, 0px)`. */
const INSET = "--keyboard-inset";

export async function openPlatform(client: Client): Promise<Platform> {
  const { options, platform } = client;
  await platform.ready;
  if (!platform.native) return webPlatform(platform);
  if (!options.native)
    throw new Error('createClient needs { native: () => import("@tims/client/native") } here.');
  return (await options.native()).nativePlatform(platform);
}

/** Until the returned function is called. */
export function attachPlatform(client: Client, platform: Platform, host: PlatformHost): Leave {
  const fresh = () => void client.platform.ready?.then(() => refreshToken(client));
  fresh();
  const leaves = [
    platform.lifecycle.onPause(() => void client.save()),
    platform.lifecycle.onResume(() => {
      client.connection?.probe();
      fresh();
    }),
    platform.network.onChange((online) => {
      if (!online) return;
      client.connection?.probe(true);
      fresh();
    }),
    platform.keyboard.onChange((insetPx) =>
      document.documentElement.style.setProperty(INSET, `${insetPx}px`),
    ),
    platform.links.onOpen((path) => host.open(path)),
  ];
  return () => {
    for (const leave of leaves) leave();
  };
}

/** Where pushes for whoever is signed in are to go, told to the backend. At each start, since addresses change.
 * False: the person or the service does not want to, or the backend could not be told. */
export async function registerPush(client: Client, platform: Platform): Promise<boolean> {
  if (!platform.push.available || client.state.user === null) return false;
  const address = await platform.push.register();
  if (!address) return false;
  const locale = globalThis.navigator?.language ?? "";
  try {
    await client.api("POST", "/api/push/devices/", { body: { ...address, locale } });
    return true;
  } catch (error) {
    console.warn(`This device is not told to the backend: ${problemFrom(error).detail}`);
    return false;
  }
}
