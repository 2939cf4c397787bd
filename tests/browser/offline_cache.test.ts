// What a browser keeps, where no server answers: the last state before any answer, its age, and whose it is.
import assert from "node:assert/strict";
import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { alive, leave, messageOn, onStage, signIn, visit, visitAs } from "../browser.ts";
import { onPostgres } from "../database.ts";
import { banner, bubble, changeRecords, keeps, Roads, recordsIn, stored, waits, write } from "../offline.ts";
import { sql, until } from "../server.ts";

// The exported shell, as an installed app has it.
const stage = await onStage({ chat: "Welcome" });
const { browser, chat } = stage;
let { server } = stage;

const chatUrl = () => `${server.url}/chat/${chat}`;
const messages = (page: Page) => page.locator("[data-message]");

interface Looked {
  context: BrowserContext;
  page: Page;
  roads: Roads;
  complaints: string[];
}

// Somebody who has looked at the chat once, and whose browser has kept it.
async function looked(work: (looked: Looked) => Promise<void>): Promise<void> {
  const { context, page, complaints } = await visitAs(browser, server, "demo", "/chats");
  try {
    const roads = await Roads.of(context);
    await page.goto(chatUrl());
    await messages(page).first().waitFor();
    await keeps(page, `/api/messages/?chat=${chat}&include=picture`, "d:");
    await keeps(page, `/chat/${chat}`, "g:");
    await work({ context, page, roads, complaints });
  } finally {
    await leave(context);
  }
}

test("a start shows the full last state before any answer, and without a server its age", () =>
  looked(async ({ page, roads }) => {
    const before = await messages(page).allInnerTexts();
    await page.goto("about:blank");
    await roads.close();
    const release = roads.hold();
    await page.goto(chatUrl());
    await messages(page).first().waitFor();
    assert.deepEqual(await messages(page).allInnerTexts(), before);
    release();
    await banner(page, "reconnecting")
      .getByText(/as of \d+:\d\d/)
      .waitFor();
    await page.getByRole("link", { name: /Welcome/ }).waitFor(); // the list beside it
    roads.open();
    await banner(page, "live").waitFor({ state: "attached" });
  }));

test("a day later it is shown with the day it is from, and what has changed since is there once a server answers", () =>
  looked(async ({ page, roads }) => {
    await write(page, "seen yesterday");
    await until("it to arrive", () => stored(server, "seen yesterday").length > 0);
    await keeps(page, "seen yesterday", "d:");
    await page.goto("about:blank");
    const blank = await page.context().newPage();
    await blank.goto(`${server.url}/robots.txt`);
    const day = 24 * 60 * 60 * 1000;
    const older = (await recordsIn(blank)).map(([key, value]): [string, string] => {
      const aged = value.replace(/"at_ms":(\d+)/, (_, ms) => `"at_ms":${Number(ms) - day}`);
      return [key, key.startsWith("p:") ? value.replace(/\d+$/, (ms) => String(Number(ms) - day)) : aged];
    });
    await changeRecords(blank, older);
    const gone = "seen yesterday";
    sql(server, `delete from message where text = '${gone}'`);
    await roads.close();
    await page.goto(chatUrl());
    await messageOn(page, gone).waitFor();
    const yesterday = new Date(Date.now() - day).getDate();
    await banner(page, "reconnecting")
      .getByText(new RegExp(`as of .*\\b${yesterday} `))
      .waitFor();
    roads.open();
    await messageOn(page, gone).waitFor({ state: "detached" });
  }));

test("a page that was never visited shows what is held for it", () =>
  looked(async ({ page, roads }) => {
    const other = sql(server, "select id from chat where title = 'Weekend plans'");
    await roads.close();
    await page.getByRole("link", { name: /Weekend plans/ }).click();
    await page.getByRole("heading", { name: "Weekend plans" }).waitFor();
    assert.ok(page.url().endsWith(other));
    assert.equal(await page.getByText("This chat is not there").count(), 0);
  }));

test("a reload without a server does not lose what waits, and sends it once there is one", () =>
  looked(async ({ page, roads }) => {
    await roads.close();
    await write(page, "written in the dark");
    await waits(page, "written in the dark");
    await keeps(page, "written in the dark", "m:");
    await page.reload();
    await waits(page, "written in the dark");
    roads.open();
    await until("it to arrive", () => stored(server, "written in the dark").length > 0);
    await bubble(page, "written in the dark").getByText("Waits").waitFor({ state: "detached" });
    assert.deepEqual(stored(server, "written in the dark"), ["written in the dark"]);
    // The page that no server had given is asked for again at the same time.
    await until(
      "it to be shown once",
      async () => (await messageOn(page, "written in the dark").count()) === 1,
    );
  }));

test("signing out leaves nothing, in any tab", () =>
  looked(async ({ context, page }) => {
    const second = await context.newPage();
    await second.goto(`${server.url}/profile`);
    await alive(second);
    await second.getByRole("button", { name: "Sign out", exact: true }).click();
    await messages(page).first().waitFor({ state: "detached" });
    await until("the cache to be empty", async () =>
      (await recordsIn(page)).every(([key]) => key === "user" || key === "owner" || key.startsWith("g:/")),
    );
    assert.ok(!JSON.stringify(await recordsIn(page)).includes(chat));
  }));

