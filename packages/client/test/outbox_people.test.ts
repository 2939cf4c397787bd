// Writes that wait while a session ends, or somebody else signs in.
import { beforeEach, describe, expect, test, vi } from "vitest";
import { MemoryStorage } from "../src/offline/storage";
import { json, page } from "./fake";
import {
  ANN,
  BEA,
  client,
  comeBack,
  done,
  kept,
  live,
  MESSAGES,
  network,
  refuse,
  say,
  sent,
  settle,
  start,
  statuses,
  storage,
  texts,
  unreachable,
  useStorage,
} from "./outbox_stage";

describe("a session that ends without a sign-out", () => {
  const nobody = (_method: string, url: string) =>
    url === "/api/auth/me/" ? json(200, { user: null, csrf: "csrf-0" }) : refuse(401, "unauthorized");

  async function expire(): Promise<void> {
    network.last.cut();
    await say("one");
    network.answer = nobody;
    network.user = null;
    network.last.cut();
    await vi.advanceTimersByTimeAsync(600);
    network.last.welcome();
    await vi.advanceTimersByTimeAsync(50);
  }
  const signIn = (user: typeof ANN) => {
    network.user = user?.id ?? null;
    network.answer = done;
    client.setSession(user, "csrf-9");
    return vi.advanceTimersByTimeAsync(50);
  };

  test("shows nothing more of the person, and keeps what they wrote", async () => {
    await expire();
    expect(client.state).toMatchObject({
      user: null,
      mutations: {},
      expired: { user: { id: "u1" }, writes: 1 },
    });
    expect(client.state.documents[MESSAGES]?.ids).toEqual([]);
    const keys = [...((await storage.read())?.records.keys() ?? [])];
    expect(keys.map((key) => key.slice(0, 2)).sort()).toEqual(["m:", "us"]);
  });

  test("the same person signs in again: it goes out", async () => {
    await expire();
    await signIn(ANN);
    expect(client.state.expired).toBeNull();
    expect(texts().at(-1)).toBe("one");
    expect(sent().at(-1)?.headers["X-CSRF-Token"]).toBe("csrf-9");
  });

  test("what was refused as nobody is asked for again, as whoever signs in", async () => {
    await expire();
    network.last.welcome();
    const refused = { status: 401, code: "unauthorized", message: "" };
    for (const { id } of network.last.of("sub")) network.last.receive({ t: "error", sub: id, ...refused });
    expect(client.state.documents[MESSAGES]?.status).toBe("error");
    await signIn(ANN);
    network.last.welcome();
    expect(network.last.of("sub")).toMatchObject([{ url: MESSAGES }]);
  });

  test("a page that names the person again, after a sign-in elsewhere, is followed as theirs", async () => {
    await expire();
    const before = network.sockets.length;
    network.user = "u1";
    network.answer = done;
    client.takePage(page({}));
    await vi.advanceTimersByTimeAsync(50);
    expect(client.state).toMatchObject({ user: ANN, expired: null, page: { path: "/chat/1" } });
    expect(network.sockets).toHaveLength(before + 1);
    network.last.welcome();
    expect(network.last.of("sub")).toMatchObject([{ url: MESSAGES }]);
    expect(statuses()).toEqual(["confirmed"]);
  });

  test("somebody else signs in: it is gone", async () => {
    await expire();
    const before = sent().length;
    await signIn(BEA);
    expect(client.state).toMatchObject({ expired: null, mutations: {} });
    expect(await kept()).toEqual([]);
    await vi.advanceTimersByTimeAsync(100_000);
    expect(sent()).toHaveLength(before);
  });

  test.each([
    ["cannot be asked who it is", unreachable],
    ["says that it is nobody", nobody],
  ])("ends once more, and the backend %s: what they wrote waits on", async (_name, answer) => {
    await expire();
    network.answer = answer;
    network.last.cut(4401);
    await settle();
    expect(client.state).toMatchObject({ user: null, expired: { user: ANN, writes: 1 } });
    expect(await kept()).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(3_000);
    await signIn(ANN);
    expect(statuses()).toEqual(["confirmed"]);
  });

  test("is asked for again in no hurry while the socket is theirs and nobody says who that is", async () => {
    await expire();
    network.answer = unreachable;
    network.user = "u1";
    const before = network.sockets.length;
    network.last.welcome();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(network.sockets).toHaveLength(before);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(network.sockets).toHaveLength(before + 1);
    network.answer = (method, url, body) =>
      url === "/api/auth/me/" ? json(200, { user: ANN }) : done(method, url, body);
    network.last.welcome();
    await vi.advanceTimersByTimeAsync(50);
    expect(client.state).toMatchObject({ user: ANN, expired: null });
    expect(statuses()).toEqual(["confirmed"]);
  });

  test("a sign-out in another tab afterwards is heard of when it is asked who is here", async () => {
    await expire();
    const before = sent().length;
    await storage.claim("2 ");
    network.last.cut(4401);
    await settle();
    expect(client.state).toMatchObject({ user: null, expired: null });
    await signIn(ANN);
    expect(sent()).toHaveLength(before);
    expect(client.state.mutations).toEqual({});
  });

  test("a sign-out afterwards wipes it", async () => {
    await expire();
    client.setSession(null, "csrf-0");
    await settle();
    expect(client.state.expired).toBeNull();
    expect(await kept()).toEqual([]);
  });

  test("is known at the next start, whose page is nobody's; the page after signing in sends it", async () => {
    await expire();
    client.close();
    await start({ pageData: { ...page({}), user: null } });
    await vi.advanceTimersByTimeAsync(50);
    expect(client.state.expired).toMatchObject({ user: { id: "u1" }, writes: 1 });
    client.close();
    network.user = "u1";
    network.answer = done;
    await start();
    live();
    await vi.advanceTimersByTimeAsync(50);
    expect(client.state.expired).toBeNull();
    expect(texts().at(-1)).toBe("one");
  });

  test("a write that is refused for it asks who is here, and waits", async () => {
    network.answer = nobody;
    expect(await say("one")).toMatchObject({ ok: false, queued: true });
    await settle();
    expect(client.state).toMatchObject({ user: null, expired: { writes: 1 } });
  });

  test("after a sign-out in another tab nobody is asked to sign in again", async () => {
    await storage.claim("2 ");
    await expire();
    expect(client.state).toMatchObject({ user: null, expired: null });
  });
});

