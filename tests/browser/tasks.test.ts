// Jobs in real browsers: a progress bar that moves by itself, and the page where staff looks after queues.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { alive, excessWidth, findings, leave, onStage, screenshot, visitAs } from "../browser.ts";
import { signedIn } from "../client.ts";
import { nowSql } from "../database.ts";
import { sql, until } from "../server.ts";

const NO_CHAT = "01900000-0000-7000-8000-000000000000";
const QUEUE = "default";

const { server, browser, chat } = await onStage({ front: true, chat: "Welcome" });
const staff = await signedIn(server, "demo");

async function enqueue(more: Record<string, unknown>): Promise<string> {
  const answer = await staff.post("/api/tasks/", { task: "export_chat", ...more });
  assert.equal(answer.status, 201, answer.body);
  return answer.json.id;
}

// A job that gives up at once: nobody is in that chat.
async function deadJob(): Promise<string> {
  const id = await enqueue({ arguments: { chat: NO_CHAT } });
  await until("it to be dead", () => sql(server, `select id from tims_job_dead where id = '${id}'`) === id);
  return id;
}

const section = (page: Page, name: string) => page.getByRole("region", { name, exact: true });
const card = (page: Page) => page.locator(`[data-queue="${QUEUE}"]`);
const count = (page: Page, label: string) =>
  card(page)
    .locator("div", { has: page.getByText(label, { exact: true }) })
    .locator("dd")
    .last();

