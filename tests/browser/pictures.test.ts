// Pictures in messages: chosen, pasted and dropped, described, sent, seen by others, large, by keyboard; and what is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import {
  findings,
  leave,
  messageOn,
  onStage,
  screenshot,
  shiftsOn,
  visitAs,
  watchShifts,
} from "../browser.ts";
import { GIF, makePng } from "../pictures.ts";
import { sql, until } from "../server.ts";

const { server, browser, chat } = await onStage({ front: true, chat: "Welcome" });

const file = (name: string, mimeType: string, buffer: Buffer) => ({ name, mimeType, buffer });
const png = () => file("a.png", "image/png", makePng(400, 200));
const drafts = (page: Page) => page.getByRole("list", { name: "Pictures to send" }).getByRole("listitem");
const pictures = (page: Page) => page.locator("[data-message] img[loading]");
const choose = (page: Page, files: ReturnType<typeof file>[]) =>
  page.locator("input[type=file]").setInputFiles(files);
const send = (page: Page) => page.getByRole("button", { name: "Send" }).click();
const isDrawn = (page: Page) =>
  pictures(page)
    .last()
    .evaluate((image: HTMLImageElement) => image.complete && image.naturalWidth > 0);

test("a chosen picture is shown before it is sent, described, and then seen by the others", async () => {
  const demo = await visitAs(browser, server, "demo", `/chat/${chat}`);
  const friend = await visitAs(browser, server, "testUser0", `/chat/${chat}`);
  await choose(demo.page, [png()]);
  await drafts(demo.page).first().waitFor();
  assert.deepEqual(await findings(demo.page), []);
  await demo.page.getByLabel("What is to be seen?").fill("Two colours");
  await demo.page.getByLabel("Message", { exact: true }).fill("Look at this");
  await send(demo.page);
  for (const { page } of [demo, friend]) {
    await messageOn(page, "Look at this").waitFor();
    const picture = pictures(page).last();
    await picture.waitFor();
    assert.equal(await picture.getAttribute("alt"), "Two colours");
    await until("the picture to be drawn", () => isDrawn(page));
  }
  await until("the draft to be gone", async () => (await drafts(demo.page).count()) === 0);
  assert.equal(await demo.page.getByLabel("Message", { exact: true }).inputValue(), "");
  assert.deepEqual(await findings(friend.page), []);
  for (const one of [demo, friend]) {
    assert.deepEqual(one.complaints, []);
    await leave(one.context);
  }
});

test("its place is kept free while it loads: nothing moves when it comes", async () => {
  const { page, context } = await visitAs(browser, server, "demo", "/chats");
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await context.route("**/api/pictures/*/file/", async (route) => {
    await held;
    await route.continue();
  });
  await watchShifts(page);
  await page.goto(`${server.url}/chat/${chat}`);
  const picture = pictures(page).last();
  await picture.waitFor();
  const before = await picture.boundingBox();
  release();
  await until("the picture to be drawn", () => isDrawn(page));
  assert.deepEqual(await shiftsOn(page), []);
  assert.ok(before && before.width > 100 && Math.abs(before.width / before.height - 2) < 0.05, "its shape");
  assert.deepEqual(await picture.boundingBox(), before);
  await leave(context);
});

test("pasted and dropped pictures are taken, and can be taken away again", async () => {
  const { page, context, complaints } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  await page.getByLabel("Message", { exact: true }).focus();
  const bytes = [...makePng(30, 30)];
  const put = (kind: "paste" | "drop") =>
    page.evaluate(
      ([kind, bytes]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes as number[])], "a.png", { type: "image/png" }));
        const box = document.querySelector("textarea") as HTMLElement;
        const event =
          kind === "paste"
            ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
            : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
        box.dispatchEvent(event);
      },
      [kind, bytes] as const,
    );
  await put("paste");
  await drafts(page).nth(0).waitFor();
  await put("drop");
  await drafts(page).nth(1).waitFor();
  await page.getByRole("button", { name: "Take the picture away" }).first().click();
  await until("one to be left", async () => (await drafts(page).count()) === 1);
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("the newest message stays in sight when the pictures to send need room", async () => {
  const { page, context } = await visitAs(browser, server, "demo", `/chat/${chat}`, {
    viewport: { width: 390, height: 844 },
  });
  const last = page.locator("[data-message]").last();
  await last.waitFor();
  await choose(page, [png()]);
  await drafts(page).first().waitFor();
  const [box, message] = [await page.getByLabel("Messages").boundingBox(), await last.boundingBox()];
  assert.ok(box && message && message.y + message.height <= box.y + box.height + 1);
  await screenshot(page, "chat-pictures");
  await leave(context);
});

