import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Client, createClient } from "../src/client";
import * as offline from "../src/offline/index";
import { MemoryStorage } from "../src/offline/storage";
import type { Mutation } from "../src/types";
import { EPOCH, FakeNetwork, json, listOf, page, row } from "./fake";

const URL = "/api/messages/?chat=1";
const ID = "01890000-0000-7000-8000-000000000001";
const WINDOW = { order: "-n,id", limit: 50, end: true, detail: false };
const ANN = page({}).user;
const BEA = { id: "u2", username: "bea", display_name: "Bea", avatar: "", staff: false };

let network: FakeNetwork;
let storage: MemoryStorage;
let client: Client;

const settle = () => vi.advanceTimersByTimeAsync(0);
const unreachable = () => {
  throw new TypeError("offline");
};
const done = (_method: string, _url: string, body: unknown) =>
  json(201, body ?? {}, { "Tims-Position": `${EPOCH}-30` });
const refuse = (status: number, code: string, more = {}) =>
  json(status, { code, title: code, detail: code, ...more });
const writes = () => Object.values(client.state.mutations).sort((a, b) => (a.key < b.key ? -1 : 1));
const statuses = () => writes().map(({ status }) => status);
const sent = () => network.requests.filter(({ method, url }) => method !== "GET" && url.startsWith("/api/"));
const texts = () => sent().map(({ body }) => (body as { text?: string } | undefined)?.text);
const kept = async () => {
  const records = [...((await storage.read())?.records ?? [])];
  return records
    .filter(([key]) => key.startsWith("m:"))
    .map(([, text]) => JSON.parse(text).mutation as Mutation);
};

async function start(options: Parameters<typeof createClient>[0] = {}): Promise<void> {
  client = createClient({
    pageData: page({ [URL]: listOf([row(ID, 1, { chat: "1" })]) }),
    fetch: network.fetch,
    socket: network.socket,
    random: () => 0.5,
    cache: storage,
    tabs: null,
    offline: async () => offline,
    ...options,
  });
  client.follow(URL);
  await settle();
}
function live(position = 20): void {
  network.last.welcome(position);
  const facts = { view: 7, position, ...WINDOW, ops: [] };
  for (const { id } of network.last.of("sub")) network.last.receive({ t: "resumed", sub: id, ...facts });
}
async function comeBack(): Promise<void> {
  network.last.cut();
  await vi.advanceTimersByTimeAsync(600);
  live();
  await settle();
}
const say = (text: string, more = {}) =>
  client.mutate("POST", "/api/messages/", { chat: "1", text, ...more });
const change = (id: string, text: string) => client.mutate("PATCH", `/api/messages/${id}/`, { text });

beforeEach(async () => {
  vi.useFakeTimers();
  network = new FakeNetwork();
  network.user = "u1";
  network.answer = unreachable;
  storage = new MemoryStorage();
  await start();
  live();
});
afterEach(() => {
  client.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the order", () => {
  test("is the one in which the writes were made, and one leaves after the other", async () => {
    const answers: (() => void)[] = [];
    network.answer = (method, url, body) =>
      new Promise((resolve) => answers.push(() => resolve(done(method, url, body))));
    void say("one");
    void say("two");
    void change(ID, "three");
    await settle();
    expect(texts()).toEqual(["one"]);
    expect(statuses()).toEqual(["sending", "waiting", "waiting"]);
    for (const count of [2, 3]) {
      answers.at(-1)?.();
      await settle();
      expect(sent()).toHaveLength(count);
    }
    expect(texts()).toEqual(["one", "two", "three"]);
  });

  test("who asks for another attempt of what waits takes nobody's answer away", async () => {
    const answers: (() => void)[] = [];
    network.answer = (method, url, body) =>
      new Promise((resolve) => answers.push(() => resolve(done(method, url, body))));
    void say("one");
    const two = say("two");
    await settle();
    const again = client.retry(writes()[1]?.key ?? "");
    for (let i = 0; i < 2; i++) {
      answers[i]?.();
      await settle();
    }
    expect(await Promise.all([two, again])).toMatchObject([{ ok: true }, { ok: true }]);
    expect(texts()).toEqual(["one", "two"]);
  });

  test("is kept while nobody answers: the first is tried again, those behind it wait", async () => {
    expect(await say("one")).toMatchObject({ ok: false, queued: true });
    expect(await say("two")).toMatchObject({ ok: false, queued: true });
    expect(new Set(texts())).toEqual(new Set(["one"]));
    network.answer = done;
    await comeBack();
    expect(texts().slice(-2)).toEqual(["one", "two"]);
  });

  test("a call with an answer for its caller waits for nothing", async () => {
    await say("one");
    const before = sent().length;
    const result = await client.mutate("POST", "/api/auth/login/", { password: "x" });
    expect(result).toMatchObject({ ok: false, queued: false });
    expect(sent()).toHaveLength(before + 1);
    expect(writes()).toHaveLength(1);
  });
});