test("an export's progress bar moves without a reload, and its text can be saved", async () => {
  const { context, page, complaints, apiCalls } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  await page.locator("[data-message]").first().waitFor();
  const total = Number(sql(server, `select count(*) from message where chat = '${chat}'`));
  await page.evaluate(() => {
    const seen: number[] = [];
    Object.assign(window, { seen });
    new MutationObserver(() => {
      const bar = document.querySelector("progress");
      if (bar && bar.value !== seen.at(-1)) seen.push(bar.value);
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  await page.getByRole("button", { name: "Export the chat" }).click();
  await section(page, "Export").getByText(`${total} messages exported`).waitFor();
  const seen = await page.evaluate(() => (window as unknown as { seen: number[] }).seen);
  const between = seen.filter((value) => value > 0 && value < 1);
  assert.ok(between.length >= 2, `the bar was seen at ${seen}`);
  assert.deepEqual(
    seen,
    [...seen].sort((a, b) => a - b),
    "it only grows",
  );
  assert.deepEqual(
    apiCalls.filter((call) => call.includes("/api/tasks/")),
    [],
    "its row comes over the socket",
  );
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    section(page, "Export").getByRole("button", { name: "Save" }).click(),
  ]);
  assert.equal(download.suggestedFilename(), "Welcome.txt");
  const lines = readFileSync(await download.path(), "utf8")
    .trim()
    .split("\n");
  assert.equal(lines.length, total);
  assert.match(lines[0] as string, /^\d{4}-\d\d-\d\dT\d\d:\d\d \w+: Hi! /);
  await screenshot(page, "export-desktop");
  await page.getByRole("button", { name: "Close the export" }).click();
  await section(page, "Export").waitFor({ state: "detached" });
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("only members can export a chat, whoever asks", async () => {
  const stranger = await signedIn(server, "testUser5");
  assert.equal((await stranger.post(`/api/chats/${chat}/export/`)).status, 404);
  const id = await deadJob();
  const { json } = await staff.get(`/api/tasks/dead/${id}/`);
  assert.deepEqual([json.code, json.attempt], ["not_a_member", 1]);
  assert.equal((await staff.request("DELETE", `/api/tasks/dead/${id}/`)).status, 204);
});

test("staff pauses a queue, sees its jobs wait, and resumes it", async () => {
  const { context, page, complaints } = await visitAs(browser, server, "demo", "/tasks");
  await card(page)
    .getByRole("button", { name: `Pause ${QUEUE}` })
    .click();
  await card(page).getByText("Paused").waitFor();
  await enqueue({ arguments: { chat } });
  await count(page, "Waiting").getByText("1", { exact: true }).waitFor();
  const done = Number(await count(page, "Done").textContent());
  await card(page)
    .getByRole("button", { name: `Resume ${QUEUE}` })
    .click();
  await card(page).getByText("Paused").waitFor({ state: "detached" });
  await count(page, "Done")
    .getByText(String(done + 1), { exact: true })
    .waitFor();
  await count(page, "Waiting").getByText("0", { exact: true }).waitFor();
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("staff sees a job die, retries it, and removes it", async () => {
  const { context, page, complaints } = await visitAs(browser, server, "demo", "/tasks");
  const dead = section(page, "Dead");
  await dead.getByText("No job was given up.").waitFor();
  const id = await deadJob();
  await dead.getByText("Only who is in a chat can export it.").waitFor();
  const diedAt = () => sql(server, `select died_at from tims_job_dead where id = '${id}'`);
  const before = diedAt();
  await dead.getByRole("button", { name: `Retry export_chat ${id}` }).click();
  await until("it to have died again", () => diedAt() !== "" && diedAt() !== before);
  await dead.getByRole("button", { name: `Remove export_chat ${id}` }).click();
  await dead.getByText("No job was given up.").waitFor();
  assert.equal(diedAt(), "");
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("staff cancels what is to come", async () => {
  const id = await enqueue({ arguments: { chat }, delay_s: 3600 });
  const { context, page, complaints } = await visitAs(browser, server, "demo", "/tasks");
  const cancel = section(page, "To come").getByRole("button", { name: `Cancel export_chat ${id}` });
  await cancel.click();
  await cancel.waitFor({ state: "detached" });
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("staff sees how far a job is, and cancels it while it runs", async () => {
  const long = sql(server, "select id from chat where title = 'Recipes'");
  const row = () => `('${crypto.randomUUID()}', '${long}', '${staff.user.id}', 'a line', ${nowSql()})`;
  for (let i = 0; i < 10; i++)
    sql(
      server,
      `insert into message (id, chat, sender, text, created_at) values ${Array.from({ length: 200 }, row).join()}`,
    );
  const { context, page, complaints } = await visitAs(browser, server, "demo", "/tasks");
  const id = await enqueue({ arguments: { chat: long } });
  const running = section(page, "Running");
  const bar = running.getByRole("progressbar", { name: "Progress of export_chat" });
  await until("the bar to move", async () => {
    const value = (await bar.count()) > 0 ? await bar.evaluate((one: HTMLProgressElement) => one.value) : 0;
    return value > 0 && value < 1;
  });
  await running.getByText(/\d+ of 20\d\d messages/).waitFor();
  await screenshot(page, "tasks-running");
  await running.getByRole("button", { name: `Cancel export_chat ${id}` }).click();
  await running.getByText("Nothing runs.").waitFor();
  assert.equal(sql(server, `select state from tims_job_status where id = '${id}'`), "cancelled");
  assert.deepEqual(complaints, []);
  await leave(context);
});

test("without JavaScript the page shows queues and workers; others than staff do not see it", async () => {
  const visit = await visitAs(browser, server, "demo", "/tasks", { javaScriptEnabled: false });
  await card(visit.page).getByText("Waiting").waitFor();
  assert.match((await section(visit.page, "Workers").textContent()) ?? "", /default/);
  await leave(visit.context);
  const other = await visitAs(browser, server, "testUser1", "/chats");
  assert.equal(await other.page.getByRole("link", { name: "Tasks" }).count(), 0);
  assert.equal((await other.page.goto(`${server.url}/tasks`))?.status(), 403);
  assert.equal(await card(other.page).count(), 0);
  await leave(other.context);
});

test("it has no serious accessibility finding, in light and dark, on phone and desktop", async () => {
  await deadJob();
  const later = await enqueue({ arguments: { chat }, delay_s: 3600 });
  assert.equal((await staff.post(`/api/tasks/queues/${QUEUE}/pause/`)).status, 204);
  for (const colorScheme of ["light", "dark"] as const)
    for (const [size, viewport] of Object.entries({
      phone: { width: 390, height: 844 },
      desktop: { width: 1280, height: 800 },
    })) {
      const options = { viewport, colorScheme, bypassCSP: true };
      const { context, page, complaints } = await visitAs(browser, server, "demo", "/tasks", options);
      await section(page, "Dead").getByText("Only who is in a chat").waitFor();
      await page.screenshot({ path: `artefacts/tasks-${size}-${colorScheme}.png`, fullPage: true });
      assert.deepEqual(await findings(page), [], `${size} ${colorScheme}`);
      assert.ok((await excessWidth(page)) <= 0, `it is too wide on a ${size}`);
      await page.goto(`${server.url}/chat/${chat}`);
      await alive(page);
      await page.getByRole("button", { name: "Export the chat" }).click();
      await section(page, "Export").getByText("Waiting …").waitFor();
      await screenshot(page, `export-${size}-${colorScheme}`);
      assert.deepEqual(await findings(page), [], `export ${size} ${colorScheme}`);
      assert.deepEqual(complaints, []);
      await leave(context);
    }
  assert.equal((await staff.post(`/api/tasks/${later}/cancel/`)).status, 204);
});
