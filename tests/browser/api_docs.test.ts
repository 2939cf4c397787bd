// The pages about the API: Swagger UI, where a request is tried out with the browser's own session, and Redoc.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page, Request } from "playwright-core";
import { leave, onStage, visit } from "../browser.ts";
import { password, sql, until } from "../server.ts";

const { server, browser } = await onStage();

// Opens the operation, fills in its body, and sends it.
async function tryOut(page: Page, tag: string, id: string, body: object): Promise<Request> {
  await page.goto(`${server.url}/api/docs/?${id}#/${tag}/${id}`); // what differs behind the # alone opens nothing
  const operation = page.locator(`#operations-${tag}-${id}`);
  await operation.getByRole("button", { name: "Try it out" }).click();
  await operation.locator("textarea.body-param__text").fill(JSON.stringify(body));
  const [request] = await Promise.all([
    page.waitForRequest((one) => one.method() === "POST"),
    operation.getByRole("button", { name: "Execute" }).click(),
  ]);
  await operation.locator(".live-responses-table .response-col_status").first().waitFor();
  return request;
}

test("Swagger UI signs in, and sends a POST with the session and its CSRF token", async () => {
  const { context, page, complaints } = await visit(browser);
  const foreign: string[] = [];
  context.on("request", (request) => {
    if (!request.url().startsWith(server.url) && !/^(data|blob):/.test(request.url()))
      foreign.push(request.url());
  });
  const login = await tryOut(page, "auth", "login", { username: "demo", password });
  assert.equal((await login.response())?.status(), 200);
  const request = await tryOut(page, "chat", "startChat", { title: "From the document" });
  assert.ok((await request.allHeaders())["x-csrf-token"], "it was sent without the CSRF token");
  const answer = await request.response();
  assert.equal(answer?.status(), 201);
  assert.equal(sql(server, "select count(*) from chat where title = 'From the document'"), "1");
  assert.deepEqual(complaints, []);
  assert.deepEqual(foreign, []);
  await leave(context);
});

test("without a session it is told to sign in", async () => {
  const { context, page } = await visit(browser);
  await page.goto(`${server.url}/api/docs/#/chat/markChatRead`);
  const operation = page.locator("#operations-chat-markChatRead");
  await operation.getByRole("button", { name: "Try it out" }).click();
  await operation.getByRole("textbox").first().fill("019ac000-0000-7000-8000-000000000000");
  const [answer] = await Promise.all([
    page.waitForResponse((one) => one.request().method() === "POST"),
    operation.getByRole("button", { name: "Execute" }).click(),
  ]);
  assert.equal(answer.status(), 401);
  await leave(context);
});

test("Redoc shows every operation, and loads nothing from elsewhere", async () => {
  const { context, page } = await visit(browser);
  const foreign: string[] = [];
  const failures: string[] = [];
  page.on("pageerror", (error) => failures.push(String(error)));
  context.on("response", (one) => {
    if (!one.url().startsWith(server.url) && !/^(data|blob):/.test(one.url())) foreign.push(one.url());
  });
  await page.goto(`${server.url}/api/redoc/`);
  await page
    .getByRole("heading", { name: "Signing in and out" })
    .or(page.locator("#tag\\/chat"))
    .first()
    .waitFor();
  const { paths } = await (await fetch(`${server.url}/api/schema.json`)).json();
  const count = Object.values(paths as Record<string, object>).flatMap((path) => Object.keys(path)).length;
  await until("all operations", async () => (await page.locator("[id*='/operation/']").count()) >= count);
  assert.deepEqual([foreign, failures], [[], []]);
  await leave(context);
});

// What shows that a page is there.
const READY = { docs: "#operations-tag-chat", redoc: "[id='tag/chat']" };

for (const name of ["docs", "redoc"] as const)
  for (const colorScheme of ["light", "dark"] as const)
    for (const viewport of [
      { width: 1280, height: 800 },
      { width: 390, height: 844 },
    ])
      test(`/api/${name}/, ${colorScheme}, ${viewport.width} wide, fits and complains of nothing`, async () => {
        const { context, page, complaints } = await visit(browser, { colorScheme, viewport });
        await page.goto(`${server.url}/api/${name}/`);
        await page.locator(READY[name]).first().waitFor();
        await page.waitForFunction(() => document.readyState === "complete");
        const [wider, background] = await page.evaluate(() => [
          document.documentElement.scrollWidth - innerWidth,
          getComputedStyle(document.documentElement).backgroundColor,
        ]);
        assert.ok((wider as number) <= 0, `${wider} px wider than the screen`);
        const [red = 255] = /\d+/.exec(String(background)) ?? [];
        const isDark = background !== "rgba(0, 0, 0, 0)" && Number(red) < 100;
        assert.equal(isDark, colorScheme === "dark", String(background));
        assert.deepEqual(complaints, []);
        await leave(context);
      });

test("the pages run under a strict policy", async () => {
  for (const page of ["docs", "redoc"]) {
    const answer = await fetch(`${server.url}/api/${page}/`);
    assert.equal(answer.status, 200);
    const policy = answer.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'; script-src 'self';/);
    assert.doesNotMatch(await answer.text(), /<script(?![^>]*src=)|https?:\/\//);
    const file = await fetch(`${server.url}/api/${page}/index.html`); // the same page by its file's name
    assert.equal(file.headers.get("content-security-policy"), policy);
    assert.equal((await fetch(`${server.url}/api/${page}/no-such-file.js`)).status, 404);
    assert.ok((await fetch(`${server.url}/api/${page}/..%2f..%2fserver/x`)).status >= 400);
  }
});
