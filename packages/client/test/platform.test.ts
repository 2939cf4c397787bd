import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Client, createClient } from "../src/client";
import { pathOfLink, safePath } from "../src/platform/links";
import { refreshToken, register, signIn, signOut } from "../src/platform/session";
import { type Keychain, openTokens } from "../src/platform/tokens";
import type { TokenStore, Transport } from "../src/platform/transport";
import { webPlatform } from "../src/platform/web";

const USER = { id: "u1", username: "ann", display_name: "Ann", avatar: "", staff: false };
const DAY_S = 86_400;

class FakeKeychain implements Keychain {
  held: string | null = null;
  broken = false;
  writes: (string | null)[] = [];
  async read() {
    if (this.broken) throw new Error("the key is gone");
    return this.held;
  }
  async write(value: string | null) {
    this.writes.push(value);
    this.held = value;
  }
}

interface Asked {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: Record<string, unknown> | null;
}

let asked: Asked[];
let answers: ((asked: Asked) => [number, unknown])[];
let keychain: FakeKeychain;

/** Answers in the order in which they are given; the last one stays. */
const backend = (async (url: string, init: RequestInit) => {
  const one = {
    method: init.method ?? "GET",
    url: String(url),
    headers: init.headers as Record<string, string>,
    body: init.body ? JSON.parse(String(init.body)) : null,
  };
  asked.push(one);
  const answer = answers.length > 1 ? answers.shift() : answers[0];
  const [status, data] = answer?.(one) ?? [404, {}];
  return new Response(JSON.stringify(data), { status, headers: { "Content-Type": "application/json" } });
}) as typeof fetch;

async function makeClient(native: boolean): Promise<Client> {
  const platform: Partial<Transport> = native
    ? { apiBase: "https://api.example.org", native, credentials: "omit", token: await openTokens(keychain) }
    : {};
  return createClient({ platform, fetch: backend, cache: null, tabs: null });
}

const who = (more = {}): [number, unknown] => [200, { user: USER, csrf: "", ...more }];

