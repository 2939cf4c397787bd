// browser.ts: Debian's Chromium, driven by playwright-core; contexts that collect what went wrong on their pages.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after } from "node:test";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Locator,
  type Page,
} from "playwright-core";
import { signedIn } from "./client.ts";
import {
  type Environment,
  password,
  root,
  type Server,
  type ServerOptions,
  sql,
  startServer,
  until,
} from "./server.ts";

export const artefacts = join(root, "tests/artefacts");
mkdirSync(artefacts, { recursive: true });

export const CHROMIUM = {
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
};

export function launch(): Promise<Browser> {
  return chromium.launch(CHROMIUM);
}

export interface Stage {
  readonly server: Server;
  readonly browser: Browser;
  readonly chat: string; // the id of the one that was asked for
  // Another server in the place of the first: in its folder, on its port, rendering as that did.
  restart: (env?: Environment) => Promise<Server>;
}

// What all tests of a file work with, and what is closed after them: the demo, with its render server where `front` is set,
// and a browser. `chat`: the title of a chat of the demo.
export async function onStage(options: ServerOptions & { chat?: string } = {}): Promise<Stage> {
  const server = await startServer(options);
  const browser = await launch();
  let running = server;
  after(async () => {
    await browser.close();
    await running.stop();
    running.remove();
  });
  const { front = false } = options;
  if (front) await rendering(server);
  const chat = options.chat ? sql(server, `select id from chat where title = '${options.chat}'`) : "";
  const restart = async (env: Environment = {}) => {
    await running.stop();
    const { folder, port } = server;
    running = await startServer({ front, folder, env: { ...env, PORT: String(port) } });
    if (front) await rendering(running);
    return running;
  };
  return { server, browser, chat, restart };
}

// How long a page may take for what is waited for, as in until().
export const PATIENCE_MS = 60_000;

export interface Visit {
  context: BrowserContext;
  page: Page;
  complaints: string[]; // console errors and page errors of all its tabs
  apiCalls: string[]; // what the pages' scripts asked of the API
}

export async function visit(browser: Browser, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const complaints: string[] = [];
  const apiCalls: string[] = [];
  context.on("page", (page) => {
    page.on("console", (message) => {
      if (message.type() !== "error" && message.type() !== "warning") return;
      // A page that is left while its socket opens: nobody has done anything wrong.
      if (/closed before the connection is established/.test(message.text())) return;
      complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("request", (request) => {
      const path = new URL(request.url()).pathname;
      if (path.startsWith("/api/") || path.startsWith("/page-data"))
        apiCalls.push(`${request.method()} ${path}`);
    });
  });
  return { context, page: await context.newPage(), complaints, apiCalls };
}

// Closes it. Chromium may never answer that a context is closed while a page of it is just being replaced by another
// (seen in one of ten runs that ended with a sign-out), so its pages are led out of the app first.
export async function leave(context: BrowserContext): Promise<void> {
  const left = context
    .pages()
    .map((page) => page.goto("about:blank", { timeout: 10_000 }).catch(() => undefined)); // one may have crashed
  await Promise.all(left);
  await context.close();
}

// The render server takes a moment; until then pages are the exported shell, whose forms have no token yet.
export function rendering(server: Server): Promise<boolean> {
  return until("the render server", async () =>
    /name="csrf_token"[^>]*value="[^"]+"/.test(await (await fetch(`${server.url}/login`)).text()),
  );
}

// Until React has taken the page over: what is clicked, typed or chosen before is lost.
export function alive(page: Page): Promise<unknown> {
  return page.waitForFunction(() => {
    const some = document.querySelector("main textarea, main input, main button, main a, nav a");
    return some !== null && Object.keys(some).some((key) => key.startsWith("__reactProps"));
  });
}

// Opens a page that is alive, and whose socket has answered all that it was asked for.
export async function openLive(page: Page, url: string): Promise<void> {
  await page.goto("about:blank"); // the page before has a socket, too
  const opened = page.waitForEvent("websocket", (socket) => new URL(socket.url()).pathname === "/live");
  const asked = new Set<number>();
  const answered = new Set<number>();
  const follow = opened.then((socket) => {
    socket.on("framesent", ({ payload }) => {
      const { t, id } = JSON.parse(String(payload));
      if (t === "sub") asked.add(id);
    });
    socket.on("framereceived", ({ payload }) => {
      const { t, sub } = JSON.parse(String(payload));
      if (t === "snap" || t === "resumed") answered.add(sub);
    });
  });
  await page.goto(url);
  await Promise.all([follow, alive(page)]);
  await until("the socket's answers", () => asked.size > 0 && [...asked].every((id) => answered.has(id)));
}

// Somebody at a page that is alive, in a browser of their own: signed in by the API, which saves two pages.
export async function visitAs(
  browser: Browser,
  server: Server,
  username: string,
  path: string,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const made = await visit(browser, options);
  const { cookies } = await signedIn(server, username);
  await made.context.addCookies([...cookies].map(([name, value]) => ({ name, value, url: server.url })));
  await made.page.goto(server.url + path);
  if (options.javaScriptEnabled !== false) await alive(made.page);
  return made;
}

export function messageOn(page: Page, text: string): Locator {
  return page.locator("[data-message]").getByText(text, { exact: true });
}

// All that the browser keeps of the app, as one text.
export function keptIn(page: Page): Promise<string> {
  return page.evaluate(
    () =>
      new Promise<string>((resolve, reject) => {
        const opening = indexedDB.open("tims");
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
          const all = opening.result.transaction("records").objectStore("records").getAll();
          all.onerror = () => reject(all.error);
          all.onsuccess = () => {
            opening.result.close();
            resolve(all.result.join("\n"));
          };
        };
      }),
  );
}

