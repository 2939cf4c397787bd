/* In place of the worker, when app.config.json switches it off: browsers that still have one look for a newer, find this,
 * and are rid of both. */
self.addEventListener("install", () => skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(leave()));

async function leave() {
  for (const name of await caches.keys()) if (name.startsWith("tims ")) await caches.delete(name);
  await registration.unregister();
}
