// paint.mjs: when the chat's page is there for eyes on a phone's processor: rendered on the server, loaded over loopback by
// Chromium slowed down four times, each time in a fresh profile. And what its scripts weigh.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import { programs, signInAll, startOurs } from "./contenders.mjs";
import { goal, median, save } from "./goals.mjs";

const root = join(import.meta.dirname, "..");
const render = join(root, "front/render.mjs");
const node = join(root, "node_modules/.bin/node");
const SLOWER = 4;
const VISITS = 5; // a round
const PHONE = { width: 390, height: 844 };

function makeDemo(folder) {
  const database = join(folder, "paint.sqlite3");
  const env = { PATH: process.env.PATH, DATABASE_URL: `sqlite:${database}`, CHEAP_PASSWORDS: "true" };
  for (const command of ["migrate", "demo"]) execFileSync(programs.demo, [command], { cwd: folder, env });
  return database;
}

// A rendered page with messages; before the render server is up it is the shell, which has none.
async function findPage(server, headers) {
  const { rows } = await (await fetch(`${server.url}/api/chats/`, { headers })).json();
  const path = `/chat/${rows.find(({ title }) => title === "Welcome").id}`;
  for (const until = Date.now() + 60_000; Date.now() < until; ) {
    const html = await (await fetch(server.url + path, { headers })).text();
    if (html.includes("data-message")) return { path, html };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("no page was rendered");
}

async function weigh(server, html) {
  let bytes = 0;
  for (const [, url] of html.matchAll(/<script[^>]*src="([^"]+)"/g)) {
    const answer = await fetch(server.url + url);
    if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
    bytes += gzipSync(Buffer.from(await answer.arrayBuffer()), { level: 9 }).length;
  }
  return bytes;
}

/** Milliseconds until the largest paint, and how far things moved until the page had come to rest. */
async function visit(browser, url, cookie) {
  const context = await browser.newContext({ viewport: PHONE, isMobile: true, serviceWorkers: "block" });
  const pairs = cookie.split("; ").map((pair) => pair.split("="));
  await context.addCookies(pairs.map(([name, value]) => ({ name, value, url })));
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
  await page.addInitScript(() => {
    const seen = { lcp_ms: 0, cls: 0 };
    Object.assign(window, { seen });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) seen.lcp_ms = entry.startTime;
    }).observe({ type: "largest-contentful-paint", buffered: true });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) seen.cls += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  const answer = await page.goto(url, { waitUntil: "networkidle" });
  if (!(await answer.text()).includes("data-message")) throw new Error("the shell came: rendering was late");
  await page.waitForFunction(
    () =>
      window.seen.lcp_ms > 0 &&
      Object.keys(document.querySelector("textarea") ?? {}).some((key) => key.startsWith("__reactProps")), // it has come to life
  );
  const seen = await page.evaluate(() => window.seen);
  await context.close();
  return seen;
}

export async function paint({ folder, rounds }) {
  const server = await startOurs({
    folder,
    database: makeDemo(folder),
    program: programs.demo,
    env: { RENDER_COMMAND: `${node} ${render}`, NEXT_TELEMETRY_DISABLED: "1" },
  });
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu"],
  });
  const all = [];
  let script_bytes = 0;
  try {
    const [{ Cookie }] = await signInAll(server.url, [{ username: "demo" }], "demo-pass-1");
    const { path, html } = await findPage(server, { cookie: Cookie });
    script_bytes = await weigh(server, html);
    await visit(browser, server.url + path, Cookie); // what is hot only after the first time
    for (let round = 0; round < rounds; round++) {
      const visits = [];
      for (let i = 0; i < VISITS; i++) visits.push(await visit(browser, server.url + path, Cookie));
      const lcp_ms = median(visits.map((one) => one.lcp_ms));
      const cls = Math.max(...visits.map((one) => one.cls));
      all.push({ phone: { lcp_ms, cls } });
      process.stderr.write(`  paint ${Math.round(lcp_ms)} ms, shift ${cls}\n`);
    }
  } finally {
    await browser.close();
    await server.stop();
  }
  const lcp_ms = median(all.map(({ phone }) => phone.lcp_ms));
  const cls = Math.max(...all.map(({ phone }) => phone.cls));
  save("paint", {
    about: `The chat's page, rendered on the server, on a phone's screen and a processor ${SLOWER} times slower than this one's: largest paint, movement, bytes of script (gzip).`,
    rounds: all,
    summary: { phone: { lcp_ms, cls, script_bytes } },
    goals: [
      goal("paint.lcp", "<=", 1000, lcp_ms, "ms to the largest paint"),
      goal("paint.shift", "<=", 0, cls, "layout shift"),
      goal("paint.script", "<=", 140 * 1024, script_bytes, "bytes of script, gzip"),
    ],
  });
}
