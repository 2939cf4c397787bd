import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Client, createClient } from "../src/client";
import * as offline from "../src/offline/index";
import { MemoryStorage } from "../src/offline/storage";
import { viewDocument } from "../src/view";
import { EPOCH, FakeNetwork, json, listOf, page, row } from "./fake";

const URL = "/api/messages/?chat=1";
const WINDOW = { order: "-n,id", limit: 50, end: true, detail: false };

let network: FakeNetwork;
let client: Client;

function start(options: Parameters<typeof createClient>[0] = {}) {
  network.user = options.pageData?.user?.id ?? null;
  client = createClient({
    fetch: network.fetch,
    socket: network.socket,
    random: () => 0.5,
    offline: async () => offline,
    ...options,
  });
  return client;
}
const idsOf = (url = URL) => client.state.documents[url]?.ids;
const view = (url = URL) => viewDocument(client.state.documents[url], client.state.mutations);
const subOf = (index = -1) => network.last.of("sub").at(index)?.id as number;

beforeEach(() => {
  vi.useFakeTimers();
  network = new FakeNetwork();
});
afterEach(() => {
  client.close();
  vi.useRealTimers();
});

/** A client whose list [b, a] is live at position 10. */
function startLive(rows = [row("b", 2), row("a", 1)], end = true) {
  start();
  client.follow(URL);
  network.last.welcome();
  network.last.receive({
    t: "snap",
    sub: subOf(),
    view: 7,
    position: 10,
    ...WINDOW,
    end,
    document: listOf(rows),
  });
}

describe("following a URL", () => {
  test("says hello, subscribes and takes the snap", () => {
    startLive();
    expect(network.last.sent.map((frame) => frame.t)).toEqual(["hello", "sub"]);
    expect(network.last.of("sub")[0]).toEqual({ t: "sub", id: 1, url: URL });
    expect(client.state.documents[URL]).toMatchObject({
      status: "live",
      ids: ["b", "a"],
      position: 10,
      order: "-n,id",
    });
  });

  test("with the page's data makes no API call and continues from the page's position", async () => {
    start({ pageData: page({ [URL]: listOf([row("b", 2), row("a", 1)]) }) });
    expect(client.state.documents[URL]).toMatchObject({ status: "stale", ids: ["b", "a"] });
    client.follow(URL);
    network.last.welcome(12);
    expect(network.last.of("sub")[0]).toEqual({ t: "sub", id: 1, url: URL, from: `${EPOCH}-10`, limit: 2 });
    const ops = [{ view: 7, op: "put", id: "c", row: row("c", 3) }];
    network.last.receive({ t: "resumed", sub: 1, view: 7, position: 12, ...WINDOW, ops });
    expect(client.state.documents[URL]).toMatchObject({ status: "live", ids: ["c", "b", "a"], position: 12 });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(network.requests).toEqual([]);
  });

  test("dispatches once for a whole tx", () => {
    startLive();
    client.follow("/api/chats/");
    network.last.receive({ t: "snap", sub: 2, view: 8, position: 10, ...WINDOW, document: listOf([]) });
    let steps = 0;
    client.store.subscribe(() => steps++);
    network.last.receive({
      t: "tx",
      position: 11,
      ops: [
        { view: 7, op: "put", id: "c", row: row("c", 3) },
        { view: 8, op: "put", id: "k", row: row("k", 1) },
        { sub: 1, op: "del", id: "a" },
        { sub: 99, op: "del", id: "b" },
        { view: 99, op: "del", id: "b" },
      ],
    });
    expect(steps).toBe(1);
    expect(idsOf()).toEqual(["c", "b"]);
    expect(idsOf("/api/chats/")).toEqual(["k"]);
  });

  test("shares one subscription between components and ends it a while after the last has gone", async () => {
    startLive();
    const leaveA = client.follow(URL);
    const leaveB = client.follow(URL);
    expect(network.last.of("sub")).toHaveLength(1);
    leaveA();
    leaveB();
    leaveB();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(network.last.of("unsub")).toHaveLength(0); // the first follower is still there
  });

  test("keeps what was just left, though it is the longest untouched of those that are kept", async () => {
    startLive();
    const visit = (url: string) => client.follow(url)();
    visit("/api/x/0/");
    await vi.advanceTimersByTimeAsync(6_000);
    for (let i = 1; i < 100; i++) visit(`/api/x/${i}/`);
    await vi.advanceTimersByTimeAsync(6_000);
    const leave = client.follow("/api/x/0/");
    const facts = { sub: subOf(), view: 8, position: 10, ...WINDOW };
    network.last.receive({ t: "snap", ...facts, document: listOf([row("k", 1)]) });
    visit("/api/x/new/");
    await vi.advanceTimersByTimeAsync(3_000);
    leave();
    await vi.advanceTimersByTimeAsync(3_000);
    client.follow("/api/x/0/");
    expect(client.state.documents["/api/x/0/"]).toMatchObject({ status: "live", ids: ["k"] });
  });

  test("ends the subscription of a list that nobody shows, keeps its rows, and resumes it later", async () => {
    start();
    const leave = client.follow(URL);
    network.last.welcome();
    network.last.receive({
      t: "snap",
      sub: 1,
      view: 7,
      position: 10,
      ...WINDOW,
      document: listOf([row("a", 1)]),
    });
    leave();
    await vi.advanceTimersByTimeAsync(6_000);
    expect(network.last.of("unsub")).toEqual([{ t: "unsub", sub: 1 }]);
    expect(client.state.documents[URL]).toMatchObject({ status: "stale", ids: ["a"] });
    client.follow(URL);
    expect(network.last.of("sub").at(-1)).toEqual({
      t: "sub",
      id: 2,
      url: URL,
      from: `${EPOCH}-10`,
      limit: 1,
    });
  });

  test("reads by REST when the socket does not come", async () => {
    network.answer = () => json(200, listOf([row("a", 1)]));
    start();
    client.follow(URL);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(network.requests.map((request) => request.url)).toEqual([URL]);
    expect(client.state.documents[URL]).toMatchObject({ status: "stale", ids: ["a"] });
  });

  test("takes no answer by REST that is older than what the socket has told", async () => {
    startLive();
    network.last.receive({ t: "tx", position: 17, ops: [{ view: 7, op: "put", id: "c", row: row("c", 3) }] });
    network.last.cut();
    network.answer = () => json(200, { ...listOf([row("a", 1)]), position: `${EPOCH}-16` });
    await client.read(URL);
    expect(client.state.documents[URL]).toMatchObject({
      status: "stale",
      ids: ["c", "b", "a"],
      position: 17,
    });
    network.answer = () => json(200, { ...listOf([row("a", 1)]), position: `${EPOCH}-18` });
    await client.read(URL);
    expect(client.state.documents[URL]).toMatchObject({ ids: ["a"], position: 18 });
  });

  test("surfaces a refusal", () => {
    start();
    client.follow("/api/nothing/");
    network.last.welcome();
    network.last.receive({ t: "error", sub: 1, status: 404, code: "not_found", message: "No." });
    expect(client.state.documents["/api/nothing/"]).toMatchObject({
      status: "error",
      problem: { status: 404, code: "not_found" },
    });
  });
});

