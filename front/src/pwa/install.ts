/* Installing the app: where the browser offers it we ask it when somebody wants to; on iOS we say how it is done. */
import { isNative } from "@tims/client";
import { useSyncExternalStore } from "react";

/** browser: it asks when told to · ios: by hand, from the share sheet · null: installed already, or it cannot be. */
export type InstallWay = "browser" | "ios" | null;

interface InstallOffer extends Event {
  prompt: () => Promise<unknown>;
}

let offer: InstallOffer | null = null;
const listeners = new Set<() => void>();
const tell = () => {
  for (const listener of listeners) listener();
};

// At once: the browser says it only one time, and may say it before anything is rendered.
if (typeof window !== "undefined") {
  window.addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault(); // no bar of the browser's own
    offer = event as InstallOffer;
    tell();
  });
  window.addEventListener("appinstalled", () => {
    offer = null;
    tell();
  });
}

function isIos(): boolean {
  const { userAgent, maxTouchPoints } = navigator;
  return /iPhone|iPad|iPod/.test(userAgent) || (/Macintosh/.test(userAgent) && maxTouchPoints > 1);
}

function isInstalled(): boolean {
  const { standalone } = navigator as { standalone?: boolean }; // iOS says it so
  return standalone === true || matchMedia("(display-mode: standalone)").matches;
}

function currentWay(): InstallWay {
  if (isNative() || isInstalled()) return null;
  if (offer) return "browser";
  return isIos() ? "ios" : null;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useInstallWay(): InstallWay {
  return useSyncExternalStore(subscribe, currentWay, () => null);
}

/** Lets the browser ask. It does so once an offer; when it was declined there is none until the browser makes another. */
export async function install(): Promise<void> {
  const asked = offer;
  offer = null;
  await asked?.prompt();
  tell();
}

const SEEN = "install-hint";

function wantsHint(): boolean {
  try {
    return localStorage.getItem(SEEN) === null;
  } catch {
    return false; // it could not be sent away for good
  }
}

/** Whether the hint may show: until it is sent away. */
export function useWantsHint(): boolean {
  return useSyncExternalStore(subscribe, wantsHint, () => false);
}

export function hintSeen(): void {
  try {
    localStorage.setItem(SEEN, "1");
  } catch {
    // then it was not shown either
  }
  tell();
}