describe("what is not now", () => {
  test.each([
    [503, "unavailable"],
    [502, "http_502"],
    [504, "http_504"],
    [429, "throttled"],
    [409, "serialization"],
  ])("%i %s waits and is tried again by itself", async (status, code) => {
    network.answer = () => refuse(status, code);
    expect(await say("one")).toMatchObject({ ok: false, queued: true, problem: { status } });
    expect(writes()[0]).toMatchObject({ status: "waiting", problem: { code } });
    network.answer = done;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(statuses()).toEqual(["confirmed"]);
    expect(new Set(sent().map(({ headers }) => headers["Idempotency-Key"])).size).toBe(1);
  });

  test("Retry-After is kept to", async () => {
    network.answer = () =>
      json(429, { code: "throttled", title: "Slow", detail: "Slow" }, { "Retry-After": "20" });
    await say("one");
    network.answer = done;
    await vi.advanceTimersByTimeAsync(19_000);
    expect(sent()).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1_500);
    expect(sent()).toHaveLength(2);
  });

  test("pauses grow: a server that is down is not hammered", async () => {
    await say("one");
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    expect(sent().length).toBeLessThan(30);
    expect(statuses()).toEqual(["waiting"]);
  });

  test("without a network nothing is even tried", async () => {
    network.last.cut();
    vi.stubGlobal("navigator", { onLine: false });
    expect(await say("one")).toMatchObject({ ok: false, queued: true, problem: { code: "offline" } });
    expect(sent()).toEqual([]);
  });

  test("an old token is replaced by the one of now, once", async () => {
    let isNew = false;
    network.answer = (method, url, body) => {
      if (url === "/api/auth/me/") {
        isNew = true;
        return json(200, { user: ANN, csrf: "csrf-2" });
      }
      return isNew ? done(method, url, body) : refuse(403, "csrf_wrong");
    };
    expect((await say("one")).ok).toBe(true);
    expect(sent().map(({ headers }) => headers["X-CSRF-Token"])).toEqual(["csrf-1", "csrf-2"]);
    expect(network.requests.filter(({ url }) => url === "/api/auth/me/")).toHaveLength(1);
  });
});

describe("the policy", () => {
  test("onlineOnly fails at once, and only its caller has the draft", async () => {
    const result = await client.mutate(
      "POST",
      "/api/messages/",
      { chat: "1", text: "now" },
      { offline: "onlineOnly" },
    );
    expect(result).toMatchObject({
      ok: false,
      queued: false,
      problem: { status: 0 },
      draft: { text: "now" },
    });
    expect(writes()).toEqual([]);
    expect(await kept()).toEqual([]);
  });

  test("onlineOnly behind what waits fails with it", async () => {
    network.last.cut();
    vi.stubGlobal("navigator", { onLine: false });
    await say("one");
    const result = await client.mutate(
      "PATCH",
      `/api/messages/${ID}/`,
      { text: "now" },
      { offline: "onlineOnly" },
    );
    expect(result).toMatchObject({ ok: false, queued: false, problem: { code: "offline" } });
    expect(texts()).toEqual([]);
    expect(writes().map(({ body }) => body?.text)).toEqual(["one"]);
  });

  test("queueLatest: a later one takes the place of the one that waits", async () => {
    const read = (n: number) =>
      client.mutate("POST", "/api/chats/1/read/", { n }, { offline: "queueLatest" });
    const first = read(1);
    await settle();
    await read(2);
    await read(3);
    expect(await first).toMatchObject({ ok: false });
    expect(writes().map(({ body }) => body)).toEqual([{ n: 3 }]);
    network.answer = done;
    await comeBack();
    expect(sent().at(-1)?.body).toEqual({ n: 3 });
    expect(writes()).toEqual([]);
  });

  test("a call may be kept too, if it is asked for", async () => {
    await client.mutate("POST", "/api/chats/1/read/", {}, { offline: "queue" });
    expect((await kept()).map(({ url }) => url)).toEqual(["/api/chats/1/read/"]);
  });
});

