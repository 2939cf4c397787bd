// Search in a chat and over all of them: results lead to the message, by keyboard too; without results it says so.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { findings, leave, onStage, screenshot, visitAs } from "../browser.ts";
import { writeMessages } from "../messages.ts";
import { sql, until } from "../server.ts";

const { server, browser, chat } = await onStage({ front: true, chat: "Recipes" });
writeMessages(server, chat, 1500, (n) => (n === 40 ? "An old apple cake" : `Number ${n} of many`));

const isSeen = async (page: Page, text: string) => {
  const box = await page.getByLabel("Messages", { exact: true }).boundingBox();
  const message = await page
    .locator("[data-message]", { hasText: text })
    .first()
    .boundingBox({ timeout: 500 })
    .catch(() => null); // not yet
  return (
    box !== null && message !== null && message.y >= box.y && message.y + message.height <= box.y + box.height
  );
};
const results = (page: Page) => page.locator("[data-result]");

test("over all chats: what is found leads to its chat and to the message", async () => {
  const { page, context, complaints } = await visitAs(browser, server, "demo", "/chats");
  await page.getByRole("searchbox", { name: "Search all chats" }).fill("apple old");
  await page.getByText("1 message", { exact: true }).waitFor();
  assert.match(await results(page).first().innerText(), /Recipes/);
  assert.deepEqual(await results(page).first().locator("mark").allInnerTexts(), ["old", "apple"]);
  assert.deepEqual(await findings(page), []);
  await screenshot(page, "search-all");
  await results(page).first().click();
  await page.waitForURL(`**/chat/${chat}?message=*`);
  await until("the message to be in sight", () => isSeen(page, "An old apple cake"));
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("an address with a message opens at it, also when it is far back", async () => {
  const id = sql(server, "select id from message where text = 'An old apple cake'");
  const { page, context, complaints } = await visitAs(browser, server, "demo", `/chat/${chat}?message=${id}`);
  await until("the message to be in sight", () => isSeen(page, "An old apple cake"));
  assert.ok((await page.locator("[data-message]").count()) < 120, "the document stays small");
  await page.getByRole("button", { name: "To the newest message" }).click();
  await until("the newest", () => isSeen(page, "Number 1500 of many"));
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("a message that is not there is said to be gone", async () => {
  const nobody = "0198c0de-cafe-7abc-8def-0123456789ab";
  const { page, context } = await visitAs(browser, server, "demo", `/chat/${chat}?message=${nobody}`);
  await page.getByText("This message is not there any more.").waitFor();
  await leave(context);
});

test("in a chat, by keyboard alone", async () => {
  const { page, context, complaints } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  const open = page.getByRole("button", { name: "Search this chat" });
  await open.focus();
  await page.keyboard.press("Enter");
  const field = page.getByRole("searchbox", { name: "Search this chat" });
  await until("the field to have the keyboard", () =>
    field.evaluate((one) => one === document.activeElement),
  );
  await page.keyboard.type("number 12");
  await page.getByText("The newest 30 messages").waitFor();
  assert.deepEqual(await findings(page), []);
  await field.focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  assert.ok(
    await results(page)
      .nth(1)
      .evaluate((one) => one === document.activeElement),
  );
  await page.keyboard.press("Enter");
  const whole = (await results(page).nth(1).innerText()).split("\n").at(-1) ?? "";
  await until("the message to be in sight", () => isSeen(page, whole));
  await page.keyboard.press("Escape");
  assert.equal(await field.inputValue(), "");
  await page.keyboard.press("Escape");
  await field.waitFor({ state: "detached" });
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("nothing found, no word, and a failure each say what they are", async () => {
  const { page, context } = await visitAs(browser, server, "demo", "/chats");
  const field = page.getByRole("searchbox", { name: "Search all chats" });
  await field.fill("rhinoceros");
  await page.getByText("Nothing with “rhinoceros”.").waitFor();
  await field.fill("…!");
  await page.getByRole("navigation", { name: "Chats" }).waitFor();
  await context.route("**/api/messages/?search=*", (route) => route.abort());
  await field.fill("apple");
  await page.getByText("The search did not work.", { exact: false }).waitFor();
  await leave(context);
});

test("nobody finds what stands in chats of others", async () => {
  const { page, context } = await visitAs(browser, server, "testUser9", "/chats");
  await page.getByRole("searchbox", { name: "Search all chats" }).fill("apple");
  await page.getByText("Nothing with “apple”.").waitFor();
  await leave(context);
});
