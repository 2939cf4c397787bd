// The service worker of a build: worker/worker.js with the facts of the build above it, as public/worker.js (git-ignored).
// Facts: what is to be kept, and which address has which exported shell. Switched off in app.config.json, what takes its
// place removes the worker from browsers that have one.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const front = dirname(import.meta.dirname);

/** Public files that are not for pages: robots, the worker itself, and pictures that only launchers show. */
const NOT_KEPT = /^(robots\.txt|worker\.js|favicon\.ico|icons\/(icon|maskable)-512\.png)$/;
/** Pages that no address leads to. */
const ERRORS = new Set(["/404", "/500"]);

/** Names below a folder, sorted, without compressed copies and without what is in folders of names that `without` matches. */
export function filesBelow(folder, without = /^$/) {
  const found = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory() && !without.test(entry.name)) {
      const inside = filesBelow(join(folder, entry.name), without);
      found.push(...inside.map((name) => join(entry.name, name)));
    } else if (entry.isFile() && !/\.(br|gz)$/.test(entry.name)) found.push(entry.name);
  }
  return found.sort();
}

/** Where a shell is fetched: encoded as browsers write it. */
const shellAddress = (page) => `/_shell${encodeURI(page)}.html`;

/** "/chat/[chat]" → the expression of the paths that it answers. */
export function patternOf(page) {
  const parts = page
    .split("/")
    .slice(1)
    .filter((part) => part !== "")
    .map((part) => {
      if (/^\[\[\.\.\..+\]\]$/.test(part)) return "(/.+)?";
      if (/^\[\.\.\..+\]$/.test(part)) return "/.+";
      if (/^\[.+\]$/.test(part)) return "/[^/]+";
      return `/${part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`;
    });
  return `^${parts.join("")}/?$`;
}

// Plain names before parameters, parameters before the rest of a path.
const rank = (page) => page.replace(/\[\[?\.\.\.[^/]+/g, "\uffff").replace(/\[[^/]+/g, "\ufffe");

/** [pattern, shell] of every exported page, in the order in which they are to be tried. */
export function routesOf(htmlFiles) {
  const pages = htmlFiles
    .map((file) => `/${file.replace(/\.html$/, "")}`)
    .filter((page) => !ERRORS.has(page))
    .map((page) => [page === "/index" ? "/" : page, shellAddress(page)]);
  return pages
    .sort(([a], [b]) => (rank(a) < rank(b) ? -1 : 1))
    .map(([page, shell]) => [patternOf(page), shell]);
}

/** The text of worker.js. */
export function makeWorker({ build, exported, scripts, pub, on }) {
  if (!on) return readFileSync(join(front, "worker/gone.js"), "utf8");
  const html = exported.filter((file) => file.endsWith(".html"));
  const shells = html.map((file) => shellAddress(`/${file.replace(/\.html$/, "")}`));
  const facts = {
    BUILD: build,
    FILES: [
      ...shells,
      ...scripts.map((file) => `/_next/static/${encodeURI(file)}`),
      ...pub.filter((file) => !NOT_KEPT.test(file)).map((file) => `/${encodeURI(file)}`),
    ],
    ROUTES: routesOf(html),
    MISSING: shellAddress("/404"),
  };
  const written = Object.entries(facts).map(([name, fact]) => `const ${name} = ${JSON.stringify(fact)};`);
  return `${written.join("\n")}\n${readFileSync(join(front, "worker/worker.js"), "utf8")}`;
}

export function writeWorker(build) {
  const { worker: on } = JSON.parse(readFileSync(join(front, "app.config.json"), "utf8"));
  const dist = join(front, "dist");
  const text = makeWorker({
    build,
    on,
    exported: filesBelow(join(dist, "app")).filter((file) => !file.startsWith("_next/")),
    scripts: [
      ...new Set([...filesBelow(join(dist, "server/static")), ...filesBelow(join(dist, "app/_next/static"))]),
    ],
    pub: filesBelow(join(front, "public")),
  });
  writeFileSync(join(front, "public/worker.js"), text);
}
