// A new version is deployed while people have the app open.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import type { Page } from "playwright-core";
import { alive, leave, messageOn, onStage, screenshot, visit, visitAs } from "../browser.ts";
import { Deployment } from "../deployed.ts";
import { root, until } from "../server.ts";

const OLD = "builda0000000000";
const NEW = "buildb0000000000";

const front = new Deployment();
front.deploy(OLD);
const stage = await onStage({ env: { FRONT_DIRECTORY: front.folder }, chat: "Welcome" });
const { browser, chat } = stage;
let { server } = stage;
after(() => front.remove());

// As it is done: the files, then the server.
async function deploy(build: string, worker?: string): Promise<void> {
  await server.stop();
  front.deploy(build, worker);
  server = await stage.restart({ FRONT_DIRECTORY: front.folder });
}

let deployed = OLD;
beforeEach(async () => {
  if (deployed !== OLD) await deploy(OLD);
  deployed = "?";
});

const controlled = (page: Page) =>
  page.waitForFunction(() => navigator.serviceWorker.controller?.state === "activated");
const caches_ = (page: Page) => page.evaluate(async () => (await caches.keys()).sort());
const buildOf = (page: Page) =>
  page.evaluate(() => (window as unknown as { __NEXT_DATA__: { buildId: string } }).__NEXT_DATA__.buildId);
// Pages that were loaded anew have lost it.
const mark = (page: Page) => page.evaluate(() => Object.assign(window, { marked: true }));
const isMarked = (page: Page) => page.evaluate(() => "marked" in window);
const hint = (page: Page) => page.getByText("A new version is here.");
const composer = (page: Page) => page.getByLabel("Message", { exact: true });

async function openChat(page: Page): Promise<void> {
  await page.goto(`${server.url}/chat/${chat}`);
  await page.locator("[data-message]").first().waitFor();
  await controlled(page);
}

async function openArticle(page: Page): Promise<void> {
  await page.getByRole("link", { name: "Home", exact: true }).click();
  const link = page.locator('main a[href^="/articles/"]').first();
  const title = await link.textContent();
  await link.click();
  await page.getByRole("heading", { level: 1, name: String(title), exact: true }).waitFor();
}

test("an open tab is told, works on with its own scripts, and changes when it is asked to, with what was typed", async () => {
  const { context, page: first } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  await openChat(first);
  const second = await context.newPage();
  await openChat(second);
  for (const page of [first, second]) {
    assert.equal(await buildOf(page), OLD);
    await composer(page).fill("half a thought");
    await mark(page);
  }
  await deploy(NEW);
  for (const page of [first, second]) await hint(page).waitFor();
  await screenshot(first, "update-hint");
  assert.equal(await composer(first).inputValue(), "half a thought");

  await first.getByRole("button", { name: "Reload" }).click();
  await first.waitForFunction(() => !("marked" in window));
  await first.locator("[data-message]").first().waitFor();
  assert.equal(await buildOf(first), NEW);
  await until("the text to be back", async () => (await composer(first).inputValue()) === "half a thought");
  assert.equal(await hint(first).count(), 0);

  // The other one was left alone. Its articles are a script that the server does not have any more.
  assert.ok(await isMarked(second));
  await hint(second).waitFor();
  assert.deepEqual(await caches_(second), [`tims ${OLD}`, `tims ${NEW}`]);
  await openArticle(second);
  assert.ok(await isMarked(second), "it did not need to be loaded anew");
  await second.getByRole("button", { name: "Reload" }).click();
  await until("the old build's files to go", async () =>
    (await caches_(first).catch(() => [])).every((name) => name === `tims ${NEW}`),
  );
  await leave(context);
});

