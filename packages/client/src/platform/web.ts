/* The platform, as a browser has it. */

import { safePath } from "./links";
import { shellConfig, type Transport } from "./transport";
import type { Leave, PermissionState, Platform } from "./types";

/** Listens until it is told to leave. */
export function listen(
  target: EventTarget | null | undefined,
  names: string[],
  listener: EventListener,
): Leave {
  for (const name of names) target?.addEventListener?.(name, listener);
  return () => {
    for (const name of names) target?.removeEventListener?.(name, listener);
  };
}

/** Whether it went well; nothing is thrown. */
export async function went(work: () => unknown): Promise<boolean> {
  try {
    await work();
    return true;
  } catch {
    return false;
  }
}

/** Pixels below what is seen of the page: a keyboard, where the page was not made smaller for it. */
export function onVisualInset(listener: (insetPx: number) => void): Leave {
  const { visualViewport } = globalThis;
  const tell = () => {
    if (!visualViewport || visualViewport.scale > 1.01) return; // zoomed in: what is not seen is not covered
    const inset = globalThis.innerHeight - visualViewport.height - visualViewport.offsetTop;
    listener(inset > 60 ? Math.round(inset) : 0); // bars that come and go are no keyboard
  };
  return listen(visualViewport, ["resize", "scroll"], tell);
}

const opened = new Set<(path: string) => void>();

async function showNotification({
  title,
  body,
  path,
  tag,
}: Parameters<Platform["notifications"]["show"]>[0]) {
  if (Notification.permission !== "granted") return false;
  const options = { body, tag, icon: "/icons/icon-192.png", data: { path } };
  const worker = await navigator.serviceWorker?.getRegistration();
  // A click is the worker's to hear of; it tells a page, see links below.
  if (worker?.active) return went(() => worker.showNotification(title, options));
  return went(() => {
    const shown = new Notification(title, options);
    shown.onclick = () => {
      globalThis.focus();
      const to = safePath(path);
      if (to) for (const listener of opened) listener(to);
    };
  });
}

const stateOf = (): PermissionState =>
  typeof Notification === "undefined"
    ? "denied"
    : Notification.permission === "default"
      ? "prompt"
      : Notification.permission;

const VIBRATIONS_MS = { tap: 10, success: [10, 60, 20], warning: [30, 60, 30] };

export function webPlatform(transport: Transport): Platform {
  const has = (name: string) => name in navigator;
  return {
    ...transport,
    kind: "web",
    config: shellConfig(),
    share: { available: has("share"), share: (what) => went(() => navigator.share(what)) },
    clipboard: {
      available: Boolean(navigator.clipboard),
      write: (text) => went(() => navigator.clipboard.writeText(text)),
    },
    haptics: {
      available: has("vibrate"),
      play: (kind) => void went(() => navigator.vibrate(VIBRATIONS_MS[kind])),
    },
    keyboard: {
      available: Boolean(globalThis.visualViewport),
      onChange: onVisualInset,
      hide: () => (document.activeElement as HTMLElement | null)?.blur?.(),
    },
    statusBar: {
      available: true,
      follow({ colour }) {
        let meta = document.querySelector<HTMLMetaElement>('meta[name="theme-color"]:not([media])');
        if (!meta) {
          meta = document.createElement("meta");
          meta.name = "theme-color";
          document.head.append(meta);
        }
        meta.content = colour;
      },
    },
    back: { available: false, onBack: () => () => undefined }, // the browser's own button is the history's
    network: {
      online: () => navigator.onLine !== false,
      onChange: (listener) =>
        listen(globalThis, ["online", "offline"], () => listener(navigator.onLine !== false)),
    },
    lifecycle: {
      onPause: (listener) => listen(document, ["visibilitychange"], () => document.hidden && listener()),
      onResume: (listener) => listen(document, ["visibilitychange"], () => !document.hidden && listener()),
    },
    links: {
      available: true,
      onOpen(listener) {
        opened.add(listener);
        const leave = listen(navigator.serviceWorker, ["message"], (event) => {
          const to = safePath((event as MessageEvent<{ open?: unknown } | null>).data?.open);
          if (to) listener(to);
        });
        return () => {
          opened.delete(listener);
          leave();
        };
      },
    },
    notifications: {
      available: typeof Notification !== "undefined",
      state: async () => stateOf(),
      async ask() {
        if (typeof Notification !== "undefined") await went(() => Notification.requestPermission());
        return stateOf();
      },
      show: async (what) => typeof Notification !== "undefined" && showNotification(what),
    },
    push: { available: false, state: async () => "denied", register: async () => null },
  };
}
