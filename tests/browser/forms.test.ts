// Forms from the API's schema: filled wrongly and rightly with the keyboard alone, in English and German, on both of the
// pages that have one; what is wrong stands at its field, whoever found it.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { excessWidth, findings, leave, onStage, screenshot, visitAs } from "../browser.ts";
import { password, sql, until } from "../server.ts";

const { server, browser } = await onStage({ front: true });

const WORDS = {
  en: {
    name: "Name that others see",
    email: "Email",
    old: "Password now",
    new: "New password",
    save: "Save",
    saved: "Saved.",
    change: "Change password",
    changed: "Your password is changed.",
    needed: "Is needed.",
    tooLong: "Is too long: at most 60.",
    format: "Does not look right.",
    wrong: /This is not right|The name or the password is wrong/,
    common: "The password is too common.",
  },
  de: {
    name: "Name, den andere sehen",
    email: "E-Mail",
    old: "Bisheriges Passwort",
    new: "Neues Passwort",
    save: "Speichern",
    saved: "Gespeichert.",
    change: "Passwort ändern",
    changed: "Dein Passwort ist geändert.",
    needed: "Wird gebraucht.",
    tooLong: "Ist zu lang: höchstens 60.",
    format: "Sieht nicht richtig aus.",
    wrong: /Das stimmt nicht|Der Name oder das Passwort ist falsch/,
    common: "Das Passwort ist zu verbreitet.",
  },
} as const;
type Language = keyof typeof WORDS;

/** Until then the browser would post the form by itself. */
function alive(page: Page): Promise<boolean> {
  return until("the page to be alive", () =>
    page.evaluate(() =>
      Object.keys(document.querySelector("form") ?? {}).some((key) => key.startsWith("__react")),
    ),
  );
}

/** Somebody at a page in a language. The first page is signed in to in English. */
async function at(user: string, path: string, language: Language, options = {}) {
  const made = await visitAs(browser, server, user, path, { bypassCSP: true, ...options });
  await made.context.addCookies([{ name: "language", value: language, url: server.url }]);
  await made.page.goto(server.url + path);
  await alive(made.page);
  return made;
}

/** By Tab alone, from wherever the keyboard is. */
async function tabTo(page: Page, label: string): Promise<void> {
  for (let presses = 0; presses < 60; presses++) {
    const found = await page.evaluate(() => {
      const element = document.activeElement as HTMLInputElement | null;
      return element?.labels?.[0]?.textContent ?? element?.textContent ?? "";
    });
    if (found.trim() === label) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`the keyboard does not come to ${label}`);
}

async function write(page: Page, label: string, text: string): Promise<void> {
  await tabTo(page, label);
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.press("Delete");
  await page.keyboard.insertText(text);
}

/** What is said to be wrong with a field, as screen readers find it. */
function errorOf(page: Page, label: string): Promise<string> {
  return page.getByLabel(label, { exact: true }).evaluate((input) => {
    if (input.getAttribute("aria-invalid") !== "true") return "";
    const ids = input.getAttribute("aria-describedby")?.split(" ") ?? [];
    return ids.map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
  });
}

async function refused(page: Page, label: string, wrong: string | RegExp): Promise<void> {
  await until(`${label} to be refused`, async () => {
    const said = await errorOf(page, label);
    return typeof wrong === "string" ? said.includes(wrong) : wrong.test(said);
  });
  const focused = await page
    .getByLabel(label, { exact: true })
    .evaluate((one) => one === document.activeElement);
  assert.ok(focused, `${label} has the keyboard`);
}

