// The installed app: what makes it one, what it keeps, and how a new version comes.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { CHROMIUM, keptIn, leave, onStage, screenshot, visit, visitAs } from "../browser.ts";
import { sql, until } from "../server.ts";

const stage = await onStage({ front: true, chat: "Welcome" });
const { browser, chat } = stage;
let { server } = stage;
const other = sql(server, "select id from chat where title = 'Weekend plans'");

// Until the worker has everything and answers for this page.
const controlled = (page: Page) =>
  page.waitForFunction(() => navigator.serviceWorker.controller?.state === "activated");

const restarted = async () => {
  server = await stage.restart();
};

// --- what browsers and stores look at ---

async function withProfile(work: (context: BrowserContext) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "tims-profile-"));
  const context = await chromium.launchPersistentContext(folder, CHROMIUM);
  try {
    await work(context);
  } finally {
    await leave(context);
    rmSync(folder, { recursive: true, force: true });
  }
}

test("Chromium finds nothing that keeps it from being installed", () =>
  withProfile(async (context) => {
    const page = await context.newPage();
    await page.goto(server.url);
    await controlled(page);
    const cdp = await context.newCDPSession(page);
    const { errors, data } = await cdp.send("Page.getAppManifest");
    assert.deepEqual(errors, []);
    const manifest = JSON.parse(data ?? "");
    for (const name of "id name short_name start_url scope display theme_color background_color".split(" "))
      assert.ok(manifest[name], `the manifest has no ${name}`);
    const { installabilityErrors } = await cdp.send("Page.getInstallabilityErrors");
    assert.deepEqual(installabilityErrors, []);
  }));

test("every icon is there, is a picture, and has the size that the manifest says", async () => {
  const { context, page } = await visit(browser);
  await page.goto(server.url);
  const icons: { src: string; sizes: string; type: string; purpose: string }[] = (
    await (await fetch(`${server.url}/manifest.webmanifest`)).json()
  ).icons;
  const touch = await page.locator('link[rel="apple-touch-icon"]').getAttribute("href");
  icons.push({ src: String(touch), sizes: "180x180", type: "image/png", purpose: "apple" });
  for (const { src, sizes, type } of icons) {
    const answer = await fetch(server.url + src);
    assert.equal(answer.status, 200, src);
    assert.equal(answer.headers.get("content-type"), type, src);
    if (sizes === "any") continue;
    const size = await page.evaluate(async (url) => {
      const picture = await createImageBitmap(await (await fetch(url)).blob());
      return `${picture.width}x${picture.height}`;
    }, src);
    assert.equal(size, sizes, src);
  }
  for (const purpose of ["any", "maskable"])
    for (const sizes of ["192x192", "512x512"])
      assert.ok(
        icons.some((icon) => icon.purpose === purpose && icon.sizes === sizes),
        `${purpose} ${sizes}`,
      );
  const ico = Buffer.from(await (await fetch(`${server.url}/favicon.ico`)).arrayBuffer());
  assert.deepEqual([...ico.subarray(0, 8)], [0, 0, 1, 0, 1, 0, 32, 32]);
  await leave(context);
});

test("a maskable icon reaches the edges, and what is drawn stays where no launcher cuts", async () => {
  const { context, page } = await visit(browser);
  await page.goto(server.url);
  const [low, high] = await page.evaluate(async () => {
    const picture = await createImageBitmap(await (await fetch("/icons/maskable-512.png")).blob());
    const canvas = new OffscreenCanvas(512, 512).getContext("2d") as OffscreenCanvasRenderingContext2D;
    canvas.drawImage(picture, 0, 0);
    const { data } = canvas.getImageData(0, 0, 512, 512);
    const ends = [
      [255, 255, 255, 255],
      [0, 0, 0, 0],
    ] as [number[], number[]];
    for (let i = 0; i < data.length; i++) {
      const [x, y] = [(i >> 2) % 512, Math.floor((i >> 2) / 512)];
      if (Math.hypot(x - 255.5, y - 255.5) <= 0.4 * 512) continue;
      ends[0][i % 4] = Math.min(ends[0][i % 4] as number, data[i] as number);
      ends[1][i % 4] = Math.max(ends[1][i % 4] as number, data[i] as number);
    }
    return ends;
  });
  assert.equal(low[3], 255, "it is opaque");
  assert.ok(
    low.every((value, i) => (high[i] as number) - value <= 2),
    `one colour up to rounding, not ${low} to ${high}`,
  );
  await leave(context);
});

test("pages and the worker say what phones and proxies need to know", async () => {
  const html = await (await fetch(`${server.url}/`)).text();
  for (const part of [
    /<meta name="viewport" content="[^"]*width=device-width/,
    /<meta name="theme-color"[^>]*prefers-color-scheme: light/,
    /<meta name="theme-color"[^>]*prefers-color-scheme: dark/,
    /<link rel="apple-touch-icon"/,
    /<link rel="manifest"/,
  ])
    assert.match(html, part);
  const worker = await fetch(`${server.url}/worker.js`);
  assert.equal(worker.headers.get("cache-control"), "no-cache");
  assert.match(worker.headers.get("content-type") ?? "", /javascript/);
  assert.ok((await worker.text()).length < 16_384);
});

// --- without a network ---

