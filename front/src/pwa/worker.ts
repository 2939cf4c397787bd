/* This tab and the service worker: has a newer version of the app been deployed?
 *
 * A new worker waits beside the old one. Nothing is loaded anew until somebody asks for it: the hint does
 * (layout/Hints.tsx). Until then the tab works on with its own scripts: it holds a lock of its build's name, and as long
 * as any tab does, the workers keep that build's files (worker/worker.js). */
import { isNative, useConnection } from "@tims/client";
import { useEffect, useSyncExternalStore } from "react";

const ANSWER_MS = 2_000; // of a worker that is asked for its build

let registration: ServiceWorkerRegistration | null = null;
let hasNewer = false;
let isStarted = false;
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tellNewer(): void {
  hasNewer = true;
  for (const listener of listeners) listener();
}

const ownBuild = (): string => window.__NEXT_DATA__.buildId;

function buildOf(worker: ServiceWorker): Promise<string | null> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => resolve(String(data));
    setTimeout(() => resolve(null), ANSWER_MS);
    worker.postMessage("build", [port2]);
  });
}

function installed(worker: ServiceWorker): Promise<void> {
  return new Promise((resolve) => {
    const look = () => worker.state === "installed" && resolve();
    worker.addEventListener("statechange", look);
    look();
  });
}

/** A page that came from the server after the deployment is new already: then its worker has nothing to wait for. */
async function meet(worker: ServiceWorker | null): Promise<void> {
  if (!worker || !registration?.active) return; // the first one ever
  await installed(worker);
  if ((await buildOf(worker)) === ownBuild()) worker.postMessage("take over");
  else tellNewer();
}

async function start(): Promise<void> {
  void navigator.locks?.request(`tims ${ownBuild()}`, { mode: "shared" }, () => new Promise(() => {}));
  const { serviceWorker } = navigator;
  let { controller } = serviceWorker;
  serviceWorker.addEventListener("controllerchange", async () => {
    const before = controller;
    controller = serviceWorker.controller;
    if (before && controller && (await buildOf(controller)) !== ownBuild()) tellNewer(); // another tab has taken it
  });
  registration = await serviceWorker.register("/worker.js", { updateViaCache: "none" });
  registration.addEventListener("updatefound", () => void meet(registration?.installing ?? null));
  registration.active?.postMessage("here");
  await meet(registration.waiting);
}

/** Switched off in this build, or while developing. */
async function remove(): Promise<void> {
  await (await navigator.serviceWorker.getRegistration())?.unregister();
}

function begin(): void {
  if (isStarted || isNative() || !("serviceWorker" in navigator)) return;
  isStarted = true;
  // Without it (private windows, storage switched off) the app is online only.
  const work = () => (process.env.SERVICE_WORKER ? start() : remove()).catch(() => undefined);
  if (document.readyState === "complete") void work();
  else window.addEventListener("load", () => void work(), { once: true });
}

/** Whether a newer version is there than this tab's. Servers are deployed by a restart: who is back
 * looks, as does who is too old for them. */
export function useNewVersion(): boolean {
  const { status } = useConnection();
  useEffect(begin, []);
  useEffect(() => {
    if (status === "live" || status === "ended") registration?.update().catch(() => undefined);
  }, [status]);
  return useSyncExternalStore(
    subscribe,
    () => hasNewer,
    () => false,
  );
}

/** Loads this tab anew, in the newer version. What is typed comes along (typed.ts). */
export function takeNewVersion(): void {
  const waiting = registration?.waiting;
  const reload = () => window.location.reload();
  if (!waiting) {
    reload(); // another tab has let the new worker in
    return;
  }
  navigator.serviceWorker.addEventListener("controllerchange", reload, { once: true });
  waiting.postMessage("take over");
}
