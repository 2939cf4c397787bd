// The chat in real browsers: rendered, hydrated, live, cut off and back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { alive, leave, messageOn, onStage, screenshot, signIn, visit } from "../browser.ts";
import { signedIn } from "../client.ts";
import { nowSql } from "../database.ts";
import { sql, until } from "../server.ts";

const { server, browser, chat } = await onStage({ front: true, chat: "Welcome" });

test("two people chat live on server-rendered pages", async () => {
  const [demo, other] = [await visit(browser), await visit(browser)];
  await signIn(demo.page, server, "demo");
  await signIn(other.page, server, "testUser0");
  await Promise.all([demo, other].map(({ page }) => page.goto(`${server.url}/chat/${chat}`)));
  await Promise.all([demo, other].map(({ page }) => alive(page)));
  await demo.page.getByLabel("Message", { exact: true }).fill("Hello from demo");
  await demo.page.keyboard.press("Enter");
  await messageOn(other.page, "Hello from demo").waitFor();
  await other.page.getByLabel("Message", { exact: true }).fill("Hello back");
  await other.page.keyboard.press("Enter");
  await messageOn(demo.page, "Hello back").waitFor();
  assert.equal(
    await messageOn(demo.page, "Hello from demo").count(),
    1,
    "the optimistic row and the live one are one",
  );
  await screenshot(demo.page, "chat-desktop");
  assert.deepEqual([...demo.complaints, ...other.complaints], []);
  await Promise.all([leave(demo.context), leave(other.context)]);
});

test("without JavaScript the page shows all its messages", async () => {
  const { context, page } = await visit(browser, { javaScriptEnabled: false });
  await signIn(page, server, "demo");
  await page.goto(`${server.url}/chat/${chat}`);
  const text = await page.locator("main").textContent();
  const rows = sql(
    server,
    `select text from message where chat = '${chat}' order by created_at desc limit 50`,
  ).split("\n");
  assert.equal(rows.length, 50);
  for (const row of rows) assert.ok(text?.includes(row), row);
  await leave(context);
});

test("hydration calls no API, and the socket goes on from the page's position", async () => {
  const { context, page, apiCalls, complaints } = await visit(browser);
  await signIn(page, server, "demo");
  await page.goto(`${server.url}/chat/${chat}`); // reads what is unread
  await messageOn(page, "Hello back").waitFor();
  const unread = `select unread from member where chat = '${chat}' and "user" = (select id from "user" where username = 'demo')`;
  await until("it to be read", () => sql(server, unread) === "0");
  apiCalls.length = 0;
  const frames: string[] = [];
  page.on("websocket", (socket) => {
    socket.on("framesent", ({ payload }) => frames.push(String(payload)));
    socket.on("framereceived", ({ payload }) => frames.push(String(payload)));
  });
  await page.reload();
  await page.waitForFunction(() => document.querySelector("textarea") !== null);
  sql(
    server,
    `update message set text = 'seen by the socket' where chat = '${chat}' and text = 'Hello back'`,
  );
  await messageOn(page, "seen by the socket").waitFor();
  assert.deepEqual(apiCalls, []);
  const subs = frames.filter((frame) => frame.includes('"sub"') && frame.includes("/api/messages/"));
  assert.ok(subs.length > 0 && subs.every((frame) => frame.includes('"from"')), subs.join("\n"));
  const snaps = frames.filter((frame) => frame.includes('"t":"snap"'));
  assert.ok(
    snaps.every((frame) => frame.includes('"computed":true')), // a value has no rows to go on from
    "no rows are sent again",
  );
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("what another program writes appears, and what it deletes goes", async () => {
  const { context, page } = await visit(browser);
  await signIn(page, server, "demo");
  await page.goto(`${server.url}/chat/${chat}`);
  const id = crypto.randomUUID();
  const sender = sql(server, `select id from "user" where username = 'testUser0'`);
  sql(
    server,
    `insert into message (id, chat, sender, text, created_at) values ('${id}', '${chat}', '${sender}', 'by hand', ${nowSql()})`,
  );
  await messageOn(page, "by hand").waitFor();
  sql(server, `delete from message where id = '${id}'`);
  await messageOn(page, "by hand").waitFor({ state: "detached" });
  await leave(context);
});

test("a cut connection comes back and nothing is missing", async () => {
  const { context, page } = await visit(browser);
  await signIn(page, server, "demo");
  await page.goto(`${server.url}/chat/${chat}`);
  await messageOn(page, "seen by the socket").waitFor();
  await context.setOffline(true);
  const other = await signedIn(server, "testUser0");
  for (let i = 0; i < 5; i++)
    assert.equal((await other.post("/api/messages/", { chat, text: `while away ${i}` })).status, 201);
  await context.setOffline(false);
  for (let i = 0; i < 5; i++) await messageOn(page, `while away ${i}`).waitFor();
  for (let i = 0; i < 5; i++) assert.equal(await messageOn(page, `while away ${i}`).count(), 1);
  await leave(context);
});

test("the server's restart is survived: the socket comes back and goes on", async () => {
  const { context, page } = await visit(browser);
  await signIn(page, server, "demo");
  await page.goto(`${server.url}/chat/${chat}`);
  await messageOn(page, "while away 4").waitFor();
  const restarts = () => server.output().match(/is ready/g)?.length ?? 0;
  const before = restarts();
  server.process.kill("SIGHUP");
  while (restarts() === before) await new Promise((resolve) => setImmediate(resolve));
  const other = await signedIn(server, "testUser0");
  await other.post("/api/messages/", { chat, text: "after the restart" });
  await messageOn(page, "after the restart").waitFor();
  await leave(context);
});

test("a script in a message is only text", async () => {
  const other = await signedIn(server, "testUser0");
  const text = `</script><script>document.title='owned'</script><img src=x onerror="document.title='owned'">`;
  await other.post("/api/messages/", { chat, text });
  const { context, page, complaints } = await visit(browser);
  await signIn(page, server, "demo");
  await page.goto(`${server.url}/chat/${chat}`);
  await page.locator("[data-message]").getByText("</script><script>").waitFor();
  assert.notEqual(await page.title(), "owned");
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("somebody who leaves sees the chat go at once", async () => {
  const { context, page } = await visit(browser);
  await signIn(page, server, "testUser1");
  const theirs = sql(server, "select id from chat where title = 'Weekend plans'");
  await page.goto(`${server.url}/chat/${theirs}`);
  await page.locator("[data-message]").first().waitFor();
  sql(
    server,
    `delete from member where chat = '${theirs}' and "user" = (select id from "user" where username = 'testUser1')`,
  );
  await page.locator("[data-message]").first().waitFor({ state: "detached" });
  await leave(context);
});