async function expire(page: Page, roads: Roads, text: string): Promise<void> {
  await roads.close();
  await write(page, text);
  await waits(page, text);
  await keeps(page, text, "m:");
  sql(server, `delete from auth_session where "user" = (select id from "user" where username = 'demo')`);
  roads.open();
  await banner(page, "signInAgain").getByText("1 change waits").waitFor();
  await messages(page).first().waitFor({ state: "detached" });
  assert.deepEqual(stored(server, text), []);
}

test("a session that ends keeps what waits until the same person is here again", () =>
  looked(async ({ page, roads }) => {
    await expire(page, roads, "mine after all");
    await banner(page, "signInAgain").getByRole("link", { name: "Sign in" }).click();
    await page.waitForURL(/\/login/);
    await banner(page, "signInAgain").waitFor();
    await signIn(page, server, "demo");
    await until("it to arrive", () => stored(server, "mine after all").length > 0);
    assert.deepEqual(stored(server, "mine after all"), ["mine after all"]);
    await page.goto(chatUrl());
    await messageOn(page, "mine after all").waitFor();
  }));

test("and lets go of it when it is somebody else", () =>
  looked(async ({ page, roads }) => {
    await expire(page, roads, "for nobody else");
    await signIn(page, server, "testUser1");
    await page.goto(`${server.url}/chats`);
    await page
      .getByRole("link", { name: /Weekend plans|Welcome/ })
      .first()
      .waitFor();
    await until(
      "it to be gone",
      async () => !JSON.stringify(await recordsIn(page)).includes("for nobody else"),
    );
    assert.deepEqual(stored(server, "for nobody else"), []);
  }));

test("a full disk: nothing breaks, and what is written goes out", () =>
  looked(async ({ context, page, complaints }) => {
    const cdp = await context.newCDPSession(page);
    await cdp.send("Storage.overrideQuotaForOrigin", { origin: server.url, quotaSize: 1 });
    await write(page, "on a full disk");
    await until("it to arrive", () => stored(server, "on a full disk").length > 0);
    await page.reload();
    await messageOn(page, "on a full disk").waitFor();
    assert.deepEqual(stored(server, "on a full disk"), ["on a full disk"]);
    assert.deepEqual(complaints, []);
  }));

for (const [name, damage] of [
  ["a torn record", (value: string) => value.slice(0, -20)],
  ["garbage", () => "\u0000{]"],
  ["another version", (value: string) => (/^\d+ /.test(value) ? value.replace(/^\d+/, "99") : value)],
] as const)
  test(`${name} in the cache is dropped, and the page works`, () =>
    looked(async ({ page, complaints }) => {
      await page.goto(`${server.url}/robots.txt`);
      const damaged = (await recordsIn(page)).map(([key, value]): [string, string] => [key, damage(value)]);
      await changeRecords(page, damaged);
      await page.goto(chatUrl());
      await messages(page).first().waitFor();
      await keeps(page, `/api/messages/?chat=${chat}&include=picture`, "d:");
      assert.deepEqual(complaints, []);
    }));

for (const [name, script] of [
  ["has no IndexedDB", "Object.defineProperty(window, 'indexedDB', { value: undefined })"],
  [
    "refuses it",
    "Object.defineProperty(window, 'indexedDB', { get() { throw new DOMException('no', 'SecurityError'); } })",
  ],
  [
    "cannot open it",
    "IDBFactory.prototype.open = () => { throw new DOMException('no', 'InvalidStateError'); }",
  ],
] as const)
  test(`a browser that ${name} is online only`, async () => {
    const { context, page, complaints } = await visit(browser);
    await context.addInitScript(script);
    await signIn(page, server, "demo");
    await page.goto(chatUrl());
    await messages(page).first().waitFor();
    await write(page, `a browser that ${name}`);
    await until("it to arrive", () => stored(server, `a browser that ${name}`).length === 1);
    assert.deepEqual(complaints, []);
    await leave(context);
  });

// The last one: it sets the database back.
test(
  "a server restored from its backup: what waits goes out, what it has lost is not shown",
  { skip: onPostgres },
  () =>
    looked(async ({ page }) => {
      const file = join(server.folder, "app.sqlite3");
      sql(server, `vacuum into '${file}.backup'`);
      await write(page, "after the backup");
      await until("it to arrive", () => stored(server, "after the backup").length > 0);
      await bubble(page, "after the backup")
        .locator(".sr-only", { hasText: "sending" })
        .waitFor({ state: "detached" });
      await server.stop();
      await write(page, "while it was down");
      await waits(page, "while it was down");
      for (const end of ["-wal", "-shm"]) rmSync(file + end, { force: true });
      copyFileSync(`${file}.backup`, file);
      server = await stage.restart();
      await until("it to arrive", () => stored(server, "while it was down").length > 0);
      await messageOn(page, "after the backup").waitFor({ state: "detached" });
      await bubble(page, "while it was down").getByText("Waits").waitFor({ state: "detached" });
      const shown = await messages(page).evaluateAll((items) =>
        items.map((item) => (item as HTMLElement).dataset.message ?? ""),
      );
      const known = sql(server, `select count(*) from message where id in (${shown.map((id) => `'${id}'`)})`);
      assert.equal(Number(known), shown.length);
      assert.equal(await messageOn(page, "while it was down").count(), 1);
      assert.deepEqual(stored(server, "after the backup"), []);
    }),
);
