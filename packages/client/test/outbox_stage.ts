// outbox_stage.ts: a client whose writes wait: nobody answers until a test says so.
import { afterEach, beforeEach, vi } from "vitest";
import { type Client, createClient } from "../src/client";
import * as offline from "../src/offline/index";
import { MemoryStorage } from "../src/offline/storage";
import type { Mutation } from "../src/types";
import { EPOCH, FakeNetwork, json, listOf, page, row } from "./fake";

export const MESSAGES = "/api/messages/?chat=1";
export const ID = "01890000-0000-7000-8000-000000000001";
export const WINDOW = { order: "-n,id", limit: 50, end: true, detail: false };
export const ANN = page({}).user;
export const BEA = { id: "u2", username: "bea", display_name: "Bea", avatar: "", staff: false };

export let network: FakeNetwork;
export let storage: MemoryStorage;
export let client: Client;

export const settle = () => vi.advanceTimersByTimeAsync(0);
export const unreachable = () => {
  throw new TypeError("offline");
};
export const done = (_method: string, _url: string, body: unknown) =>
  json(201, body ?? {}, { "Tims-Position": `${EPOCH}-30` });
export const refuse = (status: number, code: string, more = {}) =>
  json(status, { code, title: code, detail: code, ...more });
export const writes = () => Object.values(client.state.mutations).sort((a, b) => (a.key < b.key ? -1 : 1));
export const statuses = () => writes().map(({ status }) => status);
export const sent = () =>
  network.requests.filter(({ method, url }) => method !== "GET" && url.startsWith("/api/"));
export const texts = () => sent().map(({ body }) => (body as { text?: string } | undefined)?.text);
export const kept = async () => {
  const records = [...((await storage.read())?.records ?? [])];
  return records
    .filter(([key]) => key.startsWith("m:"))
    .map(([, text]) => JSON.parse(text).mutation as Mutation);
};

export function useStorage(other: MemoryStorage): void {
  storage = other;
}
export async function start(options: Parameters<typeof createClient>[0] = {}): Promise<void> {
  client = createClient({
    pageData: page({ [MESSAGES]: listOf([row(ID, 1, { chat: "1" })]) }),
    fetch: network.fetch,
    socket: network.socket,
    random: () => 0.5,
    cache: storage,
    tabs: null,
    offline: async () => offline,
    ...options,
  });
  client.follow(MESSAGES);
  await settle();
}
export function live(position = 20): void {
  network.last.welcome(position);
  const facts = { view: 7, position, ...WINDOW, ops: [] };
  for (const { id } of network.last.of("sub")) network.last.receive({ t: "resumed", sub: id, ...facts });
}
export async function comeBack(): Promise<void> {
  network.last.cut();
  await vi.advanceTimersByTimeAsync(600);
  live();
  await settle();
}
export const say = (text: string, more = {}) =>
  client.mutate("POST", "/api/messages/", { chat: "1", text, ...more });
export const change = (id: string, text: string) => client.mutate("PATCH", `/api/messages/${id}/`, { text });

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
