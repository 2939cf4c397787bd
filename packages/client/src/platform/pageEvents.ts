/* What a page is told of itself: there is a network again, or none; it is looked at, or left. Nothing outside a browser. */

export interface PageEvents {
  /** Is the backend still there? `anew`: over another network, perhaps. */
  probe: (anew?: boolean) => void;
  /** It may be the last that is heard of the page. */
  save: () => void;
}

export function listenToPage({ probe, save }: PageEvents): void {
  globalThis.addEventListener?.("online", () => probe(true));
  globalThis.addEventListener?.("offline", () => probe());
  globalThis.addEventListener?.("pagehide", save);
  globalThis.document?.addEventListener?.("visibilitychange", () => {
    if (globalThis.document.visibilityState === "visible") probe();
    else save();
  });
}
