// @vitest-environment happy-dom
/* Redux DevTools, as their extension defines itself: one function on the window, by which the store is composed. */
import { afterEach, expect, test, vi } from "vitest";
import { FakeNetwork, json, listOf, page, row } from "./fake";

interface Action {
  type: string;
}
interface Options {
  name?: string;
  actionSanitizer?: (action: Action, id: number) => Action;
}
interface Store {
  dispatch: (action: Action) => unknown;
}
type Create = (...args: unknown[]) => Store;

const URL = "/api/messages/?chat=1";
const WINDOW = { order: "-n,id", limit: 50, end: true, detail: false };
const global = globalThis as { __REDUX_DEVTOOLS_EXTENSION_COMPOSE__?: unknown };

/** What would stand in the list of actions, and what the stores asked for. */
const shown: string[] = [];
const options: Options[] = [];
global.__REDUX_DEVTOOLS_EXTENSION_COMPOSE__ = // taken when Redux Toolkit is loaded
    (given: Options) =>
    (...enhancers: ((create: Create) => Create)[]) => {
      options.push(given);
      const recording =
        (create: Create): Create =>
        (...args) => {
          const store = create(...args);
          const dispatch = (action: Action) => {
            shown.push((given.actionSanitizer?.(action, shown.length) ?? action).type);
            return store.dispatch(action);
          };
          return { ...store, dispatch };
        };
      return (create: Create) => enhancers.reduceRight((made, enhance) => enhance(made), recording(create));
    };

/** A client of modules that have found the extension when they were loaded. */
async function load() {
  vi.resetModules();
  const client = await import("../src/client");
  await client.loadLive();
  return client;
}

afterEach(() => {
  shown.length = 0;
  options.length = 0;
  vi.unstubAllGlobals();
});

test("DevTools list what has happened, and to what", async () => {
  const { createClient } = await load();
  const network = new FakeNetwork();
  network.user = "u1";
  const pageData = page({ [URL]: listOf([row("b", 2), row("a", 1)]) });
  const client = createClient({
    pageData,
    fetch: network.fetch,
    socket: network.socket,
    cache: null,
    tabs: null,
  });
  expect(options).toMatchObject([{ name: "tims" }]);
  client.follow(URL);
  network.last.welcome(11);
  network.last.receive({ t: "resumed", sub: 1, view: 7, position: 11, ...WINDOW, ops: [] });
  const ops = [
    { view: 7, op: "put", id: "c", row: row("c", 3) },
    { view: 7, op: "del", id: "a" },
  ];
  network.last.receive({ t: "tx", position: 12, ops });
  network.answer = () => json(422, { code: "invalid", title: "No" });
  const { key } = await client.mutate("POST", "/api/messages/", { chat: "1" });
  await client.discard(key);
  client.close();
  expect(shown).toEqual([
    `tims/documentWanted ${URL}`,
    "tims/connectionChanged connecting",
    `tims/connectionChanged 11`,
    "tims/connectionChanged live",
    `tims/resumed ${URL} 11`,
    `tims/txReceived 12 ${URL} put c del a`,
    `tims/mutationStarted /api/messages/ sending POST ${key}`,
    `tims/mutationChanged ${key}`,
    `tims/mutationDropped ${key}`,
    "tims/connectionChanged idle",
  ]);
});

test("one step of the backend is one action, whatever number of documents it changes", async () => {
  const { createClient } = await load();
  const network = new FakeNetwork();
  network.user = "u1";
  const client = createClient({ pageData: page({}), fetch: network.fetch, socket: network.socket });
  client.follow(URL);
  client.follow("/api/chats/");
  network.last.welcome(11);
  for (const sub of [1, 2])
    network.last.receive({ t: "snap", sub, view: sub, position: 11, ...WINDOW, document: listOf([]) });
  shown.length = 0;
  const put = (view: number) => ({ view, op: "put", id: "c", row: row("c", 3) });
  network.last.receive({ t: "tx", position: 12, ops: [put(1), put(2)] });
  expect(shown).toEqual([`tims/txReceived 12 ${URL} put c /api/chats/ put c`]);
  client.close();
});

test("on the server there are none, though something calls itself so", async () => {
  vi.stubGlobal("window", undefined);
  const { createClient } = await load();
  createClient({ pageData: page({}) });
  expect(options).toEqual([]);
});
