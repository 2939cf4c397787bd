import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Client, createClient } from "../src/client";
import { MemoryStorage } from "../src/offline/storage";
import type { TabsPlatform } from "../src/offline/tabs";
import { EPOCH, FakeNetwork, json, listOf, page, row } from "./fake";
import { TestLocks } from "./locks";

/* The part for life without a network comes later than the client: what happens meanwhile, and without it. */

const URL = "/api/messages/?chat=1";
const WINDOW = { order: "-n,id", limit: 50, end: true, detail: false };

let network: FakeNetwork;
let storage: MemoryStorage;
let client: Client;
let loads: { resolve: () => void; reject: (error: Error) => void }[];

function start(options: Parameters<typeof createClient>[0] = {}): Client {
  client = createClient({
    pageData: page({}),
    fetch: network.fetch,
    socket: network.socket,
    cache: storage,
    tabs: null,
    offline: () =>
      new Promise((resolve, reject) => {
        loads.push({ resolve: () => void import("../src/offline/index").then(resolve), reject });
      }),
    ...options,
  });
  return client;
}
const settle = () => vi.advanceTimersByTimeAsync(0);
const load = async (of = client) => {
  loads.at(-1)?.resolve();
  await vi.dynamicImportSettled();
  await settle();
  await of.save();
};

beforeEach(() => {
  vi.useFakeTimers();
  network = new FakeNetwork();
  network.user = "u1";
  storage = new MemoryStorage();
  loads = [];
});
afterEach(() => {
  client.close();
  vi.useRealTimers();
});

