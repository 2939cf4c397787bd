import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Client, createClient } from "../src/client";
import { ownerOf } from "../src/offline/cache";
import { type CacheStorage, MemoryStorage } from "../src/offline/storage";
import type { Channel, TabsPlatform } from "../src/offline/tabs";
import { EPOCH, FakeNetwork, json, listOf, page, row } from "./fake";
import { TestLocks } from "./locks";

/* Tabs are clients over Node's own BroadcastChannel; their one browser is a lock manager and a network. */

const MESSAGES = "/api/messages/?chat=1";
const CHATS = "/api/chats/";
const CHAT = "/api/chats/1/";
const WINDOW = { order: "-n,id", limit: 50, end: true, detail: false };
const BEA = { id: "u2", username: "bea", display_name: "Bea", avatar: "", staff: false };

let network: FakeNetwork;
let storage: MemoryStorage;
let locks: TestLocks;
let tabs: Client[];
let browsers: Tab[];

const until = (what: () => void) => vi.waitFor(what, { timeout: 3_000, interval: 5 });

/** A tab's view of its browser. */
class Tab implements TabsPlatform {
  readonly locks: TabsPlatform["locks"];
  constructor(locksDelay_ms = 0) {
    this.locks = locks.of(this, locksDelay_ms);
  }
  isFrozen = false;
  /** The last that another tab has told. */
  heard: unknown = null;
  channel = (name: string): Channel => {
    const real = new BroadcastChannel(name);
    const channel: Channel = {
      postMessage: (message) => !this.isFrozen && real.postMessage(message),
      close: () => real.close(),
      onmessage: null,
    };
    real.onmessage = (event) => {
      if (this.isFrozen) return;
      this.heard = (event as MessageEvent).data;
      channel.onmessage?.({ data: this.heard });
    };
    return channel;
  };
  crash(): void {
    this.isFrozen = true;
    locks.crash(this);
  }
}

function openTab(options: Parameters<typeof createClient>[0] = {}, browser = new Tab()): Client {
  browsers.push(browser);
  const tab = createClient({
    pageData: page({}),
    fetch: network.fetch,
    socket: network.socket,
    random: () => 0,
    cache: storage,
    tabs: browser,
    ...options,
  });
  tabs.push(tab);
  return tab;
}
const subs = (url: string) => network.last.of("sub").filter((frame) => frame.url === url);
const hasSub = (url: string, count = 1) => until(() => expect(subs(url)).toHaveLength(count));
const idsOf = (tab: Client, url: string) => tab.state.documents[url]?.ids;

/** Two tabs of one person: the first leads and shows chats, the second shows messages [b, a]. */
async function openTwo(): Promise<[Client, Client]> {
  const first = openTab();
  first.follow(CHATS);
  await until(() => expect(network.sockets).toHaveLength(1));
  network.last.welcome();
  await hasSub(CHATS);
  const chats = { t: "snap", sub: subs(CHATS)[0]?.id, view: 1, position: 10, ...WINDOW };
  network.last.receive({ ...chats, document: listOf([row("k", 1)]) });
  const second = openTab();
  second.follow(MESSAGES);
  await hasSub(MESSAGES);
  const messages = { t: "snap", sub: subs(MESSAGES)[0]?.id, view: 2, position: 10, ...WINDOW };
  network.last.receive({ ...messages, document: listOf([row("b", 2), row("a", 1)]) });
  await until(() => expect(idsOf(second, MESSAGES)).toEqual(["b", "a"]));
  return [first, second];
}

beforeEach(() => {
  network = new FakeNetwork();
  network.user = "u1";
  storage = new MemoryStorage();
  locks = new TestLocks();
  tabs = [];
  browsers = [];
});
afterEach(() => {
  for (const tab of tabs) tab.close();
});

