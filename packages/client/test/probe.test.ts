import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Client, createClient } from "../src/client";
import { FakeNetwork } from "./fake";

/* The app comes back to the front, or the network has changed: whoever was there is asked whether they still are. */

let network: FakeNetwork;
let client: Client;

beforeEach(() => {
  vi.useFakeTimers();
  network = new FakeNetwork();
  client = createClient({
    fetch: network.fetch,
    socket: network.socket,
    random: () => 0.5,
    cache: null,
    tabs: null,
  });
  client.connection?.start();
});
afterEach(() => {
  client.close();
  vi.useRealTimers();
});

describe("a probe", () => {
  test("asks a peer that is there, and keeps one that answers", async () => {
    network.last.welcome();
    client.connection?.probe();
    expect(network.last.of("ping")).toHaveLength(1);
    network.last.receive({ t: "pong", position: 10 });
    await vi.advanceTimersByTimeAsync(3_000);
    expect(network.sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(network.last.of("ping")).toHaveLength(2); // the heart goes on
  });

  test("leaves one that is silent for three seconds, and comes back at once", async () => {
    network.last.welcome();
    client.connection?.probe();
    await vi.advanceTimersByTimeAsync(3_000);
    expect(network.last.closedWith).toBe(4408);
    await vi.advanceTimersByTimeAsync(300);
    expect(network.sockets).toHaveLength(2);
  });

  test("does not wait for the next attempt", async () => {
    for (let i = 0; i < 6; i++) {
      network.last.cut();
      await vi.advanceTimersByTimeAsync(16_000);
    }
    network.last.cut();
    const before = network.sockets.length;
    client.connection?.probe();
    expect(network.sockets).toHaveLength(before + 1);
    await vi.advanceTimersByTimeAsync(9_000);
    expect(network.sockets).toHaveLength(before + 1); // and the attempt it came before is not made too
  });

  test("waits for one that is being opened, unless the network is another one", () => {
    client.connection?.probe();
    expect(network.sockets).toHaveLength(1);
    client.connection?.probe(true);
    expect(network.sockets).toHaveLength(2);
    expect(network.sockets[0]?.closedWith).toBe(4408);
    network.last.welcome();
    expect(client.state.connection.status).toBe("live");
  });

  test("opens nothing that was stopped", () => {
    client.connection?.stop();
    client.connection?.probe(true);
    expect(network.sockets).toHaveLength(1);
  });
});