export async function signIn(page: Page, server: Server, username: string): Promise<void> {
  await page.goto(`${server.url}/login`);
  await page.getByLabel("Name", { exact: false }).first().fill(username);
  await page.getByLabel("Password", { exact: false }).first().fill(password);
  await page.getByRole("button", { name: /sign in/i }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/login"));
}

export function screenshot(page: Page, name: string): Promise<Buffer> {
  return page.screenshot({ path: join(artefacts, `${name}.png`), animations: "disabled" });
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// What axe finds serious on the page; its context bypasses the CSP.
export async function findings(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    // biome-ignore lint/suspicious/noExplicitAny: axe has put itself on the window
    const result = await (window as any).axe.run(document, { resultTypes: ["violations"] });
    return result.violations
      .filter((one: { impact: string }) => ["serious", "critical"].includes(one.impact))
      .map(
        (one: { id: string; nodes: { html: string }[] }) => `${one.id}: ${one.nodes[0]?.html.slice(0, 200)}`,
      );
  });
}

interface Shift {
  value: number;
  sources: { node: Node | null; previousRect: DOMRectReadOnly; currentRect: DOMRectReadOnly }[];
}

// Notes what moves by itself on the pages that are loaded from now on.
export async function watchShifts(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const shifts: string[] = [];
    Object.assign(window, { shifts });
    const place = ({ x, y, width, height }: DOMRectReadOnly) =>
      [x, y, width, height].map(Math.round).join(" ");
    const note = (entries: PerformanceEntryList) => {
      for (const { value, sources } of entries as unknown as Shift[])
        shifts.push(
          `${value}: ${sources
            .map(({ node, previousRect, currentRect }) => {
              const what = node instanceof Element ? node.outerHTML.slice(0, 160) : node?.textContent;
              return `${what} from ${place(previousRect)} to ${place(currentRect)}`;
            })
            .join("; ")}`,
        );
    };
    const observer = new PerformanceObserver((list) => note(list.getEntries()));
    observer.observe({ type: "layout-shift", buffered: true });
    Object.assign(window, { noteShifts: () => note(observer.takeRecords()) });
  });
}

// What has moved up to the frame that comes next.
export function shiftsOn(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
    const watching = window as unknown as { shifts: string[]; noteShifts: () => void };
    watching.noteShifts();
    return watching.shifts;
  });
}

// Pixels by which the page is wider than its window.
export function excessWidth(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
