// The service worker's table: which address is answered with which shell.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { act, createElement } from "react";
import { createRoot } from "react-dom/client";
import { describe, expect, test, vi } from "vitest";
import { useNewVersion } from "@/pwa/worker";
// @ts-expect-error: build scripts have no types
import { makeWorker, patternOf, routesOf } from "../scripts/worker.mjs";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

const connection = vi.hoisted(() => ({ status: "connecting" }));
vi.mock("@tims/client", () => ({ isNative: () => false, useConnection: () => ({ ...connection }) }));

test.each([
  ["/", ["/"], ["/a", "/index.html"]],
  ["/chats", ["/chats", "/chats/"], ["/chats/1", "/chatsx", "/"]],
  ["/chat/[chat]", ["/chat/1", "/chat/a.b"], ["/chat", "/chat/", "/chat/1/2"]],
  ["/files/[...rest]", ["/files/a", "/files/a/b"], ["/files", "/file/a"]],
  ["/docs/[[...rest]]", ["/docs", "/docs/a/b"], ["/docsx"]],
  ["/a.b/[x]/c", ["/a.b/1/c"], ["/axb/1/c", "/a.b/c"]],
])("%s answers its own paths", (page, fits, others) => {
  const pattern = new RegExp(patternOf(page));
  for (const path of fits) expect(pattern.test(path), path).toBe(true);
  for (const path of others) expect(pattern.test(path), path).toBe(false);
});

test("the plainest page comes first, error pages never", () => {
  const routes = routesOf([
    "404.html",
    "500.html",
    "[...all].html",
    "chat/[chat].html",
    "chat/[chat]/info.html",
    "chat/new.html",
    "index.html",
  ]) as [string, string][];
  const shellFor = (path: string) => routes.find(([pattern]) => new RegExp(pattern).test(path))?.[1];
  expect(shellFor("/chat/new")).toBe("/_shell/chat/new.html");
  expect(shellFor("/chat/1")).toBe("/_shell/chat/%5Bchat%5D.html");
  expect(shellFor("/chat/1/info")).toBe("/_shell/chat/%5Bchat%5D/info.html");
  expect(shellFor("/")).toBe("/_shell/index.html");
  expect(shellFor("/anything/else")).toBe("/_shell/%5B...all%5D.html");
  expect(routes.some(([, shell]) => /404|500/.test(shell))).toBe(false);
});

test("a worker is a script with the facts of its build; switched off it only goes away", () => {
  const facts = {
    build: "b1",
    exported: ["404.html", "chat/[chat].html", "robots.txt"],
    scripts: ["chunks/a b.js"],
    pub: ["icon.svg", "robots.txt", "worker.js", "icons/icon-512.png", "icons/icon-192.png"],
  };
  const text: string = makeWorker({ ...facts, on: true });
  const files = JSON.parse(/const FILES = (.*);/.exec(text)?.[1] ?? "");
  expect(files).toEqual([
    "/_shell/404.html",
    "/_shell/chat/%5Bchat%5D.html",
    "/_next/static/chunks/a%20b.js",
    "/icon.svg",
    "/icons/icon-192.png",
  ]);
  expect(text).toContain('const BUILD = "b1";');
  expect(() => new Function(text)).not.toThrow();
  const gone = makeWorker({ ...facts, on: false });
  expect(gone).toBe(readFileSync(join(import.meta.dirname, "../worker/gone.js"), "utf8"));
});

describe("a click on a notification", () => {
  /** What the worker does: in which page, and what it tells that one. The page that was looked at last comes first. */
  async function click(path: unknown, pages: string[]): Promise<unknown[]> {
    const done: unknown[] = [];
    const handlers = new Map<string, (event: object) => void>();
    const self = {
      addEventListener: (name: string, handler: (event: object) => void) => handlers.set(name, handler),
    };
    const clients = {
      matchAll: async () =>
        pages.map((page) => ({
          url: `https://chat.example.org${page}`,
          focus: async () => done.push(["focus", page]),
          postMessage: (message: unknown) => done.push(["tell", page, message]),
        })),
      openWindow: async (to: string) => done.push(["open", to]),
    };
    const text: string = makeWorker({ build: "b1", exported: ["404.html"], scripts: [], pub: [], on: true });
    new Function("self", "clients", text)(self, clients);
    const waitUntil = vi.fn();
    const notification = { data: { path }, close: () => done.push("close") };
    handlers.get("notificationclick")?.({ notification, waitUntil });
    await waitUntil.mock.calls[0]?.[0];
    return done;
  }

  test("leads there, in the page that was looked at last; but not in what is no page of the app", async () => {
    const told = ["tell", "/chats", { open: "/chat/1?a=b" }];
    const pages = ["/api/docs/", "/chats", "/tasks"];
    expect(await click("/chat/1?a=b", pages)).toEqual(["close", ["focus", "/chats"], told]);
  });

  test("opens a page where there is none", async () => {
    expect(await click("/chat/1", [])).toEqual(["close", ["open", "/chat/1"]]);
  });

  test.each(["//evil.example", "/\\evil.example", "https://evil.example", "", "/a b", null, undefined])(
    "that leads to %j brings the app to the front, and goes nowhere",
    async (path) => {
      expect(await click(path, [])).toEqual(["close", ["open", "/"]]);
      expect(await click(path, ["/chats"])).toEqual(["close", ["focus", "/chats"]]);
    },
  );
});

test("a newer version is looked for once the backend is there again, or speaks to this one no more", async () => {
  const update = vi.fn(async () => undefined);
  const registration = { update, addEventListener: vi.fn(), waiting: null, active: null };
  const serviceWorker = { addEventListener: vi.fn(), controller: null, register: async () => registration };
  vi.stubEnv("SERVICE_WORKER", "1");
  vi.stubGlobal("navigator", { serviceWorker });
  vi.stubGlobal("__NEXT_DATA__", { buildId: "b1" });
  const Look = () => {
    useNewVersion();
    return null;
  };
  const root = createRoot(document.createElement("div"));
  const show = async (status: string) => {
    connection.status = status;
    await act(async () => root.render(createElement(Look)));
    return update.mock.calls.length;
  };
  expect(await show("connecting")).toBe(0);
  expect(await show("live")).toBe(1);
  expect(await show("waiting")).toBe(1);
  expect(await show("ended")).toBe(2);
  await act(async () => root.unmount());
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});