describe("what waits", () => {
  test("can be changed before it is sent, and keeps its place", async () => {
    network.last.cut();
    vi.stubGlobal("navigator", { onLine: false });
    const [one] = [await say("one"), await say("two")];
    expect(await client.edit(one.key, { text: "changed" })).toBe(true);
    expect(writes()[0]).toMatchObject({ body: { text: "changed" }, row: { text: "changed" } });
    await settle();
    expect((await kept()).map(({ body }) => body?.text).sort()).toEqual(["changed", "two"]);
    vi.unstubAllGlobals();
    network.answer = done;
    await comeBack();
    expect(texts()).toEqual(["changed", "two"]);
    expect(sent()[0]?.headers["Idempotency-Key"]).toBe(one.key);
  });

  test("can be changed and asked to be sent while there is no network", async () => {
    network.last.cut();
    vi.stubGlobal("navigator", { onLine: false });
    const one = await say("one");
    const two = await say("two");
    await client.edit(one.key, { text: "changed" });
    void client.retry(one.key);
    await client.discard(two.key);
    await settle();
    vi.unstubAllGlobals();
    network.answer = done;
    await comeBack();
    expect(texts()).toEqual(["changed"]);
    expect(statuses()).toEqual(["confirmed"]);
  });

  test("and may have arrived is another write for the backend once it is changed", async () => {
    const { key } = await change(ID, "one");
    await client.edit(key, { text: "changed" });
    network.answer = done;
    await comeBack();
    const [first, last] = [sent()[0], sent().at(-1)];
    expect(last?.body).toEqual({ text: "changed" });
    expect(last?.headers["Idempotency-Key"]).not.toBe(first?.headers["Idempotency-Key"]);
  });

  test("can be called back", async () => {
    const { key } = await say("one");
    expect(await client.discard(key)).toBe(true);
    expect(writes()).toEqual([]);
    await settle();
    expect(await kept()).toEqual([]);
    network.answer = done;
    const before = sent().length;
    await comeBack();
    expect(sent()).toHaveLength(before);
  });

  test("cannot be changed or called back while it is on its way", async () => {
    network.answer = () => new Promise(() => undefined);
    void say("one");
    await settle();
    const [one] = writes();
    expect(await client.edit(one?.key ?? "", { text: "changed" })).toBe(false);
    expect(await client.discard(one?.key ?? "")).toBe(false);
    expect(writes()).toHaveLength(1);
  });

  test("and had arrived more than a day ago, so that its key is forgotten, is found by its id", async () => {
    const { key } = await say("one");
    const id = writes()[0]?.id;
    network.answer = (method) =>
      method === "GET"
        ? json(200, { id, text: "one" }, { "Tims-Position": `${EPOCH}-40` })
        : refuse(409, "unique");
    await comeBack();
    expect(client.state.mutations[key]).toMatchObject({ status: "confirmed", position: 40 });
  });

  test("so does its changed draft, which becomes a change of that row", async () => {
    const { key } = await say("one");
    const id = writes()[0]?.id;
    await client.edit(key, { text: "changed" });
    network.answer = (method, url, body) => {
      if (method === "GET") return json(200, { id, text: "one" });
      return method === "POST" ? refuse(409, "unique") : done(method, url, body);
    };
    await comeBack();
    const last = sent().at(-1);
    expect(last).toMatchObject({ method: "PATCH", url: `/api/messages/${id}/` });
    expect(last?.body).toEqual({ chat: "1", text: "changed" });
    expect(statuses()).toEqual(["confirmed"]);
  });

  test("an id that is somebody else's stays a refusal", async () => {
    await say("one");
    network.answer = (method) => (method === "GET" ? refuse(404, "not_found") : refuse(409, "unique"));
    await comeBack();
    expect(writes()[0]).toMatchObject({ status: "failed", problem: { code: "unique" } });
  });
});

