// Airplane mode at every step of sending: what was written goes out exactly once, whatever tab is left to do it.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { leave, messageOn, onStage, visitAs } from "../browser.ts";
import { banner, bubble, isSentOnce, keeps, Roads, recordsIn, stored, waits, write } from "../offline.ts";
import { until } from "../server.ts";

const { server, browser, chat } = await onStage({ front: true, chat: "Welcome" });

const POSTS = "**/api/messages/";
const ONCE = { times: 1 };

async function inChat(
  work: (page: Page, context: BrowserContext) => Promise<void>,
  options: BrowserContextOptions = {},
): Promise<void> {
  const { context, page } = await visitAs(browser, server, "demo", `/chat/${chat}`, options);
  await page.locator("[data-message]").first().waitFor();
  await keeps(page, chat, "d:");
  try {
    await work(page, context);
  } finally {
    await leave(context);
  }
}

test("before the request: it waits, says so, and goes out on return", () =>
  inChat(async (page, context) => {
    await context.setOffline(true);
    await write(page, "before the request");
    await waits(page, "before the request");
    await banner(page, "offline").getByText("1 change waits").waitFor();
    assert.deepEqual(stored(server, "before the request"), []);
    await context.setOffline(false);
    await isSentOnce(server, page, "before the request");
    await banner(page, "live").waitFor({ state: "attached" });
    assert.equal(await banner(page, "live").innerText(), "");
  }));

test("after it has left, before it has arrived", () =>
  inChat(async (page, context) => {
    const lost = page.waitForEvent("requestfailed", (request) => request.url().endsWith("/api/messages/"));
    await page.route(
      POSTS,
      async (route) => {
        await context.setOffline(true);
        await route.abort("internetdisconnected");
      },
      ONCE,
    );
    await write(page, "lost on its way");
    await lost;
    await waits(page, "lost on its way");
    assert.deepEqual(stored(server, "lost on its way"), []);
    await context.setOffline(false);
    await isSentOnce(server, page, "lost on its way");
  }));

test("after it has arrived, before the answer", () =>
  inChat(async (page, context) => {
    const lost = page.waitForEvent("requestfailed", (request) => request.url().endsWith("/api/messages/"));
    await page.route(
      POSTS,
      async (route) => {
        await route.fetch();
        await context.setOffline(true);
        await route.abort("internetdisconnected");
      },
      ONCE,
    );
    await write(page, "answer lost");
    await lost; // not before: the network that is taken away after it was given back stays away
    assert.deepEqual(stored(server, "answer lost"), ["answer lost"]);
    await context.setOffline(false);
    await isSentOnce(server, page, "answer lost");
  }));

test("after the answer, before the stream tells of it", async () => {
  const { context, page } = await visitAs(browser, server, "demo", "/chats");
  const roads = await Roads.of(context);
  await page.goto(`${server.url}/chat/${chat}`);
  await page.locator("[data-message]").first().waitFor();
  await keeps(page, chat, "d:");
  roads.silence(true);
  const answered = page.waitForResponse(
    (answer) => answer.request().method() === "POST" && answer.status() === 201,
  );
  await write(page, "not told yet");
  await answered;
  await roads.close();
  await context.setOffline(true);
  await banner(page, "offline").waitFor();
  assert.equal(await messageOn(page, "not told yet").count(), 1);
  roads.silence(false);
  roads.open();
  await context.setOffline(false);
  await isSentOnce(server, page, "not told yet");
  await leave(context);
});

test("what waits can be changed, and called back", () =>
  inChat(async (page, context) => {
    await context.setOffline(true);
    await write(page, "first draft");
    await write(page, "to be called back");
    await waits(page, "first draft");
    await bubble(page, "first draft").getByRole("button", { name: "Edit" }).click();
    await page.getByLabel("What is to be sent").fill("second draft");
    await page.getByRole("button", { name: "Save" }).click();
    await messageOn(page, "second draft").waitFor();
    await bubble(page, "to be called back").getByRole("button", { name: "Do not send" }).click();
    await messageOn(page, "to be called back").waitFor({ state: "detached" });
    await context.setOffline(false);
    await isSentOnce(server, page, "second draft");
    assert.deepEqual(stored(server, "first draft"), []);
    assert.deepEqual(stored(server, "to be called back"), []);
  }));

