// Languages: the page comes in the reader's, only that one is loaded, it is changed without a reload; and from right to left.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { alive, excessWidth, findings, leave, onStage, screenshot, signIn, visit } from "../browser.ts";
import { sql } from "../server.ts";

const { server, browser } = await onStage({ front: true });

const german = { locale: "de-DE", timezoneId: "Europe/Berlin" };
const html = (page: Page) =>
  page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]);

/** What the scripts that the page has loaded say in each language. */
async function dictionaries(page: Page): Promise<string[]> {
  const sources = await page.evaluate(() =>
    performance
      .getEntriesByType("resource")
      .map((entry) => entry.name)
      .filter((name) => name.includes("/_next/static/chunks/") && name.includes(".js")),
  );
  const texts = await Promise.all(sources.map(async (source) => (await fetch(source)).text()));
  const found = (text: string) => texts.some((script) => script.includes(text));
  return [...(found("Write a message") ? ["en"] : []), ...(found("Nachricht schreiben") ? ["de"] : [])];
}

test("a page comes in the browser's language, without JavaScript too", async () => {
  const { page, context } = await visit(browser, { ...german, javaScriptEnabled: false });
  await page.goto(server.url);
  assert.deepEqual(await page.locator("html").getAttribute("lang"), "de");
  assert.ok(await page.getByRole("link", { name: "Einstellungen" }).first().isVisible());
  await leave(context);
});

test("it comes to life in that language, with its texts and no others", async () => {
  const { page, context, complaints } = await visit(browser, german);
  const flashes: string[] = [];
  await page.exposeFunction("seen", (text: string) => flashes.push(text));
  await page.addInitScript(() => {
    new MutationObserver(() => {
      const text = document.body?.innerText ?? "";
      // biome-ignore lint/suspicious/noExplicitAny: put there by the test
      if (text.includes("Settings")) (window as any).seen(text);
    }).observe(document, { childList: true, subtree: true, characterData: true });
  });
  await page.goto(`${server.url}/login`);
  await alive(page);
  assert.deepEqual(await html(page), ["de", "ltr"]);
  assert.deepEqual(await dictionaries(page), ["de"]);
  assert.deepEqual(flashes, []);
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("what the server refuses is said in that language, at its field and without JavaScript", async () => {
  const { page, context } = await visit(browser, german);
  await page.goto(`${server.url}/login`);
  await page.getByLabel("Name").fill("demo");
  await page.getByLabel("Passwort").fill("something else");
  await page.getByRole("button", { name: "Anmelden" }).click();
  await page.getByRole("alert").getByText("Der Name oder das Passwort ist falsch.").waitFor();
  await page.goto(`${server.url}/register`);
  await page.getByLabel("Name").fill("demo");
  await page.getByLabel("Passwort").fill("kurz");
  await page.getByRole("button", { name: "Konto anlegen" }).click();
  await page
    .getByText(/Ist zu kurz: mindestens \d+\.|Das hat schon jemand anders\./)
    .first()
    .waitFor();
  await page.goto(`${server.url}/login?error=login_throttled`);
  await page.getByText("Zu viele Versuche. Warte ein paar Minuten.").waitFor();
  await page.goto(`${server.url}/login?error=of_an_app_to_come`);
  await page.getByText("Das hat nicht geklappt.", { exact: false }).waitFor();
  await leave(context);
});

test("the language is changed without a reload, and kept for the next page", async () => {
  const { page, context, complaints } = await visit(browser, { locale: "en-GB" });
  await page.goto(`${server.url}/settings`);
  await page.evaluate(() => {
    document.title = "not reloaded";
    // biome-ignore lint/suspicious/noExplicitAny: a mark that a reload would remove
    (window as any).mark = true;
  });
  await page.getByText("Deutsch", { exact: true }).click();
  await page.getByRole("heading", { name: "Einstellungen" }).waitFor();
  assert.deepEqual(await html(page), ["de", "ltr"]);
  // biome-ignore lint/suspicious/noExplicitAny: the mark
  assert.equal(await page.evaluate(() => (window as any).mark), true);
  assert.equal(new Set(await dictionaries(page)).size, 2);
  await page.goto(`${server.url}/login`);
  assert.ok(await page.getByRole("heading", { name: "Anmelden" }).isVisible());
  assert.deepEqual(await dictionaries(page), ["de"]);
  await page.goto(`${server.url}/settings`);
  await alive(page);
  await page.getByText("English", { exact: true }).click();
  await page.getByRole("heading", { name: "Settings" }).waitFor();
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("times are written as the language does", async () => {
  const chat = sql(server, "select id from chat where title = 'Weekend plans'");
  sql(server, `update message set created_at = 1709208000000000 where chat = '${chat}'`); // 29 Feb 2024, noon
  for (const [locale, day] of [
    ["de-DE", "29. Feb. 2024"],
    ["en-GB", "29 Feb 2024"],
  ] as const) {
    const { page, context, complaints } = await visit(browser, { locale });
    await signInAnyLanguage(page);
    await page.goto(`${server.url}/chat/${chat}`);
    await page.getByText(day, { exact: true }).first().waitFor();
    assert.deepEqual(complaints, []);
    await leave(context);
  }
});

async function signInAnyLanguage(page: Page): Promise<void> {
  await page.context().addCookies([{ name: "language", value: "en", url: server.url }]);
  await signIn(page, server, "demo");
  await page.context().clearCookies({ name: "language" });
}

test("from right to left: pages mirror, fit, and have no serious finding", async () => {
  const { page, context, complaints } = await visit(browser, { locale: "en-GB" });
  await signIn(page, server, "demo");
  await page.goto(`${server.url}/settings`);
  await alive(page);
  await page.getByRole("radio", { name: "From right to left" }).check({ force: true });
  assert.deepEqual(await html(page), ["en", "rtl"]);
  const chat = sql(server, "select id from chat where title = 'Welcome'");
  for (const path of ["/", "/chats", `/chat/${chat}`, "/profile", "/settings"]) {
    await page.goto(server.url + path);
    assert.deepEqual(await html(page), ["en", "rtl"], path);
    for (const width of [390, 1280]) {
      await page.setViewportSize({ width, height: 844 });
      assert.equal(await excessWidth(page), 0, `${path} at ${width}`);
    }
    assert.deepEqual(await findings(page), [], path);
  }
  await page.goto(`${server.url}/chat/${chat}`);
  const boxes = await page.evaluate(() => {
    const left = (selector: string) => document.querySelector(selector)?.getBoundingClientRect().left ?? -1;
    return { list: left("nav[aria-label=Chats]"), messages: left("[data-message]") };
  });
  assert.ok(boxes.list > boxes.messages, "the list of chats is on the right");
  await screenshot(page, "chat-rtl");
  await page.goto(`${server.url}/settings`);
  await alive(page);
  await page.getByRole("radio", { name: "As the language" }).check({ force: true });
  assert.deepEqual(await html(page), ["en", "ltr"]);
  assert.deepEqual(complaints, []);
  await leave(context);
});
