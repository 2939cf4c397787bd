// browser.ts: Debian's Chromium, driven by playwright-core; contexts that collect what went wrong on their pages.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";
import { password, root, type Server } from "./server.ts";

export const artefacts = join(root, "tests/artefacts");
mkdirSync(artefacts, { recursive: true });

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

export interface Visit {
  context: BrowserContext;
  page: Page;
  complaints: string[]; // console errors and page errors
  apiCalls: string[]; // what the page's scripts asked of the API
}

export async function visit(browser: Browser, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  const apiCalls: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    const path = new URL(request.url()).pathname;
    if (path.startsWith("/api/") || path.startsWith("/page-data"))
      apiCalls.push(`${request.method()} ${path}`);
  });
  return { context, page, complaints, apiCalls };
}

export async function signIn(page: Page, server: Server, username: string): Promise<void> {
  await page.goto(`${server.url}/login`);
  await page.getByLabel("Name", { exact: false }).first().fill(username);
  await page.getByLabel("Password", { exact: false }).first().fill(password);
  await page.getByRole("button", { name: /sign in/i }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/login"));
}

export function screenshot(page: Page, name: string): Promise<Buffer> {
  return page.screenshot({ path: join(artefacts, `${name}.png`) });
}
