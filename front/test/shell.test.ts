// A shell asks for its page's data once it stands; whoever goes on meanwhile is not held by the answer.
import { RouterContext } from "next/dist/shared/lib/router-context.shared-runtime";
import * as routing from "next/router";
import { act, createElement } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { loadTexting } from "@/i18n/load";
import App from "../pages/_app";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

/** Next's own, as its script on a page makes it; not in its types. */
const { default: Router, createRouter } = routing as typeof routing & {
  createRouter: (pathname: string, query: object, as: string, options: object) => routing.NextRouter;
};
const body = document.createElement("div");
const goTo = vi.fn();
let root: Root;
let answer: (response: Response) => void;

const Chats = () => createElement("p", null, "the chats");

beforeEach(async () => {
  vi.stubGlobal("__NEXT_DATA__", { autoExport: true });
  vi.stubGlobal("fetch", () => new Promise<Response>((resolve) => (answer = resolve)));
  vi.spyOn(window.location, "assign").mockImplementation(goTo);
  await loadTexting("en");
  const pageLoader = { getMiddleware: async () => [] };
  const options = { App, Component: Chats, initialProps: {}, pageLoader, wrapApp: () => null };
  const router = createRouter("/chats", {}, "/chats", options);
  const app = createElement(App, { Component: Chats, pageProps: {}, pageData: null, router } as never);
  root = createRoot(body);
  await act(async () => root.render(createElement(RouterContext.Provider, { value: Router }, app)));
});
afterEach(async () => {
  await act(async () => root.unmount());
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  goTo.mockReset();
});

const refuse = (status: number) =>
  act(async () => {
    answer(new Response("{}", { status, headers: { "Content-Type": "application/problem+json" } }));
    await new Promise((resolve) => setTimeout(resolve));
  });

test("a page that is not there is said to be missing", async () => {
  expect(body.textContent).toContain("the chats");
  await refuse(404);
  expect(body.textContent).toContain("404");
});

test("a page that wants somebody signed in leads to the login, and back", async () => {
  await refuse(401);
  expect(goTo).toHaveBeenCalledWith("/login?next=%2Fchats");
});

test.each([401, 404])("%i for a page that is being left changes nothing", async (status) => {
  Router.events.emit("routeChangeStart", "/tasks", { shallow: false });
  await refuse(status);
  expect(body.textContent).toContain("the chats");
  expect(goTo).not.toHaveBeenCalled();
});