describe("what is refused", () => {
  const tooLong = (method: string, url: string, body: unknown) =>
    (body as { text: string }).text === "bad" ? refuse(422, "invalid") : done(method, url, body);

  test("does not hold up what has nothing to do with it", async () => {
    network.answer = tooLong;
    expect(await say("bad")).toMatchObject({ ok: false, queued: false, problem: { status: 422 } });
    expect((await say("good")).ok).toBe(true);
  });

  test("holds what names its row, until it is changed and sent again", async () => {
    network.answer = tooLong;
    const id = "01890000-0000-7000-8000-00000000000a";
    const { key } = await say("bad", { id });
    void change(id, "changed later");
    void say("an answer", { about: id });
    await settle();
    expect(texts()).toEqual(["bad"]);
    expect(statuses()).toEqual(["failed", "waiting", "waiting"]);
    await client.edit(key, { text: "good" });
    expect((await client.retry(key))?.ok).toBe(true);
    await settle();
    expect(texts()).toEqual(["bad", "good", "changed later", "an answer"]);
  });

  test("takes with it what names its row when it is given up", async () => {
    network.answer = tooLong;
    const id = "01890000-0000-7000-8000-00000000000a";
    const { key } = await say("bad", { id });
    const later = change(id, "changed later");
    void say("something else");
    await settle();
    await client.discard(key);
    expect(await later).toMatchObject({ ok: false, queued: true, problem: { code: "held" } });
    expect(texts()).toEqual(["bad", "something else"]);
    expect(writes().every(({ status }) => status === "confirmed")).toBe(true);
  });
});

