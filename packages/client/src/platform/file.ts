/* Files of the backend (pictures, downloads) as an address for `src` and `href`. */

import { useEffect, useState } from "react";
import type { Client } from "../client";
import { safePath } from "./links";

/** The file's bytes; asked for with the token, where it takes one. Throws what fetch throws, for refusals, and for what is
 * no path: behind the backend's address it might name somebody else, who would get the token. */
export async function fetchFile(client: Client, path: string): Promise<Blob> {
  const { apiBase, credentials, ready, token } = client.platform;
  if (!safePath(path)) throw new Error(`${path}: no path of the backend`);
  await ready;
  const held = token.get();
  const headers: HeadersInit = held ? { Authorization: `Bearer ${held}` } : {};
  const response = await fetch(apiBase + path, { credentials, headers });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.blob();
}

/** Calls once the connection is live again; not any more once the returned function was called. */
function whenBack(client: Client, then: () => void): () => void {
  const isLive = () => client.state.connection.status === "live";
  let wasLive = isLive();
  const stop = client.store.subscribe(() => {
    const isBack = isLive() && !wasLive;
    wasLive = isLive();
    if (!isBack) return;
    stop();
    then();
  });
  return stop;
}

/** On the web the path itself. On a device, whose requests for pictures carry no token, the file once it is here; null
 * until then, and when it cannot be had; that is tried again when the connection is back. */
export function useFile(client: Client, path: string | null): string | null {
  const { native } = client.platform;
  const [held, setHeld] = useState<{ path: string; address: string } | null>(null);
  const [tries, setTries] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what failed is tried again
  useEffect(() => {
    if (!native || path === null) return;
    let address: string | null = null;
    let isLeft = false;
    let stop = () => {};
    fetchFile(client, path).then(
      (file) => {
        if (isLeft) return;
        address = URL.createObjectURL(file);
        setHeld({ path, address });
      },
      () => {
        if (!isLeft) stop = whenBack(client, () => setTries((count) => count + 1));
      },
    );
    return () => {
      isLeft = true;
      stop();
      if (address) URL.revokeObjectURL(address);
    };
  }, [client, native, path, tries]);
  if (!native) return path;
  return held?.path === path ? held.address : null;
}