test("what is no picture, too much at once, or not whole is refused in words", async () => {
  const { page, context } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>');
  for (const [files, words] of [
    [[file("a.svg", "image/svg+xml", svg)], "Only PNG, JPEG, WebP and GIF pictures can be sent."],
    [[file("a.png", "image/png", svg)], "This file cannot be read as a picture."],
    [[file("a.txt", "text/plain", Buffer.from("x"))], "Only PNG, JPEG, WebP and GIF pictures can be sent."],
  ] as const) {
    await choose(page, [...files]);
    await page.getByText(words).waitFor();
    assert.equal(await drafts(page).count(), 0);
  }
  await choose(page, Array.from({ length: 7 }, png));
  await page.getByText("At most 6 pictures at a time.").waitFor();
  await until("six", async () => (await drafts(page).count()) === 6);
  await leave(context);
});

test("what the server refuses stays, with its reason, and can be sent again", async () => {
  const { page, context } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  const before = await pictures(page).count();
  let refuse = true;
  await context.route("**/api/chats/*/pictures/", async (route) => {
    if (!refuse) return route.continue();
    await route.fulfill({
      status: 413,
      contentType: "application/problem+json",
      body: JSON.stringify({ status: 413, code: "too_large", title: "Content Too Large", detail: "…" }),
    });
  });
  await choose(page, [file("a.gif", "image/gif", GIF)]);
  await drafts(page).first().waitFor();
  await send(page);
  await page.getByRole("alert").getByText("That is too large.").waitFor();
  refuse = false;
  await page.getByRole("button", { name: "Try again" }).click();
  await until("it to be there", async () => (await pictures(page).count()) === before + 1);
  await until("the draft to be gone", async () => (await drafts(page).count()) === 0); // the stream may be first
  await leave(context);
});

test("a large picture says how far it is, and is sent once though the answer is lost", async () => {
  const { page, context } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  const count = () => Number(sql(server, "select count(*) from message where picture is not null"));
  const before = count();
  let lost = 0;
  await context.route("**/api/chats/*/pictures/", async (route) => {
    if (lost++ > 0) return route.continue();
    await route.fetch(); // the server has it, we do not hear of it
    await route.abort();
  });
  await choose(page, [file("a.png", "image/png", makePng(600, 400, true))]);
  await drafts(page).first().waitFor();
  await send(page);
  await page.getByRole("alert").getByText("The server cannot be reached.").waitFor();
  await page.getByRole("button", { name: "Try again" }).click();
  await until("the draft to be gone", async () => (await drafts(page).count()) === 0);
  assert.equal(count(), before + 1);
  await leave(context);
});

test("without a connection a picture waits, and says so", async () => {
  const { page, context } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  await page.locator("[data-message]").first().waitFor();
  await context.setOffline(true);
  await page.evaluate(() => window.dispatchEvent(new Event("offline")));
  await choose(page, [png()]);
  await page.getByText("Pictures need a connection.", { exact: false }).waitFor();
  assert.ok(await page.getByRole("button", { name: "Send" }).isDisabled());
  await context.setOffline(false);
  await until("the connection", () => page.getByRole("button", { name: "Send" }).isEnabled());
  await leave(context);
});

test("a picture is shown large and closed by keyboard alone, and focus comes back", async () => {
  const { page, context, complaints } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  const button = page.getByRole("button", { name: /^Show large/ }).last();
  await button.waitFor();
  complaints.length = 0; // of the pages before
  await button.focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  assert.deepEqual(await findings(page), []);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.ok(await button.evaluate((element) => element === document.activeElement));
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Close" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("who has left the chat sees none of it any more", async () => {
  const guest = sql(server, `select id from "user" where username = 'testUser7'`);
  const member = crypto.randomUUID();
  sql(
    server,
    `insert into member (id, chat, "user", joined_at, unread) values ('${member}', '${chat}', '${guest}', 0, 0)`,
  );
  const { page, context } = await visitAs(browser, server, "testUser7", `/chat/${chat}`);
  const source = await pictures(page).last().getAttribute("src");
  sql(server, `delete from member where id = '${member}'`);
  await page.getByRole("heading", { name: "This chat is not there" }).waitFor();
  const status = await page.evaluate(
    async (url) => (await fetch(String(url), { cache: "no-store" })).status,
    source,
  );
  assert.equal(status, 404);
  await leave(context);
});
