// Kept pages in a real browser, rendered by Next: they hydrate and live like fresh ones, cost the browser nothing when
// they are the same, and are gone when their reader signs out.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { alive, leave, messageOn, onStage, shiftsOn, signIn, visit, watchShifts } from "../browser.ts";
import { signedIn } from "../client.ts";
import { sql, until } from "../server.ts";

const { server, browser, chat } = await onStage({ front: true, chat: "Welcome" });

async function count(name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
}

// The paths of documents that the browser showed without asking.
async function documentsFromCache(page: Page): Promise<string[]> {
  const seen: string[] = [];
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  session.on("Network.responseReceived", ({ type, response }) => {
    if (type === "Document" && response.fromDiskCache) seen.push(new URL(response.url).pathname);
  });
  return seen;
}

test("a page rendered by Next is kept: the same bytes, no nonce, its scripts named", async () => {
  const client = await signedIn(server, "testUser0");
  const first = await client.get(`/chat/${chat}`);
  const before = await count("tims_pages_renders_total");
  const second = await client.get(`/chat/${chat}`);
  assert.equal(second.body, first.body);
  assert.equal(await count("tims_pages_renders_total"), before);
  assert.ok(!/nonce="/.test(first.body));
  assert.match(first.headers.get("content-security-policy") ?? "", /script-src 'self'( 'sha256-[^']+')+;/);
  const again = await client.get(`/chat/${chat}`, { "if-none-match": first.headers.get("etag") ?? "" });
  assert.equal(again.status, 304);
});

test("a kept page hydrates without a call, follows from where it was read, and moves nothing", async () => {
  const { context, page, complaints, apiCalls } = await visit(browser);
  await signIn(page, server, "demo");
  await page.goto(`${server.url}/chat/${chat}`);
  await until(
    "the chat to be read",
    () => sql(server, `select unread from member where chat = '${chat}' and unread > 0`) === "",
  );
  await page.goto(`${server.url}/chat/${chat}`);
  // Others change what is not on this page: its position falls behind.
  sql(server, `update "user" set display_name = 'Somewhere else' where username = 'testUser9'`);
  const [renders, kept] = [await count("tims_pages_renders_total"), await count("tims_pages_kept_total")];
  apiCalls.length = 0;
  await watchShifts(page);
  await page.goto(`${server.url}/chat/${chat}`);
  assert.equal(await count("tims_pages_renders_total"), renders);
  assert.equal(await count("tims_pages_kept_total"), kept + 1);
  await page.getByText(/\d online/).waitFor(); // which comes over the socket
  assert.deepEqual(await shiftsOn(page), []);
  assert.deepEqual(apiCalls, []);
  await (await signedIn(server, "testUser0")).post("/api/messages/", { chat, text: "after the kept page" });
  await messageOn(page, "after the kept page").waitFor();
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("who goes back sees the page again without a request; who has signed out does not", async () => {
  const { context, page, complaints } = await visit(browser);
  await signIn(page, server, "demo");
  const kept = await documentsFromCache(page);
  const path = `/chat/${chat}`;
  await page.goto(server.url + path);
  await page.locator("[data-message]").first().waitFor();
  await page.goto(`${server.url}/profile`);
  await page.goBack();
  await page.locator("[data-message]").first().waitFor();
  assert.deepEqual(kept, [path]);
  await page.goForward();
  await alive(page);
  await page.getByRole("button", { name: /^sign out$/i }).click();
  await page.waitForURL((url) => url.pathname !== "/profile");
  kept.length = 0;
  for (let i = 0; i < 4 && !page.url().includes("/login"); i++) await page.goBack();
  assert.match(page.url(), /\/login/);
  assert.equal(await page.locator("[data-message]").count(), 0);
  assert.deepEqual(
    kept.filter((one) => one === path || one === "/profile"),
    [],
  );
  assert.deepEqual(complaints, []);
  await leave(context);
});