describe("tabs of one person", () => {
  test("share one socket and one hello", async () => {
    const [first, second] = await openTwo();
    expect(network.sockets).toHaveLength(1);
    expect(network.last.of("hello")).toHaveLength(1);
    expect(first.state.documents[MESSAGES]).toBeUndefined();
    expect(second.state.documents[CHATS]).toBeUndefined();
  });

  test("each see what concerns them of one tx, and both its position", async () => {
    const [first, second] = await openTwo();
    network.last.receive({
      t: "tx",
      position: 11,
      ops: [
        { view: 1, op: "put", id: "l", row: row("l", 2) },
        { view: 2, op: "del", id: "b" },
      ],
    });
    await until(() => expect(idsOf(second, MESSAGES)).toEqual(["a"]));
    expect(idsOf(first, CHATS)).toEqual(["l", "k"]);
    expect(first.state.documents[CHATS]?.position).toBe(11);
    expect(second.state.documents[MESSAGES]?.position).toBe(11);
  });

  test("share the next one too when all of them turn to another network at once", async () => {
    const [first, second] = await openTwo();
    network.last.cut();
    const wait = { k: "told", to: second.id, told: { wait: true } };
    await until(() => expect(browsers[1]?.heard).toEqual(wait));
    expect(network.sockets).toHaveLength(2);
    second.probe(true);
    first.probe(true);
    for (let i = 0; i < 20; i++) await Promise.resolve(); // before the tabs hear of each other
    expect(network.sockets).toHaveLength(3);
    network.last.welcome();
    await until(() => {
      for (const tab of [first, second]) expect(tab.state.connection.status).toBe("live");
    });
    expect(network.sockets.filter(({ readyState }) => readyState < 2)).toHaveLength(1);
  });

  test("may follow the same URL, each under an id of its own", async () => {
    const [first] = await openTwo();
    first.follow(MESSAGES);
    await hasSub(MESSAGES, 2);
    const [one, two] = subs(MESSAGES).map(({ id }) => id);
    expect(one).not.toBe(two);
    const snap = { t: "snap", view: 2, position: 12, ...WINDOW, document: listOf([row("a", 1)]) };
    network.last.receive({ ...snap, sub: two });
    await until(() => expect(idsOf(first, MESSAGES)).toEqual(["a"]));
  });

  test("in one room each have a join of their own, and hear what is told to all there", async () => {
    const [first, second] = await openTwo();
    const joins = () => network.last.of("join").map(({ id }) => id);
    const usersIn = (tab: Client) => tab.state.rooms[CHAT]?.users.map(({ id }) => id);
    first.join(CHAT);
    await until(() => expect(joins()).toHaveLength(1));
    const away = second.join(CHAT);
    await until(() => expect(joins()).toHaveLength(2));
    const [one, two] = joins();
    for (const join of [one, two])
      network.last.receive({ t: "presence", join, room: 31, count: 1, users: [{ id: "u1" }] });
    await until(() => expect([usersIn(first), usersIn(second)]).toEqual([["u1"], ["u1"]]));
    network.last.receive({ t: "presence", room: 31, count: 2, joined: [{ id: "u2" }] });
    await until(() =>
      expect([usersIn(first), usersIn(second)]).toEqual([
        ["u1", "u2"],
        ["u1", "u2"],
      ]),
    );
    away();
    await until(() => expect(network.last.of("leave")).toEqual([{ t: "leave", join: two }]));
    expect(usersIn(first)).toEqual(["u1", "u2"]);
  });

  test("leave the rooms of a closed tab", async () => {
    const [, second] = await openTwo();
    second.join(CHAT);
    await until(() => expect(network.last.of("join")).toHaveLength(1));
    second.close();
    const join = network.last.of("join")[0]?.id;
    await until(() => expect(network.last.of("leave")).toEqual([{ t: "leave", join }]));
  });

  test("let go of what only a closed tab has followed", async () => {
    const [, second] = await openTwo();
    second.close();
    await until(() => expect(network.last.of("unsub")).toEqual([{ t: "unsub", sub: subs(MESSAGES)[0]?.id }]));
    expect(network.sockets).toHaveLength(1);
  });

  test("come back through the next one when the leader closes, from their positions", async () => {
    const [first, second] = await openTwo();
    network.last.receive({ t: "pong", position: 15 });
    await until(() => expect(second.state.documents[MESSAGES]?.position).toBe(15));
    first.close();
    await until(() => expect(network.sockets).toHaveLength(2));
    network.last.welcome(20);
    await hasSub(MESSAGES);
    expect(subs(MESSAGES)[0]).toMatchObject({ from: `${EPOCH}-15`, limit: 2 });
    const ops = [{ view: 5, op: "put", id: "c", row: row("c", 3) }];
    network.last.receive({
      t: "resumed",
      sub: subs(MESSAGES)[0]?.id,
      view: 5,
      position: 20,
      ...WINDOW,
      ops,
    });
    await until(() => expect(idsOf(second, MESSAGES)).toEqual(["c", "b", "a"]));
    expect(second.state.documents[MESSAGES]?.status).toBe("live");
  });

  test("stay with the next leader, whatever the former one is heard to say late", async () => {
    const [first, second] = await openTwo();
    first.close();
    await until(() => expect(network.sockets).toHaveLength(2));
    network.last.welcome(20);
    await hasSub(MESSAGES);
    const late = { k: "told", to: null, told: { code: 1006 } };
    const channel = new BroadcastChannel(`tims ${network.last.url} ${ownerOf(page({}).user)}`);
    channel.postMessage(late);
    await until(() => expect(browsers[1]?.heard).toEqual(late));
    channel.close();
    expect(second.state.connection.status).toBe("live");
  });

  test("come back through the next one when the leader crashes", async () => {
    const [, second] = await openTwo();
    const third = openTab();
    third.follow(CHATS);
    await hasSub(CHATS, 2);
    browsers[0]?.crash();
    await until(() => expect(network.sockets).toHaveLength(2));
    network.last.welcome(20);
    await hasSub(MESSAGES);
    await hasSub(CHATS);
    expect(network.sockets).toHaveLength(2);
    expect([second, third].map((tab) => tab.state.connection.status)).toEqual(["live", "live"]);
  });

  test("are not taken for gone before the browser has given them their own lock", async () => {
    await openTwo();
    openTab({}, new Tab(50)).follow(CHATS);
    await hasSub(CHATS, 2);
    expect(network.sockets).toHaveLength(1);
    expect(network.last.of("unsub")).toEqual([]);
  });

  test("of three, the third goes on through the second", async () => {
    const [first, second] = await openTwo();
    const third = openTab();
    third.follow(CHATS);
    await hasSub(CHATS, 2);
    first.close();
    await until(() => expect(network.sockets).toHaveLength(2));
    network.last.welcome(20);
    await hasSub(MESSAGES);
    await hasSub(CHATS);
    expect(second.state.connection.status).toBe("live");
    expect(third.state.connection.status).toBe("live");
    expect(network.sockets).toHaveLength(2);
  });

  test("all wait and return when the socket drops", async () => {
    await openTwo();
    network.last.cut();
    await until(() => expect(network.sockets).toHaveLength(2));
    network.last.welcome();
    await hasSub(MESSAGES);
    await hasSub(CHATS);
    expect(network.last.of("hello")).toHaveLength(1);
  });

  test("take sockets of their own when the leader does not answer", async () => {
    const [first] = await openTwo();
    if (browsers[0]) browsers[0].isFrozen = true;
    const third = openTab();
    third.follow(CHATS);
    await until(() => expect(network.sockets).toHaveLength(2));
    network.last.welcome();
    await hasSub(CHATS);
    expect(third.state.connection.status).toBe("live");
    expect(first.state.connection.status).toBe("live");
  });

  test("keep what they write by themselves while the leader does not answer", async () => {
    await openTwo();
    const [leader] = browsers;
    if (leader) leader.isFrozen = true;
    const wrote: string[] = [];
    const own: CacheStorage = {
      read: () => storage.read(),
      claim: (owner, puts) => storage.claim(owner, puts),
      write: (owner, puts, gone) => {
        wrote.push(...puts.keys());
        return storage.write(owner, puts, gone);
      },
    };
    const third = openTab({ cache: own });
    third.follow(MESSAGES);
    network.answer = () => new Promise(() => undefined);
    const say = (text: string) => {
      void third.mutate("POST", "/api/messages/", { chat: "1", text });
      return `m:${Object.keys(third.state.mutations).at(-1)}`;
    };
    const isKept = (key: string) =>
      vi.waitFor(async () => expect((await storage.read())?.records.has(key)).toBe(true), { timeout: 3_000 });
    const before = say("before it is known to be silent");
    await until(() => expect(network.sockets).toHaveLength(2));
    await isKept(before);
    await isKept(say("after that"));
    expect(wrote).toContain(before);
    await storage.write("2 u1", new Map(), [before]); // what the leader has from earlier may undo what came since
    if (leader) leader.isFrozen = false;
    network.sockets[0]?.receive({ t: "pong", position: 16 });
    await until(() => expect(browsers[2]?.heard).toMatchObject({ k: "told" }));
    const last = say("once it answers");
    await isKept(last);
    await isKept(before);
    expect(wrote).not.toContain(last);
  });

  test("that do not know yet whose they are move to the shared socket once they do", async () => {
    await openTwo();
    storage = new MemoryStorage(); // nor does a cache know
    const third = openTab({ pageData: null });
    third.follow(CHATS);
    await until(() => expect(network.sockets).toHaveLength(2));
    third.takePage(page({}));
    expect(network.sockets[1]?.closedWith).toBe(1000);
    await until(() => {
      const chats = network.sockets[0]?.of("sub").filter(({ url }) => url === CHATS);
      expect(chats).toHaveLength(2);
    });
    expect(network.sockets).toHaveLength(2);
  });

  test("share with none of a version that keeps things otherwise", async () => {
    const browser = new Tab();
    const channel = vi.spyOn(browser, "channel");
    openTab({}, browser).follow(CHATS);
    await until(() => expect(channel).toHaveBeenCalledOnce());
    const { owner = "" } = (await storage.read()) ?? {};
    expect(owner).toBe("2 u1"); // the number of how things are kept, and the person
    expect(channel.mock.calls[0]?.[0].endsWith(` ${owner}`)).toBe(true);
  });

  test("do not take a leader whose backend is slow for one that is gone", async () => {
    vi.useFakeTimers();
    const first = openTab();
    first.follow(CHATS);
    await vi.advanceTimersByTimeAsync(8_000);
    vi.useRealTimers();
    expect(network.sockets).toHaveLength(1);
    network.last.welcome();
    await hasSub(CHATS);
  });
});