test("after one visit everything may be off: pages open, with what was seen", async () => {
  const { context, page, complaints } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  await controlled(page);
  for (const id of [other, chat]) {
    await page.goto(`${server.url}/chat/${id}`);
    await page.locator("[data-message]").first().waitFor();
    const messages = `"url":"/api/messages/?chat=${id}&include=picture"`;
    await until("its messages to be kept", async () => (await keptIn(page)).includes(messages));
  }
  const text = await page.locator("[data-message]").last().textContent();
  assert.deepEqual(complaints, []);
  await server.stop();
  try {
    const answer = await page.reload();
    assert.equal(answer?.status(), 200);
    assert.equal(answer?.fromServiceWorker(), true);
    await page.locator("[data-message]").last().waitFor();
    assert.equal(await page.locator("[data-message]").last().textContent(), text);
    await page.getByRole("navigation", { name: "Chats" }).getByText("Weekend plans").click();
    await page.waitForURL(`**/chat/${other}`);
    await page.locator("[data-message]").first().waitFor();
    for (const [path, heading] of [
      ["/settings", "Settings"],
      ["/articles/live", /.+/],
      ["/profile", "Profile"],
    ] as const) {
      assert.equal((await page.goto(server.url + path))?.status(), 200, path);
      await page.getByRole("heading", { level: 1, name: heading }).waitFor({ state: "attached" });
    }
    const missing = await page.goto(`${server.url}/no-such-page`);
    assert.equal(missing?.status(), 404);
    await page.getByText("There is nothing here").waitFor();
    await screenshot(page, "offline-missing");
  } finally {
    await restarted();
  }
  await leave(context);
});

test("a chat that was never seen opens without a network, and says that nothing of it is here", async () => {
  const { context, page } = await visitAs(browser, server, "demo", "/settings");
  await controlled(page);
  await server.stop();
  try {
    assert.equal((await page.goto(`${server.url}/chat/${chat}`))?.status(), 200);
    await page.getByText("Nothing of this is kept here").nth(1).waitFor();
    await screenshot(page, "offline-unseen");
  } finally {
    await restarted();
  }
  await page.locator("[data-message]").first().waitFor(); // back: it comes by itself
  await leave(context);
});

test("what was never seen is not said to be empty", async () => {
  const { context, page } = await visitAs(browser, server, "demo", "/settings");
  await controlled(page);
  await server.stop();
  try {
    await page.goto(`${server.url}/tasks`);
    await page.getByText("Nothing of this is kept here").nth(5).waitFor(); // of all six lists
    assert.equal(await page.getByText(/^(No (worker|job)|Nothing (runs|is))/).count(), 0);
  } finally {
    await restarted();
  }
  await page.getByText("No job was given up.").waitFor();
  await leave(context);
});

// The browser makes the offer when it likes, which without a screen is never: here the test makes it.
const offer = (page: Page) =>
  page.evaluate(() => {
    const event = new Event("beforeinstallprompt", { cancelable: true });
    Object.assign(event, { prompt: () => Promise.resolve(Object.assign(window, { asked: true })) });
    window.dispatchEvent(event);
    return event.defaultPrevented; // no bar of the browser's own
  });
const asked = (page: Page) => page.evaluate(() => "asked" in window);

test("who may install the app is told once, and the browser asks only who wants to", async () => {
  const { context, page } = await visitAs(browser, server, "demo", "/chats");
  const button = page.getByRole("button", { name: "Install" });
  await page.getByRole("link", { name: "Welcome" }).first().waitFor();
  assert.equal(await button.count(), 0, "there is no offer yet");
  assert.equal(await offer(page), true);
  await page.getByRole("button", { name: "Not now" }).click();
  await button.waitFor({ state: "detached" });
  assert.equal(await asked(page), false);
  await page.reload();
  await page.getByRole("link", { name: "Welcome" }).first().waitFor();
  await offer(page);
  await page.getByRole("link", { name: "Settings" }).first().click();
  await button.click(); // which stays in the settings
  await button.waitFor({ state: "detached" });
  assert.equal(await asked(page), true);
  await page.goto(`${server.url}/chats`);
  await offer(page);
  await page.getByRole("link", { name: "Welcome" }).first().waitFor();
  assert.equal(await button.count(), 0, "it was sent away for good");
  await leave(context);
});

test("a server that does not answer in time is replaced by the shell", async () => {
  const { context, page } = await visitAs(browser, server, "demo", "/settings");
  await controlled(page);
  server.process.kill("SIGSTOP");
  try {
    const answer = await page.goto(`${server.url}/settings`);
    assert.equal(answer?.fromServiceWorker(), true);
    await page.getByRole("heading", { level: 1, name: "Settings" }).waitFor();
  } finally {
    server.process.kill("SIGCONT");
  }
  await leave(context);
});

test("the worker keeps the build and nothing of anybody", async () => {
  const { context, page } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  await page.locator("[data-message]").first().waitFor();
  await controlled(page);
  for (const path of ["/chats", "/profile", `/chat/${chat}`]) await page.goto(server.url + path);
  const kept = await page.evaluate(async () => {
    const found: Record<string, string> = {};
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      for (const request of await cache.keys())
        found[new URL(request.url).pathname] = await ((await cache.match(request)) as Response).text();
    }
    return found;
  });
  const paths = Object.keys(kept);
  assert.ok(paths.includes("/_shell/chat/%5Bchat%5D.html"));
  assert.deepEqual(
    paths.filter(
      (path) =>
        !/^\/(_shell|_next\/static|icons)\/|^\/(icon\.svg|theme\.js|manifest\.webmanifest)$/.test(path),
    ),
    [],
  );
  const user = sql(server, `select id from "user" where username = 'demo'`);
  for (const [path, text] of Object.entries(kept))
    assert.ok(!text.includes(user) && !text.includes(chat), `${path} is somebody's`);
  await leave(context);
});
