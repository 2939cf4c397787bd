/* The service worker: the app opens without a network, and stays one version.
 *
 * It keeps what the build made and nothing else: shells, scripts, styles, pictures. Pages as the server renders them and
 * answers of the API are somebody's; they are not kept here (what was shown last is the client's to keep, by person, in
 * IndexedDB). scripts/worker.mjs writes the facts of a build above this text: BUILD, FILES (all to keep), ROUTES
 * ([pattern, shell], as the router would try them) and MISSING (the shell of what is not there).
 *
 * A cache belongs to one build and bears its name. Each page holds a shared Web Lock of its build's name for as long as
 * it lives, so a cache goes when no page is left that may ask for its scripts. */

const CACHE = `tims ${BUILD}`;
const DEADLINE_MS = 3_000; // of a page from the network, where there is a shell instead
const SOMEBODYS = /^\/(api|live|page-data|ws|_shell)(\/|$)/;
const GATEWAY = [502, 503, 504]; // nobody behind it answers
const KEPT = new Set(FILES);

async function install() {
  const cache = await caches.open(CACHE);
  await cache.addAll(
    FILES.map(
      (url) =>
        new Request(url, {
          cache: url.startsWith("/_next/static/") ? "default" : "no-cache", // the former never change
          credentials: "omit",
        }),
    ),
  );
  // While nodes are being deployed one by one, shells of another build may answer: the next visit tries again.
  const shell = await cache.match(MISSING);
  if ((await shell.text()).includes(BUILD)) return;
  await caches.delete(CACHE);
  throw new Error("the server has another build");
}

/** Caches of builds that no page is of any more. */
async function sweep() {
  const { held } = (await navigator.locks?.query()) ?? { held: [] };
  const used = new Set(held.map(({ name }) => name));
  for (const name of await caches.keys())
    if (name.startsWith("tims ") && name !== CACHE && !used.has(name)) await caches.delete(name);
}

async function activate() {
  await registration.navigationPreload?.enable();
  await clients.claim();
  await sweep();
}

async function answerFile(request) {
  const cache = await caches.open(CACHE);
  // Other builds' caches are for pages that are still of them.
  return (await cache.match(request)) ?? (await caches.match(request)) ?? fetch(request);
}

async function shellFor(path, status) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(path);
  return kept && new Response(kept.body, { status, headers: kept.headers });
}

const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function answerPage(network, path) {
  const route = ROUTES.find(([pattern]) => new RegExp(pattern).test(path));
  // What is on no map may be the backend's own, however slow; only when nobody answers it is "not there".
  const [shell, status] = route ? [route[1], 200] : [MISSING, 404];
  const first = route ? Promise.race([network, later(DEADLINE_MS)]) : network;
  const answer = await first.catch(() => undefined);
  if (answer && !GATEWAY.includes(answer.status)) return answer;
  return (await shellFor(shell, status)) ?? network;
}

/** A path of the app, and nothing that a browser might take for another site's. */
const isPath = (path) => typeof path === "string" && /^\/(?![/\\])/.test(path) && !/[\s\\]/.test(path);

/** Goes to where a notification leads, in the page that was looked at last. */
async function open(path) {
  const pages = await clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = pages.find(({ url }) => !SOMEBODYS.test(new URL(url).pathname));
  if (!page) return clients.openWindow(path ?? "/");
  await page.focus().catch(() => undefined); // where the browser does not let us, it goes there all the same
  if (path) page.postMessage({ open: path });
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin || SOMEBODYS.test(pathname)) return;
  if (request.mode === "navigate") {
    const network = Promise.resolve(event.preloadResponse).then((early) => early ?? fetch(request));
    event.waitUntil(network.catch(() => undefined));
    event.respondWith(answerPage(network, pathname));
  } else if (KEPT.has(pathname) || pathname.startsWith("/_next/static/")) {
    event.respondWith(answerFile(request));
  }
});

// Notifications are the pages' (platform/web.ts of the client), which listen for { open: path }.
self.addEventListener("notificationclick", (event) => {
  const { notification } = event;
  const path = notification.data?.path;
  notification.close();
  event.waitUntil(open(isPath(path) ? path : null));
});

// From pages: "build" asks which build this is of, "take over" ends the old worker, "here" says that a page has begun; one
// that was on its way when this worker began is not answered by it yet.
self.addEventListener("message", (event) => {
  if (event.data === "build") event.ports[0]?.postMessage(BUILD);
  if (event.data === "take over") event.waitUntil(skipWaiting());
  if (event.data === "here") event.waitUntil(clients.claim().then(sweep));
});
