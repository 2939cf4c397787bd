// What may no longer be read is on no screen and in no cache: at once, and also when it was taken away while nobody looked.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { keptIn, leave, messageOn, onStage, visitAs } from "../browser.ts";
import { signedIn } from "../client.ts";
import { sql, until } from "../server.ts";

const SECRET = "the code is 0451";

const { server, browser, chat } = await onStage({ front: true, chat: "Weekend plans" });
const demo = await signedIn(server, "demo");
assert.equal((await demo.post("/api/messages/", { chat, text: SECRET })).status, 201);

const MEMBER = `"user" = (select id from "user" where username = 'testUser1')`;

// The rest of the tests finds the member again.
async function withMembership(work: () => Promise<void>): Promise<void> {
  sql(server, `create table kept as select * from member where chat = '${chat}' and ${MEMBER}`);
  try {
    await work();
  } finally {
    sql(server, "insert into member select * from kept where true on conflict do nothing; drop table kept");
  }
}
const revoke = () => sql(server, `delete from member where chat = '${chat}' and ${MEMBER}`);
const isKept = (page: Page) =>
  until("the cache to hold it", async () => (await keptIn(page)).includes(SECRET));
const isLost = (page: Page) =>
  until("the cache to lose it", async () => !(await keptIn(page)).includes(SECRET));

test("while the chat is on the screen", () =>
  withMembership(async () => {
    const { context, page, complaints } = await visitAs(browser, server, "testUser1", `/chat/${chat}`);
    await messageOn(page, SECRET).waitFor();
    await isKept(page);
    revoke();
    await messageOn(page, SECRET).waitFor({ state: "detached" });
    await isLost(page);
    await page.getByText("This chat is not there").waitFor();
    assert.deepEqual(complaints, []);
    await leave(context);
  }));

test("right after its page was left", () =>
  withMembership(async () => {
    const { context, page } = await visitAs(browser, server, "testUser1", `/chat/${chat}`);
    await messageOn(page, SECRET).waitFor();
    await isKept(page);
    await page.getByRole("link", { name: "Settings" }).click();
    await page.waitForURL(/settings/);
    revoke();
    await isLost(page);
    await leave(context);
  }));

for (const path of ["/chat/", "/chats"])
  test(`while the browser was elsewhere, which comes back to ${path}`, () =>
    withMembership(async () => {
      const { context, page } = await visitAs(browser, server, "testUser1", `/chat/${chat}`);
      await messageOn(page, SECRET).waitFor();
      await isKept(page);
      await page.goto("about:blank");
      revoke();
      await page.goto(server.url + (path === "/chat/" ? path + chat : path));
      await isLost(page);
      assert.equal(await messageOn(page, SECRET).count(), 0);
      await leave(context);
    }));
