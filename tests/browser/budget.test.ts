// What a page may cost and may not do: bytes of script, movement while it comes to life, complaints, barriers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import {
  excessWidth,
  findings,
  leave,
  onStage,
  openLive,
  screenshot,
  shiftsOn,
  signIn,
  visit,
  visitAs,
  watchShifts,
} from "../browser.ts";

// Of the chat page, gzip. The goal is 140 KB (bench/paint.mjs measures against it); this keeps it from growing. React DOM
// is 64 KB of it and Next's part 43 KB.
const SCRIPT_BYTES_MAX = 170 * 1024;

const SIZES = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } };

const { server, browser, chat } = await onStage({ front: true, chat: "Welcome" });

test("the scripts of the chat page do not grow", async () => {
  const { context, page } = await visitAs(browser, server, "demo", `/chat/${chat}`, {
    serviceWorkers: "block",
  });
  const html = await (
    await context.request.get(`${server.url}/chat/${chat}`, { headers: { accept: "text/html" } })
  ).text();
  const urls = [...new Set([...html.matchAll(/<script[^>]*src="([^"]+)"/g)].map(([, url]) => String(url)))];
  assert.ok(urls.length > 5, `${urls}`);
  const sizes = await Promise.all(
    urls.map(async (url): Promise<[string, number]> => {
      const answer = await context.request.get(server.url + url);
      assert.equal(answer.status(), 200, url);
      return [url, gzipSync(await answer.body(), { level: 9 }).length];
    }),
  );
  const total = sizes.reduce((sum, [, bytes]) => sum + bytes, 0);
  const listed = sizes.sort(([, a], [, b]) => b - a).map(([url, bytes]) => `${bytes} ${url}`);
  assert.ok(total <= SCRIPT_BYTES_MAX, `${total} bytes:\n${listed.join("\n")}`);
  await page.close();
  await leave(context);
});

test("nothing moves while a rendered page comes to life", async () => {
  for (const [size, viewport] of Object.entries(SIZES)) {
    const { context, page, complaints } = await visit(browser, { viewport });
    await signIn(page, server, "demo");
    await watchShifts(page);
    for (const path of [`/chat/${chat}`, "/chats", "/", "/settings", "/profile"]) {
      await openLive(page, server.url + path);
      await page.waitForFunction(() => [...document.images].every((image) => image.complete));
      assert.deepEqual(await shiftsOn(page), [], `${path} on a ${size}`);
    }
    assert.deepEqual(complaints, [], size);
    await leave(context);
  }
});

test("no page has a serious accessibility finding, in light and dark, on phone and desktop", async () => {
  for (const colorScheme of ["light", "dark"] as const)
    for (const [size, viewport] of Object.entries(SIZES)) {
      const { context, page, complaints } = await visit(browser, { viewport, colorScheme, bypassCSP: true });
      const check = async (path: string) => {
        await page.goto(server.url + path);
        await page.waitForLoadState("load");
        await screenshot(page, `${path.split("/")[1] || "home"}-${size}-${colorScheme}`);
        assert.deepEqual(await findings(page), [], `${path} ${size} ${colorScheme}`);
        const wide = await excessWidth(page);
        assert.ok(wide <= 0, `${path} is ${wide} px too wide on a ${size}`);
      };
      for (const path of ["/login", "/register"]) await check(path);
      await signIn(page, server, "demo");
      const signedIn = ["/", "/chats", `/chat/${chat}`, "/profile", "/settings", "/tasks", "/nothing-here"];
      for (const path of [...signedIn, "/articles/live", "/articles/rendered", "/articles/everywhere"])
        await check(path);
      assert.deepEqual(
        complaints.filter((text) => !text.includes("404")),
        [],
      );
      await leave(context);
    }
});
