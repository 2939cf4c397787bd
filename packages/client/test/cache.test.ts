import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Client, createClient } from "../src/client";
import { FileStorage } from "../src/node";
import * as offline from "../src/offline/index";
import { type CacheStorage, MemoryStorage } from "../src/offline/storage";
import { EPOCH, FakeNetwork, json, listOf, page, row } from "./fake";

const URL = "/api/messages/?chat=1";
const WINDOW = { order: "-n,id", limit: 50, end: true, detail: false };
const BEA = { id: "u2", username: "bea", display_name: "Bea", avatar: "", staff: false };

let folder: string;
let network: FakeNetwork;
let storage: CacheStorage;
let client: Client;
const clients: Client[] = [];

const settle = () => vi.advanceTimersByTimeAsync(0);
const path = () => join(folder, "cache");
const records = async () => [...((await storage.read())?.records.keys() ?? [])].sort();
const kept = async (key: string) => JSON.parse((await storage.read())?.records.get(key) ?? "null");

function start(options: Parameters<typeof createClient>[0] = {}): Client {
  network = new FakeNetwork();
  network.user = options.pageData ? (options.pageData.user?.id ?? null) : "u1";
  client = createClient({
    fetch: network.fetch,
    socket: network.socket,
    random: () => 0.5,
    cache: storage,
    offline: async () => offline,
    ...options,
  });
  clients.push(client);
  return client;
}

/** A person with the list [b, a] live at position 10, kept. */
async function startLive(): Promise<void> {
  start({ pageData: page({}) });
  client.follow(URL);
  await settle();
  network.last.welcome();
  const document = listOf([row("b", 2), row("a", 1)]);
  network.last.receive({ t: "snap", sub: 1, view: 7, position: 10, ...WINDOW, document });
  await vi.advanceTimersByTimeAsync(600);
}
/** The process is gone without a word; another one comes. */
async function restart(options: Parameters<typeof createClient>[0] = {}): Promise<void> {
  storage = new FileStorage(path());
  start(options);
  client.follow(URL);
  await settle();
}