for (const language of ["en", "de"] as const) {
  const words = WORDS[language];
  const user = { en: "testUser1", de: "testUser2" }[language];

  test(`the name on the profile, in ${language}`, async () => {
    const { page, context, complaints, apiCalls } = await at(user, "/profile", language);
    apiCalls.length = 0;
    await write(page, words.name, "  ");
    await page.keyboard.press("Enter");
    await refused(page, words.name, words.needed);
    await write(page, words.name, "x".repeat(61));
    await page.keyboard.press("Enter");
    await refused(page, words.name, words.tooLong);
    assert.deepEqual(await findings(page), []);
    assert.deepEqual(apiCalls, []); // it was found here
    await write(page, words.name, `Ada of ${language}`);
    assert.equal(await errorOf(page, words.name), "");
    await tabTo(page, words.save);
    await page.keyboard.press("Space");
    await page.getByText(words.saved, { exact: true }).waitFor();
    assert.deepEqual(apiCalls, ["PATCH /api/auth/me/"]);
    await page.locator("p", { hasText: `Ada of ${language}` }).waitFor(); // the page shows it at once
    assert.equal(
      sql(server, `select display_name from "user" where username = '${user}'`),
      `Ada of ${language}`,
    );
    assert.deepEqual(complaints, []);
    await leave(context);
  });

  test(`the address in the settings, in ${language}: what only the server finds`, async () => {
    const { page, context, apiCalls } = await at(user, "/settings", language);
    apiCalls.length = 0;
    await write(page, words.email, "ada");
    await page.keyboard.press("Enter");
    await refused(page, words.email, words.format);
    assert.deepEqual(apiCalls, []);
    await write(page, words.email, "ada@example..org");
    await page.keyboard.press("Enter");
    await refused(page, words.email, words.format);
    assert.deepEqual(apiCalls, ["PATCH /api/auth/me/"]);
    assert.deepEqual(await findings(page), []);
    await write(page, words.email, `${language}@example.org`);
    await page.keyboard.press("Enter");
    await page.getByText(words.saved, { exact: true }).waitFor();
    await page.reload();
    assert.equal(await page.getByLabel(words.email, { exact: true }).inputValue(), `${language}@example.org`);
    const email = () => sql(server, `select coalesce(email, 'null') from "user" where username = '${user}'`);
    assert.equal(email(), `${language}@example.org`);
    await alive(page);
    await write(page, words.email, "");
    await page.keyboard.press("Enter");
    await page.getByText(words.saved, { exact: true }).waitFor();
    assert.equal(email(), "null");
    await leave(context);
  });

  test(`the password, in ${language}`, async () => {
    const { page, context } = await at(user, "/profile", language);
    const type = (label: string) => page.getByLabel(label, { exact: true }).getAttribute("type");
    assert.deepEqual([await type(words.old), await type(words.new)], ["password", "password"]);
    await tabTo(page, words.change);
    await page.keyboard.press("Enter");
    await refused(page, words.old, words.needed);
    assert.match(await errorOf(page, words.new), new RegExp(words.needed));
    await page.keyboard.insertText("not the password");
    await write(page, words.new, "  a sentence with spaces  ");
    await page.keyboard.press("Enter");
    await refused(page, words.old, words.wrong);
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.insertText(password);
    await write(page, words.new, "password");
    await page.keyboard.press("Enter");
    await refused(page, words.new, words.common);
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.insertText("  a sentence with spaces  "); // with its spaces
    await page.keyboard.press("Enter");
    await page.getByText(words.changed).waitFor();
    assert.equal(await page.getByLabel(words.new, { exact: true }).inputValue(), "");
    const body = JSON.stringify({ username: user, password: "  a sentence with spaces  " });
    const headers = { "Content-Type": "application/json" };
    const token = await fetch(`${server.url}/api/auth/token/`, { method: "POST", headers, body });
    assert.equal(token.status, 201);
    await leave(context);
  });
}

test("on a phone and on a desk, light and dark: the errors fit, and nothing serious is found", async () => {
  for (const [device, viewport] of [
    ["phone", { width: 390, height: 844 }],
    ["desktop", { width: 1280, height: 900 }],
  ] as const)
    for (const colorScheme of ["light", "dark"] as const) {
      const { page, context } = await at("testUser3", "/profile", "en", { viewport, colorScheme });
      await write(page, WORDS.en.name, "");
      await page.keyboard.press("Enter");
      await refused(page, WORDS.en.name, WORDS.en.needed);
      assert.equal(await excessWidth(page), 0);
      assert.deepEqual(await findings(page), []);
      await screenshot(page, `forms-profile-${device}-${colorScheme}`);
      await page.goto(`${server.url}/settings`);
      await page.getByLabel(WORDS.en.email, { exact: true }).waitFor();
      assert.deepEqual(await findings(page), []);
      await screenshot(page, `forms-settings-${device}-${colorScheme}`);
      await leave(context);
    }
});