describe("the offline part", () => {
  test("is asked for by the first follower, once, and the connection waits for what it kept", async () => {
    start();
    expect(loads).toHaveLength(0);
    client.follow(URL);
    client.follow("/api/chats/");
    expect(loads).toHaveLength(1);
    expect(network.sockets).toHaveLength(0);
    await load();
    expect(network.sockets).toHaveLength(1);
  });

  test("is not waited for longer than a second", async () => {
    start();
    client.follow(URL);
    await vi.advanceTimersByTimeAsync(999);
    expect(network.sockets).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(network.sockets).toHaveLength(1);
  });

  test("that cannot be loaded is done without, and tried again when a write has to wait", async () => {
    start();
    client.follow(URL);
    loads[0]?.reject(new TypeError("404"));
    await settle();
    network.last.welcome();
    const document = listOf([row("a", 1)]);
    network.last.receive({ t: "snap", sub: 1, view: 7, position: 10, ...WINDOW, document });
    expect(client.state.documents[URL]).toMatchObject({ status: "live", ids: ["a"] });
    const first = client.mutate("POST", "/api/messages/", { chat: "1", text: "one" });
    expect(loads).toHaveLength(2);
    loads[1]?.reject(new TypeError("404"));
    expect(await first).toMatchObject({ ok: false, queued: true });
    const second = client.mutate("POST", "/api/messages/", { chat: "1", text: "two" });
    network.answer = (_method, _url, body) =>
      json(201, { ...(body as object) }, { "Tims-Position": `${EPOCH}-11` });
    expect(loads).toHaveLength(3);
    await load();
    expect((await second).ok).toBe(true);
    expect(network.requests.map(({ body }) => (body as { text: string }).text)).toEqual([
      "one",
      "one",
      "two",
    ]);
  });

  test("that comes while a write is on its way goes on with it, should it have to wait", async () => {
    start();
    client.follow(URL);
    let answer = (_: Response) => {};
    network.answer = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const made = client.mutate("POST", "/api/messages/", { chat: "1", text: "one" });
    await vi.advanceTimersByTimeAsync(1_000);
    network.last.welcome();
    await load();
    network.answer = (_method, _url, body) => json(201, body, { "Tims-Position": `${EPOCH}-11` });
    answer(json(503, { code: "unavailable", title: "No", detail: "No." }));
    expect(await made).toMatchObject({ ok: false, queued: true });
    await vi.advanceTimersByTimeAsync(100_000);
    expect(network.requests.filter(({ method }) => method === "POST")).toHaveLength(2);
    expect(Object.values(client.state.mutations)).toMatchObject([{ status: "confirmed" }]);
  });

  test("that could not be loaded for a write that waits is loaded once the connection is back", async () => {
    start();
    client.follow(URL);
    loads[0]?.reject(new TypeError("404"));
    await settle();
    const made = client.mutate("POST", "/api/messages/", { chat: "1", text: "one" });
    loads[1]?.reject(new TypeError("404"));
    expect(await made).toMatchObject({ ok: false, queued: true });
    loads[2]?.reject(new TypeError("404"));
    await settle();
    network.answer = (_method, _url, body) => json(201, body, { "Tims-Position": `${EPOCH}-11` });
    network.last.welcome();
    expect(loads).toHaveLength(4);
    await load();
    expect(network.requests.filter(({ method }) => method === "POST")).toHaveLength(2);
  });

  test("that cannot be loaded keeps no files: a form is sent with them now, or not at all", async () => {
    start();
    client.follow(URL);
    loads[0]?.reject(new TypeError("404"));
    await settle();
    network.answer = () => json(503, { code: "unavailable", title: "No", detail: "No." });
    const form = new FormData();
    form.set("picture", new File(["x"], "x.png", { type: "image/png" }));
    const made = client.mutate("POST", "/api/messages/", form);
    loads[1]?.reject(new TypeError("404"));
    expect(await made).toMatchObject({ ok: false, queued: false, problem: { status: 503 } });
    expect(client.state.mutations).toEqual({});
    void client.retry("");
    await load();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(network.requests.filter(({ method }) => method === "POST")).toHaveLength(1);
  });

  test("keeps what was shown and written before it was there", async () => {
    start();
    client.follow(URL);
    await vi.advanceTimersByTimeAsync(1_000);
    network.last.welcome();
    const document = listOf([row("a", 1)]);
    network.last.receive({ t: "snap", sub: 1, view: 7, position: 10, ...WINDOW, document });
    const made = client.mutate("POST", "/api/messages/", { chat: "1", text: "one" });
    await vi.advanceTimersByTimeAsync(1_000); // it is not waited for then either
    expect(await made).toMatchObject({ ok: false, queued: true });
    await load();
    const keys = [...((await storage.read())?.records.keys() ?? [])];
    expect(keys.map((key) => key.slice(0, 2)).sort()).toEqual(["d:", "g:", "m:", "us"]);
  });

  test("that comes late lets the tabs share a socket from then on", async () => {
    const tabs: TabsPlatform = {
      locks: new TestLocks().of({}),
      channel: (name) => new BroadcastChannel(name) as never,
    };
    start({ tabs });
    client.follow(URL);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(network.sockets).toHaveLength(1);
    network.last.welcome();
    await load();
    await vi.waitFor(() => expect(network.sockets).toHaveLength(2));
    expect(network.sockets[0]?.closedWith).toBe(1000);
    network.last.welcome();
    await vi.waitFor(() => expect(network.last.of("sub")).toHaveLength(1));
  });

  test("wipes what another person left though nothing was ever followed", async () => {
    await storage.claim("2 u2");
    await storage.write("2 u2", new Map([["user", '{"id":"u2"}']]), []);
    start();
    client.setSession({ id: "u3", username: "cy", display_name: "", avatar: "", staff: false });
    await load();
    expect((await storage.read())?.owner).toBe("2 u3");
    expect(JSON.stringify([...((await storage.read())?.records ?? [])])).not.toContain("u2");
  });

  test("does not come to life in a client that was closed meanwhile", async () => {
    start();
    client.follow(URL);
    client.close();
    await load();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await storage.read()).toBeNull();
    expect(network.sockets).toHaveLength(0);
  });

  test("is never asked for where nothing is kept and no tabs are", async () => {
    start({ cache: null });
    client.follow(URL);
    await client.restore();
    expect(network.sockets).toHaveLength(1);
    expect(loads).toHaveLength(0);
  });
});
