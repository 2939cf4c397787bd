import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Client, createClient } from "../src/client";
import * as offline from "../src/offline/index";
import { MemoryStorage } from "../src/offline/storage";
import type { ConnectionTruth } from "../src/offline/truth";
import { EPOCH, FakeNetwork, listOf, page, row } from "./fake";

const URL = "/api/messages/?chat=1";
const WINDOW = { order: "-n,id", limit: 50, end: true, detail: false };

let network: FakeNetwork;
let client: Client;
let told: ConnectionTruth[];

const states = () => told.map(({ state }) => state);
const wait = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const follow = () => {
  const ids = network.last.of("sub").map(({ id }) => id);
  for (const sub of ids)
    network.last.receive({ t: "resumed", sub, view: 7, position: 10, ...WINDOW, ops: [] });
};
const online = (onLine: boolean) => vi.stubGlobal("navigator", { onLine });

beforeEach(async () => {
  vi.useFakeTimers();
  network = new FakeNetwork();
  network.user = "u1";
  told = [];
  client = createClient({
    pageData: page({ [URL]: listOf([row("a", 1)]) }),
    fetch: network.fetch,
    socket: network.socket,
    random: () => 0.5,
    cache: new MemoryStorage(),
    tabs: null,
    offline: async () => offline,
  });
  client.follow(URL);
  client.watchTruth((truth) => told.push(truth));
  await wait(0);
  network.last.welcome();
  follow();
  await wait(5_000);
});
afterEach(() => {
  client.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the truth about the connection", () => {
  test("is live while all is well, and a start that is quick says nothing else", () => {
    expect(states()).toEqual(["live"]);
  });

  test("a fresh page waits for its first connection as long as it takes, and tells when that has failed", async () => {
    const slow = async () => {
      const heard: string[] = [];
      const other = createClient({
        pageData: page({ [URL]: listOf([row("a", 1)]) }),
        fetch: network.fetch,
        socket: network.socket,
        random: () => 0.5,
        cache: null,
        tabs: null,
        offline: async () => offline,
      });
      other.follow(URL);
      other.watchTruth(({ state }) => heard.push(state));
      await wait(3_000);
      expect(heard).toEqual(["live"]);
      return { other, heard };
    };
    const one = await slow();
    network.last.welcome();
    await wait(3_000);
    follow();
    await wait(3_000);
    expect(one.heard).toEqual(["live"]);
    network.last.cut();
    await wait(1_000);
    expect(one.heard).toEqual(["live", "reconnecting"]);
    one.other.close();
    const two = await slow();
    network.last.cut();
    await wait(1_000);
    expect(two.heard).toEqual(["live", "reconnecting"]);
    two.other.close();
  });

  test("a blip is not told", async () => {
    network.last.cut();
    await wait(900);
    network.last.welcome();
    follow();
    await wait(5_000);
    expect(states()).toEqual(["live"]);
  });

  test("what lasts is told after a second, with when it began; its end at once", async () => {
    const began = Date.now();
    network.last.cut();
    await wait(1_000);
    expect(told.at(-1)).toEqual({ state: "reconnecting", since: began, waiting: 0 });
    await wait(20_000);
    expect(told.at(-1)?.since).toBe(began);
    client.probe();
    network.last.welcome();
    follow();
    expect(told.at(-1)).toEqual({ state: "live", since: null, waiting: 0 });
    expect(states()).toEqual(["live", "reconnecting", "live"]);
  });

  test("tells no network from no server; a socket that lives counts more than the browser's word", async () => {
    online(false);
    await wait(3_000);
    expect(states()).toEqual(["live"]);
    network.last.cut();
    await wait(1_000);
    expect(states()).toEqual(["live", "offline"]);
    online(true);
    await wait(3_000);
    network.last.cut();
    await wait(1_500);
    expect(states()).toEqual(["live", "offline", "reconnecting"]);
  });

  test("connected again, but behind for more than a second, is updating", async () => {
    network.last.cut();
    await wait(1_000);
    network.last.welcome();
    await wait(999);
    expect(states()).toEqual(["live", "reconnecting"]);
    await wait(1);
    expect(told.at(-1)).toEqual({ state: "updating", since: null, waiting: 0 });
    follow();
    expect(states()).toEqual(["live", "reconnecting", "updating", "live"]);
  });

  test("counts what waits", async () => {
    network.last.cut();
    await client.mutate("POST", "/api/messages/", { chat: "1", text: "one" });
    await client.mutate("POST", "/api/messages/", { chat: "1", text: "two" });
    await wait(1_000);
    expect(told.at(-1)).toMatchObject({ waiting: 2 });
  });

  test("is told to nobody any more who has stopped listening", async () => {
    const mine: ConnectionTruth[] = [];
    const stop = client.watchTruth((truth) => mine.push(truth));
    await wait(0);
    stop();
    network.last.cut();
    await wait(2_000);
    expect(mine.map(({ state }) => state)).toEqual(["live"]);
  });

  test("is that nobody is there, where not even this part can be loaded", async () => {
    const other = createClient({
      fetch: network.fetch,
      socket: network.socket,
      offline: () => Promise.reject(new TypeError("404")),
    });
    const heard: string[] = [];
    other.watchTruth(({ state }) => heard.push(state));
    await wait(0);
    expect(heard).toEqual(["offline"]);
    other.close();
  });

  test("is told once this part can be loaded, though it could not be at first", async () => {
    let loads = 0;
    const other = createClient({
      fetch: network.fetch,
      socket: network.socket,
      cache: null,
      tabs: null,
      offline: async () => {
        if (++loads < 3) throw new TypeError("404");
        return offline;
      },
    });
    const heard: ConnectionTruth[] = [];
    const stop = other.watchTruth((truth) => heard.push(truth));
    await wait(10_000);
    expect(loads).toBe(3);
    expect(heard.map(({ state }) => state)).toEqual(["offline", "live"]);
    stop();
    other.close();
  });

  test.each(["leaves", "closes"])("this part is not asked for any more when who listens %s", async (how) => {
    let loads = 0;
    const other = createClient({
      fetch: network.fetch,
      socket: network.socket,
      offline: () => {
        loads++;
        return Promise.reject(new TypeError("404"));
      },
    });
    const stop = other.watchTruth(() => undefined);
    await wait(0);
    if (how === "leaves") stop();
    other.close();
    await wait(60_000);
    expect(loads).toBeLessThanOrEqual(2);
  });
});