test("what is refused on return says why; it can be changed and sent again, and what stands behind it goes on", () =>
  inChat(async (page, context) => {
    await context.setOffline(true);
    await write(page, "will be refused");
    await write(page, "behind it");
    await page.route(POSTS, async (route) => {
      const body = route.request().postDataJSON() as { text: string };
      if (body.text !== "will be refused") return route.continue();
      // Longer than the server takes: it is the real one that refuses.
      await route.continue({ postData: JSON.stringify({ ...body, text: "x".repeat(5000) }) });
    });
    await context.setOffline(false);
    await isSentOnce(server, page, "behind it");
    await bubble(page, "will be refused").getByRole("alert").waitFor();
    await bubble(page, "will be refused").getByRole("button", { name: "Edit" }).click();
    await page.getByLabel("What is to be sent").fill("is taken now");
    await page.getByRole("button", { name: "Save" }).click();
    await isSentOnce(server, page, "is taken now");
    assert.deepEqual(stored(server, "will be refused"), []);
  }));

async function crash(page: Page, context: BrowserContext): Promise<void> {
  const cdp = await context.newCDPSession(page);
  const crashed = page.waitForEvent("crash");
  cdp.send("Page.crash").catch(() => {}); // nobody is left to answer
  await crashed;
  await page.close(); // the window with the sad face
}

async function fill(page: Page, name: string): Promise<string[]> {
  const texts = [1, 2, 3, 4, 5].map((n) => `${name} ${n}`);
  for (const text of texts) await write(page, text);
  await until("the outbox to be on the disk", async () => {
    const kept = (await recordsIn(page)).filter(([key]) => key.startsWith("m:"));
    return kept.length === texts.length;
  });
  return texts;
}

test("a tab that crashes with a full outbox: the next start sends it, in order", () =>
  inChat(
    async (page, context) => {
      await context.setOffline(true);
      const texts = await fill(page, "next start");
      await crash(page, context);
      await context.setOffline(false);
      assert.deepEqual(stored(server, "next start%"), []);
      const next = await context.newPage();
      await next.goto(`${server.url}/chats`);
      await until("all to arrive", () => stored(server, "next start%").length >= texts.length);
      assert.deepEqual(stored(server, "next start%"), texts);
      await next.goto(`${server.url}/chat/${chat}`);
      for (const text of texts) await isSentOnce(server, next, text);
    },
    { serviceWorkers: "block" },
  )); // it may die with the only page, and then answers nobody

test("a tab that crashes with a full outbox: the other tab sends it, in order", () =>
  inChat(async (first, context) => {
    const second = await context.newPage();
    await second.goto(`${server.url}/chat/${chat}`);
    await second.locator("[data-message]").first().waitFor();
    await context.setOffline(true);
    const texts = await fill(second, "other tab");
    await crash(second, context);
    await context.setOffline(false);
    await until("all to arrive", () => stored(server, "other tab%").length >= texts.length);
    assert.deepEqual(stored(server, "other tab%"), texts);
    for (const text of texts) await isSentOnce(server, first, text);
  }));

test("two tabs that were both offline send each their own, once", () =>
  inChat(async (first, context) => {
    const second = await context.newPage();
    await second.goto(`${server.url}/chat/${chat}`);
    await second.locator("[data-message]").first().waitFor();
    await context.setOffline(true);
    await write(first, "from the first");
    await write(second, "from the second");
    await context.setOffline(false);
    for (const page of [first, second])
      for (const text of ["from the first", "from the second"]) {
        await messageOn(page, text).waitFor();
        await isSentOnce(server, page, text);
      }
  }));
