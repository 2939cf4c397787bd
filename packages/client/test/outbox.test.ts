// Writes that wait: their order, when they are tried again, what may be changed, what is refused.
import { describe, expect, test, vi } from "vitest";
import { EPOCH, json } from "./fake";
import {
  ANN,
  change,
  client,
  comeBack,
  done,
  ID,
  kept,
  network,
  refuse,
  say,
  sent,
  settle,
  statuses,
  texts,
  writes,
} from "./outbox_stage";

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