beforeEach(() => {
  asked = [];
  answers = [];
  keychain = new FakeKeychain();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("a device's token", () => {
  test("is there at the next start, and gone when it is taken away", async () => {
    const tokens = await openTokens(keychain);
    expect(tokens.get()).toBeNull();
    await tokens.set("one", DAY_S);
    expect((await openTokens(keychain)).get()).toBe("one");
    await tokens.set(null);
    expect(keychain.held).toBeNull();
    expect((await openTokens(keychain)).get()).toBeNull();
  });

  test("is written in the order of the calls, the last one stays", async () => {
    const tokens = await openTokens(keychain);
    void tokens.set("one", DAY_S);
    void tokens.set(null);
    await tokens.set("two", DAY_S);
    expect(keychain.writes).toHaveLength(3);
    expect(JSON.parse(keychain.held ?? "").token).toBe("two");
  });

  test("is old when a third of its life is left; one of unknown life never is", async () => {
    vi.useFakeTimers({ now: 0 });
    const tokens: TokenStore = await openTokens(keychain);
    expect(tokens.isOld?.()).toBe(false);
    await tokens.set("one", 300);
    vi.setSystemTime(199_000);
    expect(tokens.isOld?.()).toBe(false);
    vi.setSystemTime(201_000);
    expect(tokens.isOld?.()).toBe(true);
    await tokens.set("two");
    vi.setSystemTime(8e14);
    expect(tokens.isOld?.()).toBe(false);
  });

  test.each(["", "nonsense", "null", "7", '{"token":7,"refresh_ms":1}', '{"token":"x"}'])(
    "is none where the keychain holds %j",
    async (held) => {
      vi.spyOn(console, "error").mockImplementation(() => undefined);
      keychain.held = held;
      expect((await openTokens(keychain)).get()).toBeNull();
    },
  );

  test("is none where the keychain cannot be read, and can be kept anew", async () => {
    const said = vi.spyOn(console, "error").mockImplementation(() => undefined);
    keychain.broken = true;
    const tokens = await openTokens(keychain);
    expect(tokens.get()).toBeNull();
    expect(said).toHaveBeenCalledOnce();
    await tokens.set("one", DAY_S);
    expect(tokens.get()).toBe("one");
  });
});

describe("signing in and out", () => {
  test("on the web goes by the cookie", async () => {
    answers = [() => who({ csrf: "c1" })];
    const client = await makeClient(false);
    await signIn(client, { username: "ann", password: "secret words" });
    expect(asked[0]).toMatchObject({ method: "POST", url: "/api/auth/login/" });
    expect(asked[0]?.body).toEqual({ username: "ann", password: "secret words" });
    expect(client.state.user?.id).toBe("u1");
  });

  test("on a device keeps a token, which later calls carry, and the sign-out ends", async () => {
    answers = [
      () => [201, { user: USER, csrf: "", token: "t1", expires_in_s: DAY_S }],
      () => [200, { rows: [] }],
      () => [200, { user: null, csrf: "" }],
    ];
    const client = await makeClient(true);
    await signIn(client, { username: "ann", password: "secret words" });
    expect(asked[0]).toMatchObject({ method: "POST", url: "https://api.example.org/api/auth/token/" });
    expect(asked[0]?.body?.label).toEqual(expect.any(String));
    await client.api("GET", "/api/chats/");
    expect(asked[1]?.headers.Authorization).toBe("Bearer t1");
    expect(JSON.parse(keychain.held ?? "").token).toBe("t1");
    await signOut(client);
    expect(asked[2]).toMatchObject({ method: "POST", url: "https://api.example.org/api/auth/logout/" });
    expect(asked[2]?.headers.Authorization).toBe("Bearer t1");
    expect(keychain.held).toBeNull();
    expect(client.state.user).toBeNull();
  });

  test("a new account is a device's as well", async () => {
    answers = [() => [201, { user: USER, csrf: "", token: "t1", expires_in_s: DAY_S }]];
    const client = await makeClient(true);
    await register(client, { username: "ann", password: "secret words" });
    expect(asked[0]?.url).toBe("https://api.example.org/api/auth/register/");
    expect(asked[0]?.body).toHaveProperty("device");
    expect(client.platform.token.get()).toBe("t1");
    const web = await makeClient(false);
    await register(web, { username: "bea", password: "secret words" });
    expect(asked[1]?.body).not.toHaveProperty("device");
  });

  test("what is refused changes nothing", async () => {
    answers = [() => [401, { code: "credentials", title: "no", detail: "no", errors: [] }]];
    const client = await makeClient(true);
    await expect(signIn(client, { username: "ann", password: "wrong words" })).rejects.toThrow("no");
    await expect(signOut(client)).rejects.toThrow("no");
    expect(keychain.writes).toEqual([]);
  });
});

describe("a fresh token", () => {
  async function withOldToken(): Promise<Client> {
    const client = await makeClient(true);
    await client.platform.token.set("old", -1);
    return client;
  }

  test("takes the old one's place, asked for once however often", async () => {
    answers = [() => who({ token: "fresh", expires_in_s: DAY_S })];
    const client = await withOldToken();
    await Promise.all([refreshToken(client), refreshToken(client)]);
    expect(asked.map(({ url }) => url)).toEqual(["https://api.example.org/api/auth/token/refresh/"]);
    expect(asked[0]?.headers.Authorization).toBe("Bearer old");
    expect(client.platform.token.get()).toBe("fresh");
    await refreshToken(client); // it is not old
    expect(asked).toHaveLength(1);
  });

  test("that cannot be had leaves the old one, and is asked for again", async () => {
    answers = [() => [503, {}], () => who({ token: "fresh", expires_in_s: DAY_S })];
    const client = await withOldToken();
    await refreshToken(client);
    expect(client.platform.token.get()).toBe("old");
    await refreshToken(client);
    expect(client.platform.token.get()).toBe("fresh");
  });

  test("repeats a call that was refused because the old one ended meanwhile, once", async () => {
    const client = await withOldToken();
    answers = [
      () => {
        void client.platform.token.set("fresh", DAY_S);
        return [401, { code: "session" }];
      },
      ({ headers }) => (headers.Authorization === "Bearer fresh" ? [200, "yes"] : [500, {}]),
    ];
    expect((await client.api("GET", "/api/chats/")).data).toBe("yes");
    answers = [() => [401, { code: "session", title: "ended", detail: "ended", errors: [] }]];
    await expect(client.api("GET", "/api/chats/")).rejects.toThrow("ended");
    expect(asked).toHaveLength(3);
  });
});

describe("links", () => {
  const config = { api: "", scheme: "timsstack", hosts: ["chat.example.org"] };
  test.each([
    ["https://chat.example.org/chat/1?a=b#c", "/chat/1?a=b#c"],
    ["https://chat.example.org", "/"],
    ["timsstack://chat/1", "/chat/1"],
    ["timsstack://settings", "/settings"],
    ["http://chat.example.org/chat/1", null],
    ["https://evil.example/chat/1", null],
    ["https://chat.example.org.evil.example/", null],
    ["https://user@chat.example.org:444/", null],
    ["https://chat.example.org//evil.example/", null],
    ["timsstack:////evil.example/", null],
    ["javascript:alert(1)", null],
    ["/chat/1", null],
    ["", null],
  ])("%s leads to %s", (link, path) => expect(pathOfLink(link, config)).toBe(path));

  test.each(["//evil.example", "/\\evil.example", "chat", "", " /chat", "/a b", "/a\\b", null, 7, undefined])(
    "%j is no path of the app",
    (path) => expect(safePath(path)).toBeNull(),
  );
});

test("a notification that the service worker has shown leads to its page", async () => {
  const serviceWorker = new EventTarget();
  vi.stubGlobal("navigator", { userAgent: "new", onLine: true, serviceWorker });
  vi.stubGlobal("document", {});
  const platform = webPlatform((await makeClient(false)).platform);
  const opened: string[] = [];
  const leave = platform.links.onOpen((path) => opened.push(path));
  const tell = (data: unknown) => serviceWorker.dispatchEvent(new MessageEvent("message", { data }));
  for (const data of [{ open: "/chat/1" }, { open: "//evil.example" }, { open: 7 }, {}, "b1", null])
    tell(data);
  expect(opened).toEqual(["/chat/1"]);
  leave();
  tell({ open: "/chat/2" });
  expect(opened).toEqual(["/chat/1"]);
  vi.unstubAllGlobals();
});

describe("in a browser that can do nothing", () => {
  test("nothing throws, and what is absent says so", async () => {
    vi.stubGlobal("navigator", { userAgent: "old", onLine: true });
    vi.stubGlobal("Notification", undefined);
    vi.stubGlobal("visualViewport", undefined);
    vi.stubGlobal("document", { addEventListener() {}, removeEventListener() {}, activeElement: null });
    const platform = webPlatform((await makeClient(false)).platform);
    for (const part of [
      "share",
      "clipboard",
      "haptics",
      "keyboard",
      "push",
      "notifications",
      "back",
    ] as const)
      expect(platform[part].available, part).toBe(false);
    expect(await platform.share.share({ text: "x" })).toBe(false);
    expect(await platform.clipboard.write("x")).toBe(false);
    platform.haptics.play("tap");
    platform.keyboard.hide();
    platform.keyboard.onChange(() => undefined)();
    platform.back.onBack(() => true)();
    platform.network.onChange(() => undefined)();
    platform.lifecycle.onPause(() => undefined)();
    platform.links.onOpen(() => undefined)();
    expect(platform.network.online()).toBe(true);
    expect(await platform.notifications.ask()).toBe("denied");
    expect(await platform.notifications.show({ title: "x" })).toBe(false);
    expect(await platform.push.register()).toBeNull();
    vi.unstubAllGlobals();
  });
});
