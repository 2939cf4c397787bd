import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FEED_URL, Feed, randomOf } from "../example/src/feed";
import { type Client, createClient } from "../src/client";
import { page } from "./fake";

/* Older rows are asked for while rows come, go, change and move: what is held is the beginning of the list, without a
 * gap, without a row twice, at every step in which the client and the backend stand at the same position. */

let client: Client;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  client.close();
  vi.useRealTimers();
});

const idsOf = () => client.state.documents[FEED_URL]?.ids ?? [];

/** The held rows are the backend's first ones, exactly. False: it is not the time to say so. */
function expectBeginning(feed: Feed): boolean {
  const document = client.state.documents[FEED_URL];
  if (document?.position !== feed.position || document.status !== "live") return false;
  const ids = idsOf();
  const first = feed.rows.slice(0, ids.length);
  expect(ids).toEqual(first.map(({ id }) => id));
  expect(ids.map((id) => document.rows[id])).toEqual(first);
  if (document.end) expect(ids).toHaveLength(feed.rows.length);
  else if (document.limit !== null) expect(ids).toHaveLength(document.limit);
  return true;
}

describe.each(Array.from({ length: 8 }, (_, seed) => seed + 1))("seed %i", (seed) => {
  test("paging back while rows arrive leaves no gap and nothing twice", async () => {
    const random = randomOf(seed * 7919);
    const feed = new Feed(250, random, (work) => setTimeout(work, 5)); // in the order in which it was sent
    const options = {
      pageData: page({ [FEED_URL]: feed.page(0, 50) }),
      fetch: feed.fetch,
      socket: feed.socket,
    };
    client = createClient({ ...options, random: () => 0, cache: null, tabs: null });
    client.follow(FEED_URL);
    const waits: Promise<void>[] = [];
    let compared = 0;
    for (let step = 0; step < 200; step++) {
      const dice = random();
      if (dice < 0.3) feed.add();
      else if (dice < 0.4) feed.remove();
      else if (dice < 0.6) feed.change();
      else if (dice < 0.75) feed.move();
      else if (dice < 0.95) waits.push(client.loadMore(FEED_URL));
      else if (dice < 0.97) feed.cut();
      await vi.advanceTimersByTimeAsync(Math.floor(random() * (dice < 0.97 ? 8 : 40)));
      expect(new Set(idsOf()).size).toBe(idsOf().length);
      if (expectBeginning(feed)) compared++;
    }
    expect(compared).toBeGreaterThan(10);
    await vi.advanceTimersByTimeAsync(5_000);
    await Promise.all(waits);
    for (let more = 0; more < 40 && client.state.documents[FEED_URL]?.end !== true; more++) {
      const loading = client.loadMore(FEED_URL);
      await vi.advanceTimersByTimeAsync(50);
      await loading;
    }
    expect(client.state.documents[FEED_URL]).toMatchObject({
      status: "live",
      position: feed.position,
      end: true,
    });
    expect(idsOf()).toEqual(feed.rows.map(({ id }) => id));
  });
});