describe("the cache of tabs", () => {
  test("is written by the leader, for all", async () => {
    const writes = vi.spyOn(storage, "write");
    const [, second] = await openTwo();
    network.last.receive({ t: "tx", position: 11, ops: [{ view: 2, op: "del", id: "b" }] });
    await until(() => expect(idsOf(second, MESSAGES)).toEqual(["a"]));
    await vi.waitFor(
      async () => {
        const records = (await storage.read())?.records;
        const document = JSON.parse(records?.get(`d:${MESSAGES}`) ?? "{}").document;
        expect(document?.ids).toEqual(["a"]);
        expect(records?.has(`d:${CHATS}`)).toBe(true);
      },
      { timeout: 3_000 },
    );
    const before = writes.mock.calls.length;
    second.close();
    await until(() => expect(network.last.of("unsub")).toHaveLength(1));
    expect(writes.mock.calls.length - before).toBeLessThanOrEqual(1);
  });

  test("hands the writes of a tab that is gone to one that is there", async () => {
    const [first, second] = await openTwo();
    network.answer = () => new Promise(() => undefined);
    void second.mutate("POST", "/api/messages/", { chat: "1", text: "hi" });
    const [key] = Object.keys(second.state.mutations);
    await vi.waitFor(async () => expect((await storage.read())?.records.has(`m:${key}`)).toBe(true));
    expect(first.state.mutations).toEqual({});
    network.answer = (_method, _url, body) => json(201, body, { "Tims-Position": `${EPOCH}-30` });
    second.close();
    await until(() => expect(Object.values(first.state.mutations)[0]?.status).toBe("confirmed"));
    const posts = network.requests.filter(({ method }) => method === "POST");
    expect(posts.map(({ headers }) => headers["Idempotency-Key"])).toEqual([key, key]);
  });

  test.each([
    [1, "the one that leads next"],
    [2, "another one"],
  ])("loses what tab %i, %s, gave up, though the leader died with that in hand", async (writer) => {
    await openTwo();
    openTab().follow(MESSAGES);
    await hasSub(MESSAGES, 2);
    network.answer = () => json(422, { code: "invalid", title: "No", detail: "No." });
    const has = async (key: string) => (await storage.read())?.records.has(`m:${key}`);
    const is = (kept: boolean, key: string) =>
      vi.waitFor(async () => expect(await has(key)).toBe(kept), { timeout: 3_000 });
    const result = await tabs[writer]?.mutate("POST", "/api/messages/", { chat: "1", text: "hi" });
    const key = result?.key ?? "";
    await is(true, key);
    const [leader] = browsers;
    if (leader) leader.isFrozen = true;
    expect(await tabs[writer]?.discard(key)).toBe(true);
    const saving = { k: "save", changes: { gone: [`m:${key}`] } };
    await until(() => expect(browsers[3 - writer]?.heard).toMatchObject(saving));
    expect(await has(key)).toBe(true);
    leader?.crash();
    await until(() => expect(network.sockets).toHaveLength(2));
    await is(false, key);
  });

  test("does not send again what another tab is still sending", async () => {
    const [, second] = await openTwo();
    network.answer = () => new Promise(() => undefined);
    void second.mutate("POST", "/api/messages/", { chat: "1", text: "hi" });
    const [key] = Object.keys(second.state.mutations);
    await vi.waitFor(async () => expect((await storage.read())?.records.has(`m:${key}`)).toBe(true));
    const third = openTab();
    third.follow(CHATS);
    await hasSub(CHATS, 2);
    expect(third.state.mutations).toEqual({});
    expect(network.requests).toHaveLength(1);
  });
});

