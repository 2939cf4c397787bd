// When the render server is not there: the exported page is served and loads by API.
import assert from "node:assert/strict";
import { test } from "node:test";
import { alive, leave, onStage, screenshot, signIn, visit } from "../browser.ts";
import { sql } from "../server.ts";

const { server, browser } = await onStage();

test("the shell loads the chat by API and goes live", async () => {
  const chat = sql(server, "select id from chat where title = 'Welcome'");
  const { context, page, complaints, apiCalls } = await visit(browser);
  await signIn(page, server, "demo");
  await page.goto(`${server.url}/chat/${chat}`);
  await page.locator("[data-message]").first().waitFor();
  assert.ok(apiCalls.length > 0, "its data came by API");
  sql(
    server,
    `update message set text = 'changed outside' where id = (select id from message where chat = '${chat}' order by id desc limit 1)`,
  );
  await page.locator("[data-message]").getByText("changed outside").waitFor();
  await screenshot(page, "shell");
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("a page that needs a session sends to the login and back", async () => {
  const { context, page } = await visit(browser);
  await page.goto(`${server.url}/chats`);
  assert.match(page.url(), /\/login\?next=/);
  await page.getByLabel("Name", { exact: false }).first().fill("demo");
  await page.getByLabel("Password", { exact: false }).first().fill("demo-pass-1");
  await page.getByRole("button", { name: /sign in/i }).click();
  await page.waitForURL(`${server.url}/chats`);
  await leave(context);
});

test("somebody new registers, starts a chat and writes", async () => {
  const { context, page, complaints } = await visit(browser, { viewport: { width: 390, height: 844 } });
  await page.goto(`${server.url}/register`);
  await page.getByLabel("Name", { exact: false }).first().fill("newcomer");
  await page.getByLabel("Password", { exact: false }).first().fill("a long enough one");
  await page
    .getByRole("button", { name: /account|register|sign up/i })
    .first()
    .click();
  await page.waitForURL((url) => !url.pathname.startsWith("/register"));
  await page.goto(`${server.url}/chats`);
  await alive(page);
  await page.getByRole("button", { name: "New chat" }).click();
  await page
    .getByLabel(/title|about/i)
    .first()
    .fill("First words");
  await page
    .getByRole("button", { name: /start|create/i })
    .last()
    .click();
  await page.waitForURL(/\/chat\//);
  await page.getByLabel("Message", { exact: true }).fill("hello, world");
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator("[data-message]").getByText("hello, world").waitFor();
  assert.equal(sql(server, "select count(*) from message where text = 'hello, world'"), "1");
  assert.deepEqual(complaints, []);
  await leave(context);
});
