// Every flow by keyboard alone: no click, no focus that was not reached by a key.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { alive, leave, messageOn, onStage, visit } from "../browser.ts";
import { password, sql } from "../server.ts";

const STEPS_MAX = 120;

const { server, browser } = await onStage({ front: true });

interface Focused {
  name: string;
  role: string;
  seen: boolean;
}

// What has the focus: its name as a screen reader would say it, roughly, and whether it can be seen.
const focused = (page: Page): Promise<Focused> =>
  page.evaluate(() => {
    const at = document.activeElement as HTMLElement;
    const isField = at instanceof HTMLInputElement || at instanceof HTMLTextAreaElement;
    const labelElement = isField ? at.labels?.[0] : undefined;
    const label = labelElement?.textContent;
    // A field that is drawn by its label, as radio buttons that are pictures.
    const box = (
      at.className.includes("sr-only") && labelElement ? labelElement : at
    ).getBoundingClientRect();
    const name = at.getAttribute("aria-label") ?? label ?? at.textContent ?? "";
    return {
      name: name.replace(/\s+/g, " ").trim(),
      role: at.getAttribute("role") ?? at.tagName.toLowerCase(),
      seen: box.width > 1 && box.height > 1 && box.bottom > 0 && box.top < window.innerHeight,
    };
  });

// Tab until something of that name has the focus; it must be visible there.
async function reach(page: Page, name: RegExp, role: string): Promise<void> {
  const passed: string[] = [];
  for (let step = 0; step < STEPS_MAX; step++) {
    await page.keyboard.press("Tab");
    const at = await focused(page);
    passed.push(`${at.role} “${at.name}”`);
    if (at.role !== role || !name.test(at.name)) continue;
    assert.ok(at.seen, `${at.name} has the focus and cannot be seen`);
    return;
  }
  assert.fail(`no way by Tab to ${role} ${name}; passed ${passed.join(", ")}`);
}

async function follow(page: Page, name: RegExp, path: RegExp): Promise<void> {
  await reach(page, name, "a");
  await page.keyboard.press("Enter");
  await page.waitForURL(path);
}

async function push(page: Page, name: RegExp): Promise<void> {
  await reach(page, name, "button");
  await page.keyboard.press("Enter");
}

async function write(page: Page, name: RegExp, text: string, role = "input"): Promise<void> {
  await reach(page, name, role);
  await page.keyboard.press("Control+A");
  await page.keyboard.type(text);
}

test("from signing in to signing out", async () => {
  const { context, page, complaints } = await visit(browser);
  await page.goto(server.url);
  await page.keyboard.press("Tab");
  assert.match((await focused(page)).name, /Skip to the content/);

  await follow(page, /^Sign in$/, /\/login/);
  await write(page, /^Name/, "demo");
  await write(page, /^Password/, password);
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/chats$/);

  await follow(page, /Welcome/, /\/chat\//);
  await page.locator("[data-message]").first().waitFor();
  await write(page, /^Message$/, "said with keys", "textarea");
  await page.keyboard.press("Enter");
  await messageOn(page, "said with keys").waitFor();
  assert.match((await focused(page)).name, /^Message$/, "one can go on writing");

  await page.getByRole("button", { name: "Members" }).waitFor();
  await page.keyboard.press("Home");
  await page.reload();
  await page.locator("[data-message]").first().waitFor();
  await push(page, /Members/);
  await page.getByRole("dialog").waitFor();
  await push(page, /Add people/);
  await page.getByRole("dialog", { name: /Add people/ }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.match((await focused(page)).name, /Members/, "the focus goes back to where it came from");

  await page.goto(`${server.url}/chats`);
  await push(page, /New chat/);
  await write(page, /about/, "By keyboard");
  await write(page, /People/, "testUser0");
  await page.getByRole("checkbox").first().waitFor();
  await reach(page, /testUser0/i, "input");
  await page.keyboard.press("Space");
  await push(page, /^Start$/);
  await page.waitForURL(/\/chat\//);
  await page.getByRole("heading", { level: 1, name: "By keyboard" }).waitFor();
  assert.equal(sql(server, "select count(*) from chat where title = 'By keyboard'"), "1");

  await follow(page, /Settings/, /\/settings/);
  await page.getByRole("heading", { level: 1, name: "Settings" }).waitFor();
  await page.locator('input[name="theme"]').first().waitFor({ state: "attached" });
  await reach(page, /As the system/, "input");
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction(() => document.documentElement.dataset.theme !== undefined);

  await page.reload();
  await alive(page);
  await follow(page, /^D?demo|Demo/i, /\/profile/);
  await write(page, /Name that others see/, "Key Boarder");
  await page.keyboard.press("Enter");
  await page.getByText("Saved.").waitFor();
  await push(page, /^Sign out$/);
  await page.waitForURL(`${server.url}/`);
  await reach(page, /^Sign in$/, "a");
  assert.deepEqual(complaints, []);
  await leave(context);
});