describe("two people", () => {
  test("in two tabs have two sockets", async () => {
    await openTwo();
    const other = openTab({ pageData: { ...page({}), user: BEA } });
    network.user = "u2";
    other.follow(CHATS);
    await until(() => expect(network.sockets).toHaveLength(2));
    network.last.welcome();
    await hasSub(CHATS);
    expect(idsOf(other, CHATS)).toEqual([]);
  });

  test("a sign-out in one tab reaches the others", async () => {
    const [first, second] = await openTwo();
    network.answer = () => json(200, { user: null, csrf: "csrf-2" });
    network.user = null;
    first.setSession(null, "csrf-2");
    await until(() => expect(second.state.user).toBeNull());
    expect(idsOf(second, MESSAGES)).toEqual([]);
    await until(async () => expect([...((await storage.read())?.records.keys() ?? [])]).toEqual(["user"]));
  });

  test.each([
    ["and keeps what they write", "2 "],
    ["and goes on with what another tab has kept since", "2 u1"],
  ])("after a sign-out in another tab the same person may come back, %s", async (_what, owner) => {
    const [first, second] = await openTwo();
    network.answer = () => json(200, { user: null, csrf: "csrf-2" });
    network.user = null;
    first.setSession(null, "csrf-2");
    await until(() => expect(second.state).toMatchObject({ user: null, expired: null }));
    const { user } = page({});
    await storage.claim(owner, new Map([["user", JSON.stringify(owner === "2 " ? null : user)]]));
    network.user = "u1";
    network.answer = () => new Promise(() => undefined);
    second.setSession(user, "csrf-3");
    void second.mutate("POST", "/api/messages/", { chat: "1", text: "hi" });
    const [key] = Object.keys(second.state.mutations);
    await vi.waitFor(async () => expect((await storage.read())?.records.has(`m:${key}`)).toBe(true));
    const snap = { t: "snap", view: 3, position: 30, ...WINDOW, document: listOf([row("c", 3)]) };
    await until(() => expect(network.sockets).toHaveLength(3));
    network.last.welcome(30);
    await hasSub(MESSAGES);
    network.last.receive({ ...snap, sub: subs(MESSAGES)[0]?.id });
    await vi.waitFor(async () => expect((await storage.read())?.records.has(`d:${MESSAGES}`)).toBe(true), {
      timeout: 3_000,
    });
  });

  test("a session that the backend ends is ended in all", async () => {
    const [first, second] = await openTwo();
    network.answer = () => json(200, { user: BEA, csrf: "csrf-2" });
    network.user = "u2";
    network.last.cut(4401);
    await until(() => expect([first, second].map((tab) => tab.state.user?.id)).toEqual(["u2", "u2"]));
    expect([idsOf(first, CHATS), idsOf(second, MESSAGES)]).toEqual([[], []]);
  });
});

test("without Web Locks or BroadcastChannel each tab has its own socket", async () => {
  for (let i = 1; i <= 2; i++) {
    openTab({ tabs: null }).follow(CHATS);
    await until(() => expect(network.sockets).toHaveLength(i));
  }
});