beforeEach(() => {
  vi.useFakeTimers();
  folder = mkdtempSync(join(tmpdir(), "tims-cache-"));
  storage = new FileStorage(path());
});
afterEach(async () => {
  for (const one of clients.splice(0)) one.close();
  await settle();
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

describe("after a restart", () => {
  test("documents come back as stale, with who they belong to, and resume from their positions", async () => {
    await startLive();
    await restart();
    expect(client.state.user?.id).toBe("u1");
    expect(client.state.documents[URL]).toMatchObject({ status: "stale", ids: ["b", "a"], position: 10 });
    network.last.welcome(12);
    expect(network.last.of("sub")).toEqual([{ t: "sub", id: 1, url: URL, from: `${EPOCH}-10`, limit: 2 }]);
  });

  test("the position is the last one, though nothing else has changed since", async () => {
    await startLive();
    network.last.receive({ t: "pong", position: 40 });
    network.last.receive({ t: "tx", position: 41, ops: [] });
    await vi.advanceTimersByTimeAsync(600);
    await restart();
    expect(client.state.documents[URL]?.position).toBe(41);
  });

  test("a position of other rows than those that are kept counts for nothing", async () => {
    await startLive();
    await storage.write("2 u1", new Map([[`p:${URL}`, `other ${EPOCH}-99`]]), []);
    await restart();
    expect(client.state.documents[URL]?.position).toBe(10);
  });

  test("what is kept and not shown is gone on with once, one after the other", async () => {
    await startLive();
    const others = ["/api/chats/1/", "/api/chats/2/"];
    for (const [i, url] of others.entries()) {
      client.follow(url);
      const document = row(`k${i}`, i);
      const facts = { sub: i + 2, view: i + 8, position: 10, ...WINDOW, limit: 1, detail: true };
      network.last.receive({ t: "snap", ...facts, document });
    }
    await vi.advanceTimersByTimeAsync(600);
    await restart();
    network.last.welcome(20);
    await settle();
    const asked = () => network.last.of("sub").map(({ url }) => url);
    const answer = (id: number, more: object) => {
      network.last.receive({ sub: id, view: 0, position: 20, ...WINDOW, limit: 1, detail: true, ...more });
      return settle();
    };
    expect(asked()).toEqual([URL]);
    await answer(1, { t: "resumed", ops: [], detail: false, limit: 50 });
    expect(asked()).toEqual([URL, others[1]]);
    await answer(2, { t: "reset", reason: "access" });
    await answer(2, { t: "snap", document: null });
    expect(asked()).toEqual([URL, others[1], others[0]]);
    expect(readFileSync(path(), "utf8")).not.toContain('\\"k1\\"');
    await answer(3, { t: "error", status: 404, code: "not_found" });
    expect(await records()).toEqual([`d:${others[1]}`, `d:${URL}`, "g:/chat/1", "user"]);
    await vi.advanceTimersByTimeAsync(6_000);
    expect(network.last.of("unsub").map(({ sub }) => sub)).toEqual([2]);
  });

  test("what is kept is gone on with too where the first page was left before it was answered", async () => {
    await startLive();
    client.follow("/api/chats/1/");
    const facts = { sub: 2, view: 8, position: 10, ...WINDOW, limit: 1, detail: true };
    network.last.receive({ t: "snap", ...facts, document: row("k1", 1) });
    await vi.advanceTimersByTimeAsync(600);
    storage = new FileStorage(path());
    start();
    const leave = client.follow(URL);
    await settle();
    leave();
    client.follow("/api/chats/9/");
    await vi.advanceTimersByTimeAsync(6_000);
    network.last.welcome(20);
    await settle();
    expect(network.last.of("sub").map(({ url }) => url)).toEqual(["/api/chats/9/", "/api/chats/1/"]);
  });

  test("a page that no server gave is asked for once more when the connection is there", async () => {
    await startLive();
    await restart();
    const asked = () => network.requests.filter(({ url }) => url.startsWith("/page-data")).length;
    expect((await client.loadPage("/chat/1"))?.asOf).toBeGreaterThan(0);
    network.answer = () => json(200, page({}, 20));
    network.last.welcome(20);
    await settle();
    expect(client.state.page).toMatchObject({ path: "/chat/1", asOf: null });
    expect(asked()).toBe(2);
    network.last.cut();
    await vi.advanceTimersByTimeAsync(2_000);
    network.last.welcome(20);
    await settle();
    expect(asked()).toBe(2);
  });

  test("a page that nothing was kept of is asked for too, but not in the place of another", async () => {
    start({ cache: null });
    client.follow(URL);
    await settle();
    for (const path of ["/chat/2", "/chat/1"]) await client.loadPage(path).catch(() => undefined);
    network.answer = () => json(200, page({}, 20));
    network.last.welcome(20);
    await settle();
    expect(client.state).toMatchObject({ page: { path: "/chat/1" }, user: { id: "u1" } });
    network.last.cut();
    network.answer = () => Promise.reject(new TypeError("offline"));
    await client.loadPage("/chat/2").catch(() => undefined);
    network.answer = () => new Promise(() => undefined);
    void client.loadPage("/chat/3");
    await vi.advanceTimersByTimeAsync(2_000);
    network.last.welcome(20);
    await settle();
    const pages = network.requests.map(({ url }) => url).filter((url) => url.startsWith("/page-data"));
    expect(pages.at(-1)).toBe("/page-data?path=%2Fchat%2F3");
  });

  test("what the page brings and is newer stays", async () => {
    await startLive();
    await restart({ pageData: page({ [URL]: listOf([row("c", 3)]) }, 20) });
    expect(client.state.documents[URL]?.ids).toEqual(["c"]);
  });

  test("what is kept and newer than the page wins", async () => {
    await startLive();
    network.last.receive({ t: "tx", position: 30, ops: [{ view: 7, op: "del", id: "a" }] });
    await settle();
    await restart({ pageData: page({ [URL]: listOf([row("b", 2), row("a", 1)]) }, 20) });
    expect(client.state.documents[URL]).toMatchObject({ ids: ["b"], position: 30 });
  });
});

describe("what is kept", () => {
  test("is written at most twice a second", async () => {
    await startLive();
    const writes = vi.spyOn(storage, "write");
    for (let n = 11; n < 21; n++) {
      const ops = [{ view: 7, op: "put", id: `r${n}`, row: row(`r${n}`, n) }];
      network.last.receive({ t: "tx", position: n, ops });
      await vi.advanceTimersByTimeAsync(100);
    }
    await vi.advanceTimersByTimeAsync(500);
    expect(writes.mock.calls.length).toBeLessThanOrEqual(3);
    expect((await kept(`d:${URL}`)).document.ids).toHaveLength(12);
  });

  test("loses a row in the same step as memory does", async () => {
    await startLive();
    network.last.receive({ t: "tx", position: 11, ops: [{ view: 7, op: "del", id: "a" }] });
    await settle();
    expect(readFileSync(path(), "utf8")).not.toContain('\\"id\\":\\"a\\"');
    expect((await kept(`d:${URL}`)).document.ids).toEqual(["b"]);
  });

  test("loses an included row in the same step too", async () => {
    await startLive();
    const sender = { view: 7, field: "sender", id: "u9" };
    network.last.receive({ t: "tx", position: 11, ops: [{ ...sender, op: "include", row: row("u9", 1) }] });
    await vi.advanceTimersByTimeAsync(600);
    expect(readFileSync(path(), "utf8")).toContain("u9");
    network.last.receive({ t: "tx", position: 12, ops: [{ ...sender, op: "exclude" }] });
    await settle();
    expect(readFileSync(path(), "utf8")).not.toContain("u9");
  });

  test("is the page's last word", async () => {
    await startLive();
    network.last.receive({ t: "tx", position: 11, ops: [{ view: 7, op: "put", id: "c", row: row("c", 3) }] });
    client.close();
    await settle();
    expect((await kept(`d:${URL}`)).document.ids).toEqual(["c", "b", "a"]);
  });

  test("is never a page that no server has brought, but one without data that it has", async () => {
    await startLive();
    const bare = { ...page({}), path: "/about", route: "/about", params: {}, position: "" };
    network.answer = () => json(200, bare);
    await client.loadPage("/about");
    network.answer = () => {
      throw new TypeError("offline");
    };
    for (const path of ["/x", "/y", "/x"]) await expect(client.loadPage(path)).rejects.toThrow();
    await client.save();
    expect((await records()).filter((key) => key.startsWith("g:"))).toEqual(["g:/about", "g:/chat/1"]);
    expect(await client.loadPage("/about")).toMatchObject({ path: "/about", route: "/about" });
  });

  test("nothing is written any more by a client that was closed", async () => {
    await startLive();
    let answer = (_: Response) => {};
    network.answer = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    network.last.cut();
    const reading = client.read(URL);
    client.close();
    await settle();
    const before = readFileSync(path(), "utf8");
    answer(json(200, { ...listOf([row("late", 9)]), position: `${EPOCH}-99` }));
    await reading;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(readFileSync(path(), "utf8")).toBe(before);
  });

  test("is bounded: the longest untouched documents go", async () => {
    const { Cache } = await import("../src/offline/cache");
    await startLive();
    const cache = new Cache({ storage, tab: "t", state: () => client.state, documentsMax: 2 });
    await cache.begin(client.state.user);
    for (const name of ["a", "b", "c"]) {
      const url = `/api/${name}/`;
      client.store.dispatch({
        type: "tims/documentLoaded",
        payload: { url, document: listOf([]), position: `${EPOCH}-1` },
      });
      await cache.flush();
    }
    expect((await records()).filter((key) => key.startsWith("d:"))).toEqual(["d:/api/b/", "d:/api/c/"]);
  });
});

describe("another person", () => {
  test("who signs in finds nothing of the former one, in memory or kept", async () => {
    await startLive();
    network.user = "u2";
    client.setSession(BEA, "csrf-2");
    await settle();
    expect(readFileSync(path(), "utf8")).not.toContain("/api/messages/");
    await restart({ pageData: { ...page({}), user: BEA } });
    expect(client.state.documents[URL]?.ids).toEqual([]);
  });
  test("signing out wipes it", async () => {
    await startLive();
    client.setSession(null);
    await settle();
    expect(await records()).toEqual(["user"]);
  });
  test("whose page it is gets nothing of what somebody else has kept", async () => {
    await startLive();
    await restart({ pageData: { ...page({}), user: BEA } });
    expect(client.state.documents[URL]).toMatchObject({ status: "loading", ids: [] });
    expect(await records()).toEqual(["user"]);
  });
  test("who has signed in elsewhere is not mixed with a tab that has not heard of it", async () => {
    await startLive();
    await storage.claim("2 u2");
    network.last.receive({ t: "tx", position: 11, ops: [{ view: 7, op: "del", id: "a" }] });
    await settle();
    expect(await records()).toEqual([]);
  });
  test("keeps what they have written in another tab when this one becomes theirs", async () => {
    start({ pageData: { ...page({}), user: BEA } });
    await client.restore();
    const { user } = page({});
    const written = new Map([
      ["user", JSON.stringify(user)],
      ["m:1", JSON.stringify({ tab: "other", mutation: { key: "1" } })],
    ]);
    await storage.claim("2 u1", written);
    client.setSession(user);
    await settle();
    await client.save();
    expect(await records()).toEqual(["m:1", "user"]);
    client.setSession(BEA);
    await client.save();
    expect(await records()).toEqual(["user"]);
  });

  test("whom the socket names instead of the one who is shown ends the session here", async () => {
    await startLive();
    await restart();
    network.user = "u2";
    network.answer = () => json(200, { user: BEA, csrf: "csrf-2" });
    network.last.welcome();
    await settle();
    expect(client.state.user?.id).toBe("u2");
    expect(client.state.documents[URL]?.ids).toEqual([]);
    expect(await records()).toEqual(["user"]);
  });
});

describe("a cache that cannot be trusted is dropped whole", () => {
  const tear = async (key: string, change: (record: { document: object }) => unknown) => {
    const record = await kept(key);
    const changed = change(record);
    await storage.write(
      "2 u1",
      new Map([[key, typeof changed === "string" ? changed : JSON.stringify(changed)]]),
      [],
    );
  };
  test.each<[string, () => Promise<unknown> | unknown]>([
    ["a file that is cut off", () => writeFileSync(path(), readFileSync(path(), "utf8").slice(0, -40))],
    ["an empty file", () => writeFileSync(path(), "")],
    ["another schema", () => writeFileSync(path(), readFileSync(path(), "utf8").replace("2 u1", "0 u1"))],
    ["a record that is no JSON", () => tear(`d:${URL}`, () => "{")],
    [
      "a row that is missing",
      () => tear(`d:${URL}`, ({ document }) => ({ document: { ...document, rows: {} } })),
    ],
    [
      "a document of another URL",
      () => tear(`d:${URL}`, ({ document }) => ({ document: { ...document, url: "/x/" } })),
    ],
    ["no user", () => storage.write("2 u1", new Map(), ["user"])],
  ])("%s", async (_name, damage) => {
    await startLive();
    await damage();
    await restart({ pageData: page({}) });
    expect(client.state.documents[URL]).toMatchObject({ status: "loading", ids: [] });
    expect(await records()).toEqual(["user"]);
    network.last.welcome(); // and the live path goes on
    expect(network.last.of("sub")).toEqual([{ t: "sub", id: 1, url: URL }]);
  });

  test.each([
    ["never answers", () => new Promise<never>(() => undefined)],
    ["fails", () => Promise.reject(new Error("QuotaExceededError"))],
  ])("and one whose storage %s is not waited for", async (_name, answer) => {
    storage = { read: answer, write: answer, claim: answer };
    start({ pageData: page({}) });
    client.follow(URL);
    await vi.advanceTimersByTimeAsync(1_000);
    network.last.welcome();
    network.last.receive({
      t: "snap",
      sub: 1,
      view: 1,
      position: 10,
      ...WINDOW,
      document: listOf([row("a", 1)]),
    });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(client.state.documents[URL]).toMatchObject({ status: "live", ids: ["a"] });
  });

  test("a full storage loses its documents, not its writes", async () => {
    class Full extends MemoryStorage {
      override async write(owner: string, puts: Map<string, string>, gone: Iterable<string>) {
        if ([...puts.keys()].some((key) => key.startsWith("d:"))) throw new Error("QuotaExceededError");
        return super.write(owner, puts, gone);
      }
    }
    storage = new Full();
    await startLive();
    network.answer = () => new Promise(() => undefined);
    void client.mutate("POST", "/api/messages/", { chat: "1", text: "hi" });
    await vi.advanceTimersByTimeAsync(600);
    expect((await records()).filter((key) => key.startsWith("m:"))).toHaveLength(1);
    expect(client.state.documents[URL]?.status).toBe("live");
  });
});

describe("writes", () => {
  const write = (text: string) => client.mutate("POST", "/api/messages/", { chat: "1", text });

  test("that met no server are sent again after a restart, in order and under their keys", async () => {
    await startLive();
    network.last.cut();
    await write("one");
    await write("two");
    const keys = Object.keys(client.state.mutations);
    await settle();
    await restart();
    expect(Object.values(client.state.mutations).map(({ status }) => status)).toEqual(["waiting", "waiting"]);
    network.answer = (_method, url, body) =>
      url === "/api/auth/me/"
        ? json(200, { user: page({}).user, csrf: "csrf-2" })
        : json(201, body, { "Tims-Position": `${EPOCH}-30` });
    network.last.welcome(20);
    await settle();
    const posts = network.requests.filter(({ method }) => method === "POST");
    expect(posts.map(({ body }) => (body as { text: string }).text)).toEqual(["one", "two"]);
    expect(posts.map(({ headers }) => headers["Idempotency-Key"])).toEqual(keys);
    expect(posts[0]?.headers["X-CSRF-Token"]).toBe("csrf-2");
    network.last.receive({ t: "pong", position: 30 });
    await vi.advanceTimersByTimeAsync(600);
    expect((await records()).filter((key) => key.startsWith("m:"))).toEqual([]);
  });

  test("that were on their way when the app was closed are sent again too", async () => {
    await startLive();
    network.answer = () => new Promise(() => undefined);
    void write("one");
    await settle();
    await restart();
    expect(Object.values(client.state.mutations)[0]).toMatchObject({
      status: "waiting",
      tries: 1,
      body: { text: "one" },
    });
  });

  test("that are refused stay, with their problem, until they are discarded", async () => {
    await startLive();
    network.answer = () => json(422, { code: "invalid", title: "No", detail: "Too long." });
    const { key } = await write("one");
    await vi.advanceTimersByTimeAsync(600);
    await restart();
    expect(client.state.mutations[key]).toMatchObject({ status: "failed", problem: { detail: "Too long." } });
    client.discard(key);
    await vi.advanceTimersByTimeAsync(600);
    await restart();
    expect(client.state.mutations).toEqual({});
  });

  test("wait behind those that met no server", async () => {
    await startLive();
    await write("one");
    await write("two");
    expect(network.requests.map(({ body }) => (body as { text: string }).text)).toEqual(["one", "one"]);
    network.answer = (_method, _url, body) => json(201, body, { "Tims-Position": `${EPOCH}-30` });
    await write("three");
    const sent = network.requests.slice(2).map(({ body }) => (body as { text: string }).text);
    expect(sent).toEqual(["one", "two", "three"]);
  });

  test("that are calls with an answer for their caller are not kept: a password is none of a cache's business", async () => {
    await startLive();
    network.answer = () => new Promise(() => undefined);
    void client.mutate("POST", "/api/auth/login/", { password: "secret-1" });
    await vi.advanceTimersByTimeAsync(600);
    expect(readFileSync(path(), "utf8")).not.toContain("secret-1");
  });
});