test("what is sent or belongs to a dialog is not filled in where it does not belong", async () => {
  const { context, page } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  await openChat(page);
  await composer(page).fill("this is sent");
  await page.keyboard.press("Enter");
  await messageOn(page, "this is sent").waitFor();
  await page.getByRole("button", { name: "New chat" }).click();
  await page.getByLabel("What is it about?").fill("a title");
  await page.reload();
  await page.locator("[data-message]").first().waitFor();
  await alive(page);
  await page.getByRole("button", { name: "New chat" }).click();
  await until(
    "the title",
    async () => (await page.getByLabel("What is it about?").inputValue()) === "a title",
  );
  await page.getByRole("button", { name: "Close" }).click();
  assert.equal(await composer(page).inputValue(), "");
  // Another chat has its own; back in the first there is what was left there.
  await composer(page).fill("to be continued");
  await page.getByRole("navigation", { name: "Chats" }).getByText("Weekend plans").click();
  await page.waitForURL((url) => !url.pathname.endsWith(chat));
  await page.locator("[data-message]").first().waitFor();
  assert.equal(await composer(page).inputValue(), "");
  await page.goBack();
  await until("the draft", async () => (await composer(page).inputValue()) === "to be continued");
  await leave(context);
});

test("passwords are never kept, and nobody finds what another person has typed", async () => {
  const { context, page } = await visitAs(browser, server, "demo", "/profile");
  await page.getByLabel("Name that others see").fill("a secret name");
  await page.getByLabel("Password now").fill("a secret password");
  await page.reload();
  await until(
    "the name",
    async () => (await page.getByLabel("Name that others see").inputValue()) === "a secret name",
  );
  assert.equal(await page.getByLabel("Password now").inputValue(), "");
  const store = () => page.evaluate(() => JSON.stringify({ ...sessionStorage }));
  await page.goto(`${server.url}/settings`);
  assert.match(await store(), /a secret name/);
  assert.doesNotMatch(await store(), /a secret password/);
  await page.context().clearCookies();
  await page.goto(`${server.url}/login`);
  await page.getByLabel("Name").waitFor();
  await until("it to be gone", async () => !(await store()).includes("a secret name"));
  await leave(context);
});

test("without a worker, a script that is gone costs one load of the page, not an error", async () => {
  const { context, page } = await visitAs(browser, server, "demo", "/chats", { serviceWorkers: "block" });
  await page.getByRole("navigation", { name: "Chats" }).getByText("Welcome").waitFor();
  await deploy(NEW);
  await mark(page);
  await openArticle(page);
  assert.equal(await isMarked(page), false);
  assert.equal(await buildOf(page), NEW);
  await leave(context);
});

test("who comes to the new version by himself is not told, and the new worker takes over", async () => {
  const { context, page } = await visitAs(browser, server, "demo", "/settings");
  await controlled(page);
  await page.goto("about:blank");
  await deploy(NEW);
  await page.goto(`${server.url}/settings`);
  assert.equal(await buildOf(page), NEW);
  await until("the new worker alone", async () => (await caches_(page)).join() === `tims ${NEW}`);
  assert.equal(await hint(page).count(), 0);
  await leave(context);
});

test("a broken worker is replaced by the next build, and switched off it leaves nothing", async () => {
  const broken = `addEventListener("install", () => skipWaiting());
    addEventListener("activate", (event) => event.waitUntil(clients.claim()));
    addEventListener("fetch", (event) => event.respondWith(Response.error()));`;
  await deploy(OLD, broken);
  const { context, page } = await visit(browser);
  await page.goto(server.url);
  await controlled(page);
  await assert.rejects(page.goto(`${server.url}/login`), /ERR_FAILED/);
  await deploy(NEW, readFileSync(join(root, "front/worker/gone.js"), "utf8"));
  const next = context.waitForEvent("serviceworker");
  await assert.rejects(page.goto(`${server.url}/login`), /ERR_FAILED/); // after which the browser looks for a newer one
  await next;
  await until("a page", () => page.goto(`${server.url}/login`).catch(() => null));
  await until("nothing to be left", async () =>
    page.evaluate(
      async () => (await caches.keys()).length === 0 && navigator.serviceWorker.controller === null,
    ),
  );
  await leave(context);
});