/* Of what a page brings and what was kept, at random: the newer one of the same epoch, the page's where epochs differ,
 * whichever comes first. */
describe("fresh wins over kept", () => {
  const OTHER = "ffeeddccbbaa0099";
  const cases = Array.from({ length: 40 }, (_, seed) => {
    const random = (n: number) => (((seed + 1) * 2654435761 * (n + 7)) >>> 5) % 7;
    return {
      kept: 10 + random(1),
      fresh: 10 + random(2),
      isOther: random(3) === 0,
      keptFirst: random(4) % 2 === 0,
    };
  });
  test.each(cases)(
    "kept at $kept, page at $fresh, other epoch: $isOther, kept first: $keptFirst",
    async (one) => {
      const storage = new MemoryStorage();
      const options = { fetch: network.fetch, socket: network.socket, cache: storage, tabs: null };
      const before = createClient({ ...options, offline: async () => offline, pageData: page({}, 1) });
      before.follow(URL);
      await wait(0);
      network.last.welcome(one.kept);
      const document = listOf([row(`kept-${one.kept}`, 1)]);
      network.last.receive({ t: "snap", sub: 1, view: 7, position: one.kept, ...WINDOW, document });
      await wait(600);
      before.close();
      await wait(0);
      const pageData = page({ [URL]: listOf([row(`fresh-${one.fresh}`, 1)]) }, one.fresh);
      const position = `${one.isOther ? OTHER : EPOCH}-${one.fresh}`;
      const list = { ...listOf([row(`fresh-${one.fresh}`, 1)]), position };
      const fresh = { ...pageData, position, live: { [URL]: list } };
      const after = createClient({
        ...options,
        offline: async () => offline,
        ...(one.keptFirst ? {} : { pageData: fresh }),
      });
      after.follow(URL);
      await wait(10);
      if (one.keptFirst) after.takePage(fresh);
      const wins = !one.isOther && one.kept > one.fresh ? `kept-${one.kept}` : `fresh-${one.fresh}`;
      const same = !one.isOther && one.kept === one.fresh;
      const expected = same ? [[`kept-${one.kept}`], [`fresh-${one.fresh}`]] : [[wins]];
      expect(expected).toContainEqual(after.state.documents[URL]?.ids);
      expect(after.state.page?.asOf).toBeNull();
      after.close();
    },
  );
});
