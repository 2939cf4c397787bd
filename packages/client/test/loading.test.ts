/* The connection's part comes later than the client: what happens meanwhile, and when it cannot be had. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { EPOCH, FakeNetwork, json, listOf, page, row } from "./fake";

const URL = "/api/messages/?chat=1";
let network: FakeNetwork;
let close: () => void;

async function start(pageData = page({})) {
  const { createClient } = await import("../src/client");
  const { fetch, socket } = network;
  const client = createClient({ pageData, fetch, socket, cache: null, tabs: null, random: () => 0 });
  close = () => client.close();
  return client;
}

beforeEach(() => {
  vi.resetModules();
  vi.useFakeTimers();
  network = new FakeNetwork();
  network.user = "u1";
});
afterEach(() => {
  close();
  vi.doUnmock("../src/connection");
  vi.useRealTimers();
});

test("the first follower loads it, and what is wanted by then is subscribed in order", async () => {
  const client = await start();
  expect(client.connection).toBeNull();
  client.follow(URL);
  client.join("/api/chats/1/");
  client.publish("/api/chats/1/", "typing", true); // nobody hears it yet
  const left = client.follow("/api/chats/");
  left();
  await vi.dynamicImportSettled();
  await vi.advanceTimersByTimeAsync(0);
  network.last.welcome(11);
  expect(network.last.sent.slice(1).map(({ url }) => url)).toEqual([URL, "/api/chats/1/"]);
});

test("a client that is closed meanwhile opens nothing", async () => {
  const client = await start();
  client.follow(URL);
  client.close();
  await vi.dynamicImportSettled();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(network.sockets).toEqual([]);
});

test("what cannot be loaded is tried again; documents are read by REST meanwhile", async () => {
  vi.doMock("../src/connection", () => {
    throw new TypeError("Failed to fetch dynamically imported module");
  });
  const client = await start();
  network.answer = () => json(200, listOf([row("a", 1)]), { "Tims-Position": `${EPOCH}-10` });
  client.follow(URL);
  await vi.dynamicImportSettled();
  await vi.advanceTimersByTimeAsync(2_500);
  expect(client.state.connection.status).toBe("waiting");
  expect(client.state.documents[URL]).toMatchObject({ status: "stale", ids: ["a"] });
  vi.doUnmock("../src/connection");
  vi.resetModules();
  await vi.advanceTimersByTimeAsync(10_000);
  await vi.dynamicImportSettled();
  await vi.waitFor(() => expect(network.sockets).toHaveLength(1));
});
