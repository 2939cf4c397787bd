/* Answers that are on their way when somebody else signs in or out: they are the former person's. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Client, createClient } from "../src/client";
import * as offline from "../src/offline/index";
import { MemoryStorage } from "../src/offline/storage";
import { fetchFile } from "../src/platform/file";
import { refreshToken, signOut } from "../src/platform/session";
import { openTokens } from "../src/platform/tokens";
import { EPOCH, FakeNetwork, json, listOf, page, row } from "./fake";

const LIST = "/api/messages/?chat=1";
const ANN = page({});
const BOB = { ...page({}).user, id: "u2", username: "bob" } as NonNullable<(typeof ANN)["user"]>;
const at = (number: number) => ({ "Tims-Position": `${EPOCH}-${number}` });

interface Waiting {
  method: string;
  url: string;
  headers: Record<string, string>;
  answer: (response: Response) => void;
}

let network: FakeNetwork;
let client: Client;
let storage: MemoryStorage;
let waiting: Waiting[];

/** Nothing is answered before the test does. */
const next = (url: string) =>
  vi.waitUntil(() => {
    const found = waiting.findIndex((one) => one.url.includes(url));
    return found >= 0 && waiting.splice(found, 1)[0];
  }) as Promise<Waiting>;

function start(options: Parameters<typeof createClient>[0] = {}): Client {
  client = createClient({
    pageData: ANN,
    fetch: network.fetch,
    socket: network.socket,
    cache: storage,
    tabs: null,
    random: () => 0.5,
    offline: async () => offline,
    ...options,
  });
  return client;
}

const keptText = async () => JSON.stringify([...((await storage.read())?.records ?? [])]);

beforeEach(() => {
  network = new FakeNetwork();
  network.user = "u1";
  storage = new MemoryStorage();
  waiting = [];
  network.answer = (method, url) =>
    new Promise((answer) => {
      const { headers } = network.requests.at(-1) ?? { headers: {} };
      waiting.push({ method, url, headers, answer });
    });
});
afterEach(() => client.close());

test("a page that comes after the sign-out is not shown, and nothing of it stays on the device", async () => {
  start();
  await client.restore();
  const loading = client.loadPage("/chat/2").catch((error: unknown) => error);
  const late = await next("/page-data");
  client.setSession(null, "");
  late.answer(json(200, { ...ANN, path: "/chat/2", live: { [LIST]: listOf([row("secret", 1)]) } }));
  (await next("/page-data")).answer(json(401, { code: "unauthorized" })); // asked again, by nobody
  expect(await loading).toMatchObject({ status: 401 });
  await client.save();
  expect(client.state).toMatchObject({ user: null, page: null, documents: {} });
  expect(await storage.read()).toMatchObject({ owner: expect.not.stringContaining("u1") });
  expect(await keptText()).not.toContain("secret");
});

test("rows that come after somebody else has signed in are not theirs", async () => {
  start();
  await client.restore();
  client.follow(LIST);
  const reading = client.read(LIST);
  const late = await next(LIST);
  client.setSession(BOB, "");
  late.answer(json(200, listOf([row("secret", 1)]), at(10)));
  (await next(LIST)).answer(json(200, listOf([row("own", 1)]), at(10)));
  await reading;
  await client.save();
  expect(client.state.documents[LIST]?.ids).toEqual(["own"]);
  expect(await keptText()).not.toContain("secret");
});

test("older rows that come after somebody else has signed in are not theirs", async () => {
  start();
  await client.restore();
  client.follow(LIST);
  const reading = client.read(LIST);
  (await next(LIST)).answer(json(200, listOf([row("b", 2)], `${LIST}&cursor=x`), at(10)));
  await reading;
  const loading = client.loadMore(LIST).catch(() => undefined);
  const late = await next("cursor=x");
  client.setSession(BOB, "");
  late.answer(json(200, listOf([row("secret", 1)]), at(10)));
  await loading;
  await client.save();
  expect(client.state.documents[LIST]?.ids).toEqual([]);
  expect(await keptText()).not.toContain("secret");
});

test("an answer that says who was here does not put them in the place of who is", async () => {
  start();
  const asking = client.api("GET", "/api/auth/me/").catch((error: unknown) => error);
  const late = await next("/api/auth/me/");
  client.setSession(BOB, "");
  late.answer(json(200, { user: ANN.user, csrf: "" }));
  expect(await asking).toMatchObject({ code: "session_changed" });
  expect(client.state.user).toEqual(BOB);
});

async function startOnDevice(token: string, lifeS: number): Promise<Client> {
  const keychain = { read: async () => null, write: async () => undefined };
  const tokens = await openTokens(keychain);
  await tokens.set(token, lifeS);
  const platform = {
    apiBase: "https://api.example.org",
    native: true,
    credentials: "omit" as const,
    token: tokens,
  };
  return start({ platform });
}

test("a fresh token that comes after the sign-out signs nobody in again", async () => {
  await startOnDevice("old", -1);
  const refreshing = refreshToken(client);
  const late = await next("/token/refresh/");
  const leaving = signOut(client);
  (await next("/logout/")).answer(new Response(null, { status: 204 }));
  await leaving;
  late.answer(json(200, { user: ANN.user, csrf: "", token: "fresh", expires_in_s: 1000 }));
  await refreshing;
  expect(client.state.user).toBeNull();
  expect(client.platform.token.get()).toBeNull();
});

test("a write of one person is not repeated with the token of the next", async () => {
  await startOnDevice("of ann", 1000);
  const writing = client
    .api("POST", "/api/chats/start/", { body: { title: "Ann's" } })
    .catch((e: unknown) => e);
  const late = await next("/api/chats/start/");
  expect(late.headers.Authorization).toBe("Bearer of ann");
  await client.platform.token.set("of bob", 1000);
  client.setSession(BOB, "");
  late.answer(json(401, { code: "session" }));
  expect(await writing).toMatchObject({ code: "session_changed" });
  expect(network.requests.filter(({ url }) => url.endsWith("/api/chats/start/"))).toHaveLength(1);
});

test("a file is asked for from the backend and from nobody else", async () => {
  await startOnDevice("of ann", 1000);
  for (const path of ["@evil.example/x", ".evil.example/x", "//evil.example/x", "https://evil.example/x"])
    await expect(fetchFile(client, path)).rejects.toThrow("no path");
});