describe("files", () => {
  const form = (size = 3) => {
    const made = new FormData();
    made.set("note", 'a "note"');
    made.set("picture", new File([new Uint8Array(size).fill(7)], 'my "own".png', { type: "image/png" }));
    return made;
  };
  const bodies: Promise<string>[] = [];
  const upload = (size?: number) =>
    client.mutate("POST", "/api/pictures/", form(size) as never, { offline: "queue" });
  /** A message with a picture, whose bytes come when they are told to. */
  const sayBy = (made: FormData) => client.mutate("POST", "/api/messages/", made as never);
  function slowForm() {
    const made = form();
    let read = () => {};
    let fail = () => {};
    (made.get("picture") as File).arrayBuffer = () =>
      new Promise((resolve, reject) => {
        read = () => resolve(new ArrayBuffer(3));
        fail = () => reject(new DOMException("It has changed.", "NotReadableError"));
      });
    return { made, read: () => read(), fail: () => fail() };
  }
  beforeEach(() => {
    bodies.length = 0;
    const real = network.fetch;
    client.close();
    network.fetch = ((url: string, init: RequestInit) => {
      if (init.body instanceof Blob || init.body instanceof FormData)
        bodies.push(new Response(init.body).text());
      return real(url, init);
    }) as typeof fetch;
    return start().then(() => live());
  });

  test("wait with their write, over a restart, and leave with the same bytes", async () => {
    expect(await upload()).toMatchObject({ ok: false, queued: true });
    await client.save();
    client.close();
    await start();
    network.answer = done;
    live();
    await vi.advanceTimersByTimeAsync(1_000);
    const [first, second] = [await bodies[0], await bodies.at(-1)];
    expect(bodies.length).toBeGreaterThan(1);
    expect(second).toBe(first);
    const type = `multipart/form-data; boundary=${/^--(\S+)/.exec(first ?? "")?.[1]}`;
    const read = await new Response(first, { headers: { "Content-Type": type } }).formData();
    expect(read.get("note")).toBe('a "note"');
    const file = read.get("picture") as File;
    expect([file.type, new Uint8Array(await file.arrayBuffer())]).toEqual([
      "image/png",
      new Uint8Array([7, 7, 7]),
    ]);
  });

  test("too large to be kept leave now or not at all", async () => {
    network.last.cut();
    vi.stubGlobal("navigator", { onLine: false });
    expect(await upload(9 * 1024 * 1024)).toMatchObject({
      ok: false,
      queued: false,
      problem: { code: "too_large" },
    });
    expect(writes()).toEqual([]);
  });

  test("too large to be kept leave nothing behind while they are on their way", async () => {
    network.answer = () => new Promise(() => undefined);
    void upload(9 * 1024 * 1024);
    await client.save();
    expect(await kept()).toEqual([]);
    await client.save();
    expect(sent()).toHaveLength(1);
    expect(await kept()).toEqual([]);
  });

  test("too large to be kept are not sent without them once they were refused", async () => {
    network.answer = () => refuse(422, "invalid");
    const result = await sayBy(form(9 * 1024 * 1024));
    expect(result).toMatchObject({
      ok: false,
      queued: false,
      problem: { status: 422 },
      draft: { note: 'a "note"' },
    });
    await client.save();
    expect([writes(), await kept()]).toEqual([[], []]);
    expect(await client.retry(result.key)).toBeNull();
    expect(sent()).toHaveLength(1);
  });

  test("are read before their write leaves, though those before it are done", async () => {
    let answer = () => {};
    network.answer = (method, url, body) =>
      new Promise((resolve) => {
        answer = () => resolve(done(method, url, body));
      });
    void say("one");
    const { made, read } = slowForm();
    const upload = sayBy(made);
    await settle();
    answer();
    await settle();
    expect(sent()).toHaveLength(1);
    network.answer = done;
    read();
    expect(await upload).toMatchObject({ ok: true });
    expect(sent()).toHaveLength(2);
    expect(await bodies[0]).toContain('name="picture"');
  });

  test("are read before what was written after them leaves", async () => {
    network.answer = done;
    const { made, read } = slowForm();
    void sayBy(made);
    const later = change(writes()[0]?.id ?? "", "changed");
    await settle();
    expect(sent()).toEqual([]);
    read();
    expect(await later).toMatchObject({ ok: true });
    expect(sent().map(({ method }) => method)).toEqual(["POST", "PATCH"]);
    expect(bodies).toHaveLength(1);
  });

  test("that cannot be read leave now or not at all, and hold nothing up", async () => {
    network.answer = (method, url, body) => (method === "POST" ? unreachable() : done(method, url, body));
    const { made, fail } = slowForm();
    const upload = sayBy(made);
    const later = change(ID, "changed");
    await settle();
    fail();
    expect(await upload).toMatchObject({ ok: false, queued: false });
    expect(await later).toMatchObject({ ok: true });
    expect(writes().map(({ id }) => id)).toEqual([ID]);
  });

  test("may be given up while they are read", async () => {
    network.answer = done;
    const { made, read } = slowForm();
    const upload = sayBy(made);
    const later = change(ID, "changed");
    await settle();
    expect(await client.discard(writes()[0]?.key ?? "")).toBe(true);
    read();
    expect(await upload).toMatchObject({ ok: false, queued: false, problem: { code: "discarded" } });
    expect(await later).toMatchObject({ ok: true });
    expect(sent().map(({ method }) => method)).toEqual(["PATCH"]);
  });
});

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
    expect(client.state.documents[URL]?.ids).toEqual([]);
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
    expect(client.state.documents[URL]?.status).toBe("error");
    await signIn(ANN);
    network.last.welcome();
    expect(network.last.of("sub")).toMatchObject([{ url: URL }]);
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
    storage = new MemoryStorage();
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
