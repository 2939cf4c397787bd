// guide.test.ts: docs/tutorial, followed page by page from an empty folder; after each page, what it says is so. Then
// docs/howto, in the same folder.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Browser, devices, type Page } from "playwright-core";
import { launch } from "../browser.ts";
import { createDatabaseNamed } from "../database.ts";
import { until } from "../server.ts";
import { Reader } from "./follow.ts";

let reader: Reader;
let browser: Browser;
const complaints: string[] = [];

before(async () => {
  reader = await Reader.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await reader?.remove();
});

async function open(options: object = {}): Promise<Page> {
  const page = await (await browser.newContext(options)).newPage();
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(reader.url);
  return page;
}

async function todos(): Promise<{ text: string; done: boolean }[]> {
  return (await (await fetch(`${reader.url}/api/todos/`)).json()).rows;
}

test("1: a list with an address takes a todo, and tells a stream of the next one", async () => {
  await reader.follow("docs/tutorial/1-a-list.md");
  const [bread] = await todos();
  assert.equal(bread?.text, "Buy bread");
  const stop = new AbortController();
  const answer = await fetch(`${reader.url}/api/todos/`, {
    headers: { Accept: "text/event-stream" },
    signal: stop.signal,
  });
  const heard = (async () => {
    let text = "";
    for await (const bytes of answer.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(bytes).toString();
      if (text.includes("event: tx") && text.includes("Water the plants")) return;
    }
    assert.fail(`the stream ended: ${text}`);
  })();
  await fetch(`${reader.url}/api/todos/`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ text: "Water the plants" }),
  });
  await heard;
  stop.abort();
});

test("2: the page has the list in its HTML, and writes", async () => {
  await reader.follow("docs/tutorial/2-a-page.md");
  const html = await (await fetch(reader.url)).text();
  assert.match(html, /<label>.*Water the plants/);
  const page = await open();
  await page.getByLabel("What").fill("Call grandma");
  await page.getByRole("button", { name: "Add" }).click();
  await page.getByLabel("Call grandma").waitFor();
  await until("the todo", async () => (await todos()).some(({ text }) => text === "Call grandma"));
  await page.context().close();
});

test("3: two windows follow each other, sqlite3, and the number", async () => {
  const [here, there] = [await open(), await open()];
  await here.getByLabel("Buy bread").check();
  await there.locator("s", { hasText: "Buy bread" }).waitFor();
  await here.getByLabel("Buy bread").uncheck();
  await there.locator("s", { hasText: "Buy bread" }).waitFor({ state: "detached" });
  const both = Promise.all([here, there].map((page) => page.getByLabel("Buy two loaves").waitFor()));
  await Promise.all([both, reader.follow("docs/tutorial/3-live.md")]);
  await Promise.all([here, there].map((page) => page.context().close()));
  const page = await open();
  await page.getByText("3 left").waitFor();
  await page.getByLabel("Buy two loaves").check();
  await page.getByText("2 left").waitFor();
  await page.context().close();
});

test("4: a phone and the desk are live, and what was ticked without a network is sent", async () => {
  await reader.follow("docs/tutorial/4-on-a-phone.md");
  const phone = await open({ ...devices["Pixel 7"] });
  const desk = await open();
  await phone.getByLabel("Water the plants").tap();
  await desk.locator("s", { hasText: "Water the plants" }).waitFor();
  await desk.getByLabel("What").fill("Fix the bike");
  await desk.getByRole("button", { name: "Add" }).click();
  await phone.getByLabel("Fix the bike").waitFor();
  await phone.context().setOffline(true);
  await phone.getByLabel("Fix the bike").tap();
  await phone.locator("s", { hasText: "Fix the bike" }).waitFor();
  assert.equal(await desk.locator("s", { hasText: "Fix the bike" }).count(), 0);
  await phone.context().setOffline(false);
  await desk.locator("s", { hasText: "Fix the bike" }).waitFor();
  const wide = await phone.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.equal(wide, 0, "nothing is wider than the phone");
  assert.deepEqual(complaints, []);
});

async function send(
  method: string,
  path: string,
  body: object,
): Promise<{ status: number; json: { id: string } }> {
  const answer = await fetch(reader.url + path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: answer.status, json: await answer.json() };
}

test("how to: each page does what it says, in the tutorial's app, which moves to PostgreSQL at the end", async () => {
  await reader.stop();
  for (const page of ["add-a-model", "add-an-endpoint", "add-a-task", "add-a-page", "add-a-native-function"])
    await reader.follow(`docs/howto/${page}.md`);
  for (const page of ["write-a-fuzz-target", "deploy"]) await reader.follow(`docs/howto/${page}.md`);
  const released = await until("a page of the release, rendered", async () => {
    const answer = await fetch(reader.url);
    return answer.ok ? answer.text() : null;
  });
  assert.match(released, /<h1>To do<\/h1>/, "in a folder of its own, without what it was built with");
  await reader.stop();
  reader.variables.TARGET = createDatabaseNamed(`guide_${process.pid}`);
  await reader.follow("docs/howto/move-to-postgresql.md");

  const rows = await until("the job that was enqueued before", async () => {
    const open = await todos();
    return open.every(({ done }) => !done) ? open : null;
  });
  assert.deepEqual(rows.map(({ text }) => text).sort(), ["Call grandma"], "what was done is gone");

  const shelf = await send("POST", "/api/shelves/", { name: "Kitchen" });
  assert.equal(shelf.status, 201);
  const todo = await send("POST", "/api/todos/", { text: "Wash up", done: true, shelf: shelf.json.id });
  assert.equal(todo.status, 201);
  const page = await (await fetch(`${reader.url}/page-data?path=/todo/${todo.json.id}`)).json();
  assert.equal(page.live[`/api/todos/${todo.json.id}/`].text, "Wash up");
  await until(
    "the page of one todo, rendered",
    async () => /<h1>Wash up<\/h1>/.test(await (await fetch(`${reader.url}/todo/${todo.json.id}`)).text()),
    60_000,
  );
  assert.equal((await send("POST", "/api/todos-tidy/", { really: false })).status, 409);
  assert.deepEqual((await send("POST", "/api/todos-tidy/", { really: true })).json, { removed: 1 });
});