describe("after a drop", () => {
  test("comes back with jitter and resumes from the highest position of the socket", async () => {
    startLive();
    network.last.receive({ t: "tx", position: 17, ops: [] });
    network.last.receive({ t: "pong", position: 20 });
    network.last.cut();
    expect(client.state.documents[URL]?.status).toBe("stale");
    expect(client.state.connection.status).toBe("waiting");
    await vi.advanceTimersByTimeAsync(249);
    expect(network.sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2);
    expect(network.sockets).toHaveLength(2);
    network.last.welcome(25);
    expect(network.last.of("sub")).toEqual([{ t: "sub", id: 1, url: URL, from: `${EPOCH}-20`, limit: 2 }]);
    const ops = [{ sub: 1, op: "del", id: "b" }];
    network.last.receive({ t: "resumed", sub: 1, view: 3, position: 25, ...WINDOW, ops });
    expect(client.state.documents[URL]).toMatchObject({ status: "live", ids: ["a"], position: 25 });
  });

  test("replaces what it held when the backend starts it again", async () => {
    startLive();
    network.last.cut();
    await vi.advanceTimersByTimeAsync(300);
    network.last.welcome(3, "ffffffffffffffff");
    network.last.receive({ t: "reset", sub: subOf(), reason: "epoch" });
    network.last.receive({
      t: "snap",
      sub: subOf(),
      view: 1,
      position: 3,
      ...WINDOW,
      document: { rows: [row("z", 9)] },
    });
    expect(client.state.documents[URL]).toMatchObject({ ids: ["z"], epoch: "ffffffffffffffff", position: 3 });
  });

  test("waits as long as a draining server asks", async () => {
    startLive();
    network.last.receive({ t: "bye", reason: "draining", retry_ms: 4000 });
    network.last.cut(1001);
    await vi.advanceTimersByTimeAsync(3_900);
    expect(network.sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(network.sockets).toHaveLength(2);
  });

  test.each(["opens", "greets"])("gives a peer up that never %s, and tries again", async (never) => {
    start();
    client.follow(URL);
    if (never === "greets") network.last.open();
    await vi.advanceTimersByTimeAsync(9_900);
    expect(network.sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(network.sockets[0]?.closedWith).toBe(4408);
    expect(network.sockets).toHaveLength(2);
  });

  test("finds a dead peer by its silence", async () => {
    startLive();
    await vi.advanceTimersByTimeAsync(15_000);
    expect(network.last.of("ping")).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(network.sockets[0]?.closedWith).toBe(4408);
    expect(client.state.connection.status).toBe("waiting");
  });

  test("keeps a peer that answers", async () => {
    startLive();
    for (let i = 0; i < 5; i++) {
      await vi.advanceTimersByTimeAsync(15_000);
      network.last.receive({ t: "pong", position: 10 });
    }
    expect(network.sockets).toHaveLength(1);
    expect(network.last.closedWith).toBeUndefined();
  });

  test("drops a connection that talks nonsense and comes back", async () => {
    startLive();
    network.last.receive("{nonsense");
    expect(network.sockets[0]?.closedWith).toBe(4400);
    await vi.advanceTimersByTimeAsync(300);
    expect(network.sockets).toHaveLength(2);
  });

  test("does not come back where its protocol is not spoken", async () => {
    startLive();
    network.last.cut(4400);
    await vi.advanceTimersByTimeAsync(100_000);
    expect(network.sockets).toHaveLength(1);
    expect(client.state.connection.status).toBe("ended");
  });

  test.each([
    ["the backend says so", () => json(200, { user: null, csrf: "csrf-2" })],
    [
      "the backend cannot be asked",
      () => {
        throw new TypeError("offline");
      },
    ],
  ])("shows nothing of the former user when the session has ended and %s", async (_name, answer) => {
    network.answer = answer;
    start({ pageData: page({ [URL]: listOf([row("a", 1)]) }) });
    client.follow(URL);
    network.last.welcome();
    network.last.cut(4401);
    await vi.advanceTimersByTimeAsync(10);
    expect(network.requests[0]?.url).toBe("/api/auth/me/");
    expect(client.state.user).toBeNull();
    expect(idsOf()).toEqual([]);
    expect(network.sockets).toHaveLength(2); // as nobody
    network.user = null;
    network.last.welcome();
    network.last.cut(4401);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(network.sockets).toHaveLength(2); // not in a hurry
    await vi.advanceTimersByTimeAsync(2_000);
    expect(network.sockets).toHaveLength(3);
  });

  test("goes on as the one who is signed in now", async () => {
    const bea = { id: "u2", username: "bea", display_name: "Bea", avatar: "", staff: false };
    network.answer = () => json(200, { user: bea, csrf: "csrf-2" });
    start({ pageData: page({ [URL]: listOf([row("a", 1)]) }) });
    client.follow(URL);
    network.last.welcome();
    network.last.cut(4401);
    await vi.advanceTimersByTimeAsync(10);
    expect(client.state).toMatchObject({ user: { id: "u2" }, csrf: "csrf-2" });
    expect(idsOf()).toEqual([]);
  });
});

describe("older rows", () => {
  test("come by the socket, which makes them live", async () => {
    startLive([row("b", 2), row("a", 1)], false);
    expect(view().hasMore).toBe(true);
    const done = client.loadMore(URL);
    expect(network.last.of("more")).toEqual([{ t: "more", sub: 1, limit: 52 }]);
    network.last.receive({
      t: "window",
      sub: 1,
      view: 9,
      position: 11,
      limit: 52,
      end: true,
      ops: [{ view: 9, op: "put", id: "z", row: row("z", 0) }],
    });
    await done;
    expect(idsOf()).toEqual(["b", "a", "z"]);
    expect(view().hasMore).toBe(false);
  });

  test("come by REST while the socket is away, past pages that are held already", async () => {
    start({ pageData: page({ [URL]: listOf([row("c", 3), row("b", 2)], `${URL}&cursor=1`) }) });
    network.answer = (_method, url) =>
      url.endsWith("cursor=1")
        ? json(200, listOf([row("b", 2)], `${URL}&cursor=2`))
        : json(200, listOf([row("a", 1)]));
    await client.loadMore(URL);
    expect(network.requests).toHaveLength(2);
    expect(idsOf()).toEqual(["c", "b", "a"]);
    expect(view().hasMore).toBe(false);
    await client.loadMore(URL);
    expect(network.requests).toHaveLength(2);
  });

  test("end where the largest window ends", async () => {
    startLive(
      Array.from({ length: 1000 }, (_, i) => row(`r${i}`, 1000 - i)),
      false,
    );
    expect(view().hasMore).toBe(true); // a window of 50 holds the first 50 of them
    network.last.receive({
      t: "snap",
      sub: 1,
      view: 7,
      position: 11,
      ...WINDOW,
      limit: 1000,
      end: false,
      document: listOf(Array.from({ length: 1000 }, (_, i) => row(`r${i}`, 1000 - i))),
    });
    expect(view().hasMore).toBe(false);
    await client.loadMore(URL);
    expect(network.last.of("more")).toEqual([]);
  });

  test("that the backend refuses are a failure, so that a list does not ask for them in a loop", async () => {
    startLive([row("a", 1)], false);
    const told = vi.fn();
    const ask = () => client.loadMore(URL).then(told, (error: Error) => told(error.message));
    void ask();
    network.last.receive({ t: "error", status: 404, code: "not_found", message: "There is nothing." });
    await vi.advanceTimersByTimeAsync(0);
    expect(told.mock.calls).toEqual([["not_found"]]);
    expect(network.requests).toEqual([]);
    void ask();
    expect(network.last.of("more")).toHaveLength(2);
    network.last.receive({ t: "window", sub: 1, view: 7, position: 10, limit: 51, end: true, ops: [] });
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toHaveBeenLastCalledWith(undefined);
  });

  test("are asked for once however often the list asks", async () => {
    startLive([row("a", 1)], false);
    void client.loadMore(URL);
    void client.loadMore(URL);
    expect(network.last.of("more")).toHaveLength(1);
    network.last.receive({ t: "window", sub: 1, view: 7, position: 10, limit: 51, end: true, ops: [] });
  });
});

describe("a write", () => {
  const create = (answer: FakeNetwork["answer"]) => {
    network.answer = answer;
    return client.mutate(
      "POST",
      "/api/messages/",
      { chat: "1", text: "hi" },
      { optimistic: { sender: "u1" } },
    );
  };

  test("is shown at once, confirmed by its answer, and replaced by the stream", async () => {
    startLive();
    let answer: (response: Response) => void = () => undefined;
    const done = create(() => new Promise((resolve) => (answer = resolve)));
    const shown = view().rows[0];
    expect(shown).toMatchObject({ chat: "1", text: "hi", sender: "u1" });
    const id = shown?.id ?? "";
    expect(view().pending[id]).toMatchObject({ status: "sending", kind: "create" });
    await vi.advanceTimersByTimeAsync(0);
    expect(network.requests[0]).toMatchObject({ method: "POST", body: { id, chat: "1", text: "hi" } });
    expect(network.requests[0]?.headers["Idempotency-Key"]).toMatch(/^[0-9a-f-]{36}$/);
    answer(json(201, { id, n: 9, chat: "1", text: "hi" }, { "Tims-Position": `${EPOCH}-11` }));
    expect(await done).toMatchObject({ ok: true, position: `${EPOCH}-11` });
    expect(view().pending[id]?.status).toBe("confirmed");
    expect(view().rows.map((shownRow) => shownRow.id)).toEqual([id, "b", "a"]);
    network.last.receive({ t: "tx", position: 11, ops: [{ view: 7, op: "put", id, row: row(id, 9) }] });
    expect(idsOf()).toEqual([id, "b", "a"]);
    expect(client.state.mutations).toEqual({});
  });

  test("is shown once when the stream is faster than the answer", async () => {
    startLive();
    let answer: (response: Response) => void = () => undefined;
    const done = create(() => new Promise((resolve) => (answer = resolve)));
    const id = view().rows[0]?.id ?? "";
    await vi.advanceTimersByTimeAsync(0);
    network.last.receive({ t: "tx", position: 11, ops: [{ view: 7, op: "put", id, row: row(id, 9) }] });
    expect(view().rows.map((shownRow) => shownRow.id)).toEqual([id, "b", "a"]);
    expect(view().pending).toEqual({});
    answer(json(201, { id, n: 9 }, { "Tims-Position": `${EPOCH}-11` }));
    await done;
    expect(client.state.mutations).toEqual({});
  });

  test("that does not belong here after all goes when the stream has passed it", async () => {
    startLive();
    await create((_method, _url, body) => json(201, body, { "Tims-Position": `${EPOCH}-11` }));
    expect(view().rows).toHaveLength(3);
    network.last.receive({ t: "pong", position: 11 });
    expect(view().rows).toHaveLength(2);
  });

  test("that is refused keeps its draft and says why; discarding it removes it", async () => {
    startLive();
    const result = await create(() =>
      json(422, {
        code: "invalid",
        title: "No",
        detail: "Too long",
        errors: [{ pointer: "/text", code: "max_length", message: "Too long." }],
      }),
    );
    expect(result).toMatchObject({ ok: false, draft: { text: "hi" }, problem: { status: 422 } });
    const failed = Object.values(view().pending)[0];
    expect(failed).toMatchObject({
      status: "failed",
      body: { text: "hi" },
      problem: { errors: [{ pointer: "/text" }] },
    });
    expect(await client.discard(result.key)).toBe(true);
    expect(view().rows.map((shownRow) => shownRow.id)).toEqual(["b", "a"]);
  });

  test("that did not arrive is sent again under the same key when the connection is back", async () => {
    startLive();
    await create(() => {
      throw new TypeError("offline");
    });
    expect(Object.values(view().pending)[0]).toMatchObject({
      status: "waiting",
      problem: { status: 0, code: "unreachable" },
    });
    network.answer = (_method, _url, body) => json(201, body, { "Tims-Position": `${EPOCH}-30` });
    network.last.cut();
    await vi.advanceTimersByTimeAsync(300);
    network.last.welcome(20);
    await vi.advanceTimersByTimeAsync(0);
    expect(network.requests).toHaveLength(2);
    expect(network.requests[1]?.headers["Idempotency-Key"]).toBe(
      network.requests[0]?.headers["Idempotency-Key"],
    );
    expect(Object.values(view().pending)[0]?.status).toBe("confirmed");
  });

  test("to a row is laid over it and taken back when refused", async () => {
    const id = "01890000-0000-7000-8000-000000000001";
    startLive([row(id, 1, { read: false })]);
    let answer: (response: Response) => void = () => undefined;
    network.answer = () => new Promise((resolve) => (answer = resolve));
    const done = client.mutate("PATCH", `/api/messages/${id}/`, { read: true });
    expect(view().rows[0]).toMatchObject({ n: 1, read: true });
    await vi.advanceTimersByTimeAsync(0);
    answer(json(403, { code: "forbidden", title: "No" }));
    expect((await done).ok).toBe(false);
    expect(view().rows[0]).toMatchObject({ read: false });
  });

  test("that deletes a row hides it at once", async () => {
    const id = "01890000-0000-7000-8000-000000000001";
    startLive([row(id, 1)]);
    network.answer = () => new Response(null, { status: 204, headers: { "Tims-Position": `${EPOCH}-11` } });
    const done = client.mutate("DELETE", `/api/messages/${id}/`);
    expect(view().rows).toEqual([]);
    expect((await done).ok).toBe(true);
    expect(view().rows).toEqual([]);
    expect(network.requests[0]?.body).toBeUndefined();
  });

  test("takes the CSRF token of the cookie before the one it was told, and none of a foreign page", async () => {
    start({ pageData: page({}) });
    network.answer = () => json(200, {});
    const sent = async () => {
      await client.mutate("POST", "/api/x/", {});
      return network.requests.at(-1)?.headers["X-CSRF-Token"];
    };
    vi.stubGlobal("document", { cookie: "xcsrf=no; csrf=planted; __Host-csrf=secure" });
    expect(await sent()).toBe("secure");
    vi.stubGlobal("document", { cookie: "theme=dark; csrf=plain" });
    expect(await sent()).toBe("plain");
    vi.stubGlobal("document", { cookie: "xcsrf=no" });
    expect(await sent()).toBe("csrf-1");
    vi.unstubAllGlobals();
  });

  test("carries the CSRF token of the page, or the device's bearer token instead", async () => {
    start({ pageData: page({}) });
    network.answer = () => json(200, {});
    await client.mutate("POST", "/api/auth/logout", {});
    expect(network.requests[0]?.headers["X-CSRF-Token"]).toBe("csrf-1");
    client.close();
    start({
      platform: { apiBase: "https://api.example.org", token: { get: () => "tok", set: () => undefined } },
    });
    await client.mutate("POST", "/api/x/", {});
    expect(network.requests[1]).toMatchObject({ url: "https://api.example.org/api/x/" });
    expect(network.requests[1]?.headers).toMatchObject({ Authorization: "Bearer tok" });
    expect(network.requests[1]?.headers["X-CSRF-Token"]).toBeUndefined();
  });
});

describe("the API", () => {
  test("turns problem documents into typed errors", async () => {
    start();
    network.answer = () =>
      json(429, { code: "throttled", title: "Slow", detail: "Wait" }, { "Retry-After": "7" });
    await expect(client.api("GET", "/api/x/")).rejects.toMatchObject({
      status: 429,
      code: "throttled",
      problem: { retry_after_s: 7 },
    });
  });
  test("tells a late answer from no answer", async () => {
    start();
    network.answer = () => new Promise(() => undefined);
    client = createClient({
      fetch: ((_url: string, init: RequestInit) =>
        new Promise((_resolve, reject) =>
          init.signal?.addEventListener("abort", () => reject(new Error("aborted"))),
        )) as typeof fetch,
    });
    const call = expect(client.api("GET", "/x", { timeoutMs: 1000 })).rejects.toMatchObject({
      status: 0,
      code: "timeout",
    });
    await vi.advanceTimersByTimeAsync(1000);
    await call;
  });
});

describe("navigation", () => {
  test("takes another page's data without losing what is newer here", () => {
    startLive();
    network.last.receive({ t: "tx", position: 20, ops: [{ sub: 1, op: "put", id: "c", row: row("c", 3) }] });
    client.takePage({
      ...page({ [URL]: listOf([row("a", 1)]), "/api/chats/": listOf([row("k", 1)]) }),
      user: null,
    });
    expect(idsOf()).toEqual(["c", "b", "a"]);
    expect(idsOf("/api/chats/")).toEqual(["k"]);
    expect(client.state.page?.params).toEqual({ chat: "1" });
  });

  describe("to one page after another, before the first is there", () => {
    const pageOf = (chat: string) => ({ ...page({}), path: `/chat/${chat}`, params: { chat } });
    const answers = new Map<string, (answer: Response | Error) => void>();
    const answer = async (chat: string, response: Response | Error) => {
      answers.get(`/page-data?path=%2Fchat%2F${chat}`)?.(response);
      await vi.advanceTimersByTimeAsync(0);
    };
    let storage: MemoryStorage;

    beforeEach(async () => {
      storage = new MemoryStorage();
      network.answer = (_method, url) =>
        new Promise((resolve, reject) =>
          answers.set(url, (it) => (it instanceof Response ? resolve(it) : reject(it))),
        );
      start({ pageData: pageOf("0"), cache: storage, tabs: null });
      await client.restore();
    });

    test("shows the last one, however late the answer for the first comes", async () => {
      const first = client.loadPage("/chat/1");
      const second = client.loadPage("/chat/2");
      await answer("2", json(200, pageOf("2")));
      await answer("1", json(200, pageOf("1")));
      expect(client.state.page?.params).toEqual({ chat: "2" });
      expect((await Promise.all([first, second])).map((it) => it?.path)).toEqual(["/chat/2", "/chat/2"]);
    });

    test("does not show the first one in the meantime", async () => {
      const first = client.loadPage("/chat/1");
      void client.loadPage("/chat/2");
      await answer("1", json(200, pageOf("1")));
      expect((await first)?.params).toEqual({ chat: "0" });
    });

    test("refuses nobody the first one any more", async () => {
      const first = client.loadPage("/chat/1");
      const second = client.loadPage("/chat/2").catch((error: unknown) => error);
      await answer("1", json(401, { code: "unauthorized" }));
      expect((await first)?.params).toEqual({ chat: "0" });
      await answer("2", json(404, { code: "not_found" }));
      expect(await second).toMatchObject({ status: 404 });
    });

    test("shows nothing that was kept of the first one", async () => {
      const read = storage.read.bind(storage);
      let find = () => {};
      const first = client.loadPage("/chat/1");
      storage.read = () => new Promise((resolve) => (find = () => resolve(read())));
      await answer("1", new TypeError("offline")); // what was kept of it is being looked for
      const second = client.loadPage("/chat/2");
      const third = client.loadPage("/chat/3");
      await answer("3", json(200, pageOf("3")));
      find();
      await answer("2", new TypeError("offline"));
      for (const it of await Promise.all([first, second, third])) expect(it?.params).toEqual({ chat: "3" });
    });
  });
});