describe("another cookie than that of the person who is shown", () => {
  const cookie = (csrf: string) => {
    vi.stubGlobal("document", { cookie: `csrf=${csrf}`, visibilityState: "visible" });
  };
  let who: { user: typeof ANN; csrf: string } | null;
  const asked = () => network.requests.filter(({ url }) => url === "/api/auth/me/");
  const answer = (method: string, url: string, body: unknown) => {
    if (!who) return unreachable();
    return url === "/api/auth/me/" ? json(200, who) : done(method, url, body);
  };

  beforeEach(async () => {
    client.close();
    useStorage(new MemoryStorage());
    cookie("of ann");
    who = { user: ANN, csrf: "masked" };
    await start();
    live();
    network.answer = answer;
    network.requests.length = 0;
  });
  /** A write waits, and this tab hears of nothing. */
  const wait = async () => {
    who = null;
    await say("ann's");
    network.requests.length = 0;
  };

  test("that is somebody else's: a write that waits does not leave in their name", async () => {
    await wait();
    cookie("of bea");
    who = { user: BEA, csrf: "masked" };
    await vi.advanceTimersByTimeAsync(100_000);
    expect(sent()).toEqual([]);
    expect(client.state).toMatchObject({ user: BEA, mutations: {} });
  });

  test("and nobody can be asked: it waits on", async () => {
    await wait();
    cookie("of bea");
    await vi.advanceTimersByTimeAsync(100_000);
    expect(asked().length).toBeGreaterThan(1);
    expect(sent()).toEqual([]);
    expect(statuses()).toEqual(["waiting"]);
  });

  test("while several leave: the rest waits for the answer who is here", async () => {
    await wait();
    const two = say("two");
    network.answer = (method, url, body) => {
      cookie("of bea"); // right after the first has left
      return url === "/api/auth/me/" ? json(200, { user: BEA }) : done(method, url, body);
    };
    await vi.advanceTimersByTimeAsync(100_000);
    expect(texts()).toEqual(["ann's"]);
    expect(await two).toMatchObject({ ok: false });
  });

  test("that is theirs after all, after another sign-in: it leaves, and the next one at once", async () => {
    await wait();
    cookie("of ann, later");
    who = { user: ANN, csrf: "masked" };
    await vi.advanceTimersByTimeAsync(10_000);
    expect(texts()).toEqual(["ann's"]);
    expect(sent()[0]?.headers["X-CSRF-Token"]).toBe("of ann, later");
    await say("two");
    expect(texts()).toEqual(["ann's", "two"]);
    expect(asked()).toHaveLength(1);
  });

  test("a backend that sets another one with each answer stops nothing", async () => {
    let count = 0;
    network.answer = (method, url, body) => {
      cookie(`number ${++count}`);
      return answer(method, url, body);
    };
    for (const text of ["one", "two", "three"]) expect(await say(text)).toMatchObject({ ok: true });
    expect(texts()).toEqual(["one", "two", "three"]);
  });

  test.each([
    ["a first load", async () => undefined],
    [
      "a page of a shell",
      async () => {
        client.close();
        await start({ pageData: null });
        cookie("by the page");
        client.takePage(page({}));
      },
    ],
    [
      "a sign-in",
      async () => {
        client.setSession(null);
        cookie("of bea");
        client.setSession(BEA);
      },
    ],
    ["a drop", comeBack],
  ])("after %s nobody is asked", async (_name, work) => {
    await work();
    network.requests.length = 0;
    expect(await say("one")).toMatchObject({ ok: true });
    expect(network.requests.map(({ url }) => url)).toEqual(["/api/messages/"]);
  });

  test("what a cache tells of the person is asked about before the first write", async () => {
    await wait();
    await client.save();
    client.close();
    who = { user: BEA, csrf: "masked" };
    await start({ pageData: null });
    await vi.advanceTimersByTimeAsync(100_000);
    expect(sent()).toEqual([]);
  });
});
