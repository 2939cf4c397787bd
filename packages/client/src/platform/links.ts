/* From an address outside to a path inside. */

import type { ShellConfig } from "./transport";

/** "/chat/1" for https://chat.example.org/chat/1 and for scheme://chat/1; null: not ours. */
export function pathOfLink(link: string, config: ShellConfig): string | null {
  let url: URL;
  try {
    url = new URL(link);
  } catch {
    return null;
  }
  const rest = url.pathname + url.search + url.hash;
  if (config.scheme && url.protocol === `${config.scheme}:`) return safePath(`/${url.host}${rest}`);
  return url.protocol === "https:" && config.hosts?.includes(url.host) ? safePath(rest) : null;
}

/** A path of the app, and nothing that a browser might take for another site's. */
export function safePath(path: unknown): string | null {
  return typeof path === "string" && /^\/(?![/\\])/.test(path) && !/[\s\\]/.test(path) ? path : null;
}
