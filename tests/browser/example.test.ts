// example.test.ts: the example of packages/client, plain Vite and React, against the real demo: built, served, used.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { type PreviewServer, preview } from "vite";
import { launch } from "../browser.ts";
import { signedIn } from "../client.ts";
import { buildExample } from "../example.ts";
import { makeFolder, password, run, type Server, startServer, until } from "../server.ts";

let server: Server;
let site: PreviewServer;
let browser: Browser;
let url: string;

before(async () => {
  const folder = makeFolder();
  run(folder, ["migrate"]);
  run(folder, ["demo"]);
  server = await startServer({ folder });
  const outDir = await buildExample();
  // The example's own origin: what belongs to the backend is passed on to it, the socket too.
  const proxy = { "/api": server.url, "/live": { target: server.url, ws: true } };
  site = await preview({
    configFile: false,
    logLevel: "error",
    build: { outDir },
    preview: { port: 0, proxy },
  });
  url = site.resolvedUrls?.local[0] ?? "";
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await site?.close();
  await server?.stop();
});

async function open(): Promise<{ page: Page; complaints: string[] }> {
  const page = await (await browser.newContext()).newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(url);
  return { page, complaints };
}

test("signs in, shows a chat, writes, and hears what others write", async () => {
  const { page, complaints } = await open();
  await page.getByLabel("Name").fill("demo");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Welcome" }).click();
  await page.getByRole("heading", { name: /Welcome · 1 here/ }).waitFor();
  await page.getByText("live", { exact: true }).waitFor();
  await page.getByLabel("Message", { exact: true }).fill("from plain Vite");
  await page.getByRole("button", { name: "Send" }).click();
  const mine = page.locator("[data-message]", { hasText: "from plain Vite" });
  await mine.waitFor();
  await until("the stream has it", async () => (await mine.getAttribute("data-pending")) === null);

  const other = await signedIn(server, "demo");
  const { rows: chats } = (await other.request("GET", "/api/chats/")).json;
  const chat = chats.find(({ title }: { title: string }) => title === "Welcome").id;
  const { status } = await other.request("POST", "/api/messages/", { chat, text: "from somewhere else" });
  assert.equal(status, 201);
  await page.locator("[data-message]", { hasText: "from somewhere else" }).waitFor();

  await page.reload();
  await page.getByRole("button", { name: "Welcome" }).click();
  await page.locator("[data-message]", { hasText: "from somewhere else" }).waitFor();
  assert.deepEqual(complaints, []);
});
