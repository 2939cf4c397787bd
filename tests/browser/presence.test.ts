// Who is there, who is writing, and what waits: on the pages of others, and gone again.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import {
  leave,
  messageOn,
  onStage,
  screenshot,
  shiftsOn,
  type Visit,
  visitAs,
  watchShifts,
} from "../browser.ts";
import { signedIn } from "../client.ts";
import { sql } from "../server.ts";

const { server, browser, chat } = await onStage({ front: true, chat: "Welcome" });

const box = (page: Page) => page.getByLabel("Message", { exact: true });
const writing = (page: Page) => page.getByText("testUser0 is writing …");
// Beside each message of somebody, their picture; with a dot while they are there.
const dots = (page: Page) => page.locator("[data-message] .bg-success");

async function end(visits: Visit[]): Promise<void> {
  assert.deepEqual(
    visits.flatMap(({ complaints }) => complaints),
    [],
  );
  await Promise.all(visits.map(({ context }) => leave(context)));
}

test("the others see that somebody writes, until they stop or have sent it", async () => {
  const demo = await visitAs(browser, server, "demo", `/chat/${chat}`);
  const other = await visitAs(browser, server, "testUser0", `/chat/${chat}`);
  await dots(demo.page).first().waitFor();
  await box(other.page).fill("half a thought");
  await writing(demo.page).waitFor();
  assert.equal(await other.page.getByText(/writing …/).count(), 0, "nobody reads it of oneself");
  await box(other.page).fill("");
  await writing(demo.page).waitFor({ state: "detached" });
  await box(other.page).fill("a whole thought");
  await writing(demo.page).waitFor();
  await box(other.page).press("Enter");
  await messageOn(demo.page, "a whole thought").waitFor();
  await writing(demo.page).waitFor({ state: "detached" });
  await end([demo, other]);
});

test("who is in the chat has a dot, and whoever leaves has none", async () => {
  const demo = await visitAs(browser, server, "demo", `/chat/${chat}`);
  const other = await visitAs(browser, server, "testUser0", `/chat/${chat}`);
  await dots(demo.page).first().waitFor();
  await demo.page.getByText("2 here").waitFor();
  await demo.page.getByRole("button", { name: "Members" }).click();
  assert.equal(await demo.page.getByRole("dialog").locator(".bg-success").count(), 2);
  await demo.page.keyboard.press("Escape");
  await other.page.getByRole("link", { name: "Settings" }).click();
  await dots(demo.page).first().waitFor({ state: "detached" });
  assert.equal(await demo.page.getByText("2 here").count(), 0);
  await end([demo, other]);
});

test("who comes and goes moves nothing on the pages of the others", async () => {
  for (const viewport of [
    { width: 390, height: 844 },
    { width: 1280, height: 800 },
  ]) {
    const demo = await visitAs(browser, server, "demo", "/chats", { viewport });
    await watchShifts(demo.page);
    await demo.page.goto(`${server.url}/chat/${chat}`);
    const other = await visitAs(browser, server, "testUser0", `/chat/${chat}`);
    await demo.page.getByText("2 here").waitFor();
    await end([other]);
    await demo.page.getByText("2 here").waitFor({ state: "detached" });
    assert.deepEqual(await shiftsOn(demo.page), []);
    await end([demo]);
  }
});

test("what waits is counted on every page while it changes", async () => {
  const theirs = sql(server, "select id from chat where title = 'Recipes'");
  const list = await visitAs(browser, server, "demo", "/chats");
  const settings = await list.context.newPage();
  await settings.goto(`${server.url}/settings`);
  const badge = (page: Page, count: number) =>
    page.getByRole("navigation", { name: "Main" }).getByText(`${count} unread`);
  const before = Number(
    sql(
      server,
      `select sum(unread) from member where "user" = (select id from "user" where username = 'demo')`,
    ),
  );
  await badge(settings, before).waitFor();
  const friend = await signedIn(server, "testUser3");
  for (let i = 1; i <= 3; i++) {
    assert.equal((await friend.post("/api/messages/", { chat: theirs, text: `dish ${i}` })).status, 201);
    await Promise.all([badge(list.page, before + i).waitFor(), badge(settings, before + i).waitFor()]);
  }
  assert.match(await settings.title(), new RegExp(`^\\(${before + 3}\\) `));
  await list.page.getByRole("link", { name: /Recipes/ }).click();
  await messageOn(list.page, "dish 3").waitFor();
  const waiting = Number(
    sql(
      server,
      `select unread from member where chat = '${theirs}' and "user" = (select id from "user" where username = 'demo')`,
    ),
  );
  assert.ok(waiting === 0 || waiting === 6, String(waiting));
  await badge(settings, before - 3).waitFor();
  await end([list]);
});

test("the number of people who are online follows who comes and goes", async () => {
  const demo = await visitAs(browser, server, "demo", "/chats");
  await demo.page.getByText("1 online").waitFor();
  const other = await visitAs(browser, server, "testUser0", "/settings");
  await demo.page.getByText("2 online").waitFor();
  await end([other]);
  await demo.page.getByText("1 online").waitFor();
  await end([demo]);
});

test("the chat with people in it, as it looks", async () => {
  const other = await visitAs(browser, server, "testUser0", `/chat/${chat}`);
  for (const colorScheme of ["light", "dark"] as const)
    for (const [size, viewport] of Object.entries({
      phone: { width: 390, height: 844 },
      desktop: { width: 1280, height: 800 },
    })) {
      const demo = await visitAs(browser, server, "demo", `/chat/${chat}`, { viewport, colorScheme });
      await dots(demo.page).first().waitFor();
      await box(other.page).fill(`for ${size} in ${colorScheme}`);
      await writing(demo.page).waitFor();
      await screenshot(demo.page, `presence-${size}-${colorScheme}`);
      const typing = await writing(demo.page).boundingBox();
      const composer = await box(demo.page).boundingBox();
      const last = await demo.page.locator("[data-message]").last().boundingBox();
      assert.ok(typing && composer && last);
      assert.ok(
        last.y + last.height <= typing.y && typing.y + typing.height <= composer.y,
        "nothing overlaps",
      );
      await demo.page.getByRole("button", { name: "Members" }).click();
      await screenshot(demo.page, `presence-members-${size}-${colorScheme}`);
      await box(other.page).fill("");
      await end([demo]);
    }
  await end([other]);
});

test("a die is thrown by the server, and everybody in the chat sees what fell", async () => {
  const demo = await visitAs(browser, server, "demo", `/chat/${chat}`);
  const other = await visitAs(browser, server, "testUser0", `/chat/${chat}`);
  await dots(demo.page).first().waitFor();
  const die = ({ page }: Visit) => page.getByRole("button", { name: "Throw a die" });
  await other.page.locator('button[aria-label="Throw a die"]:enabled').waitFor();
  await die(demo).click();
  await other.page.getByText(/^demo threw a [1-6]\.$/).waitFor();
  await demo.page.getByText(/^demo threw a [1-6]\.$/).waitFor();
  await end([demo, other]);
});
