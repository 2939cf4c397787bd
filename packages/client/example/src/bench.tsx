/* A list of 1,000 rows on the screen while the backend in the page (feed.ts) changes it: ?rows=1000&rate=100. What it
 * finds is window.bench.result: how long frames took, and how long it took from a tx to the screen. */

import { createClient, PageProvider, useLiveIds, useRow } from "@tims/client";
import { memo, useLayoutEffect } from "react";
import { createRoot } from "react-dom/client";
import { FEED_EPOCH, FEED_URL, Feed, type FeedRow, randomOf } from "./feed";

export interface BenchResult {
  changes: number;
  frames: number;
  /** From one frame to the next, ms. */
  frame_p50_ms: number;
  frame_p99_ms: number;
  frame_max_ms: number;
  /** From the arrival of a tx to the frame that shows it, ms. */
  shown_p50_ms: number;
  shown_p99_ms: number;
  shown_max_ms: number;
  row_renders: number;
  list_renders: number;
}

declare global {
  interface Window {
    bench: { ready: boolean; run: (seconds: number) => Promise<BenchResult> };
  }
}

const options = new URLSearchParams(location.search);
const count = Number(options.get("rows") ?? 1_000);
const rate = Number(options.get("rate") ?? 100);
const random = randomOf(7);
// A tx arrives in a task of its own, as from a socket.
const port = new MessageChannel();
const waiting: (() => unknown)[] = [];
port.port1.onmessage = () => waiting.shift()?.();
const feed = new Feed(count, random, (work) => {
  waiting.push(work);
  port.port2.postMessage(null);
});
const client = createClient({
  pageData: {
    path: "/",
    route: "/",
    params: {},
    language: "en",
    user: { id: "u1", username: "ann", display_name: "Ann", avatar: "", staff: false },
    position: `${FEED_EPOCH}-${feed.position}`,
    live: { [FEED_URL]: feed.page(0, count) },
    values: {},
  },
  fetch: feed.fetch,
  socket: feed.socket,
  cache: null,
  tabs: null,
});

const renders = { row: 0, list: 0 };

const Line = memo(function Line({ id }: { id: string }) {
  const { row } = useRow<FeedRow>(FEED_URL, id);
  useLayoutEffect(() => {
    renders.row++;
  });
  return (
    <li className="row" data-row={row?.n}>
      {row?.text}
    </li>
  );
});

function List() {
  const { ids } = useLiveIds(FEED_URL);
  useLayoutEffect(() => {
    renders.list++;
  });
  return (
    <ol className="list">
      {ids.map((id) => (
        <Line key={id} id={id} />
      ))}
    </ol>
  );
}

const at = (sorted: number[], part: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;

/** Three of four changes write a row again, the others take one away at one end and add one at the other. */
async function run(seconds: number): Promise<BenchResult> {
  const frames: number[] = [];
  const shown: number[] = [];
  let arrived: number[] = [];
  let changes = 0;
  renders.row = 0;
  renders.list = 0;
  const stop = client.store.subscribe(() => arrived.push(performance.now()));
  const began = performance.now();
  let last = began;
  let isOver = false;
  const frame = (now: number) => {
    frames.push(now - last);
    last = now;
    const of = arrived;
    arrived = [];
    // After this frame's style, layout and paint have been made: the next task.
    const painted = new MessageChannel();
    painted.port1.onmessage = () => {
      const then = performance.now();
      for (const one of of) shown.push(then - one);
    };
    painted.port2.postMessage(null);
    if (!isOver) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.floor(((performance.now() - began) / 1_000) * rate);
      for (; changes < due; changes++) {
        if (random() < 0.75) feed.change(Math.floor(random() * count));
        else {
          feed.add();
          feed.remove(feed.rows.length - 1);
        }
      }
      if (performance.now() - began < seconds * 1_000) return;
      clearInterval(timer);
      resolve();
    }, 1_000 / rate);
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  isOver = true;
  stop();
  frames.shift(); // it began before the first change
  frames.sort((a, b) => a - b);
  shown.sort((a, b) => a - b);
  return {
    changes,
    frames: frames.length,
    frame_p50_ms: at(frames, 0.5),
    frame_p99_ms: at(frames, 0.99),
    frame_max_ms: at(frames, 1),
    shown_p50_ms: at(shown, 0.5),
    shown_p99_ms: at(shown, 0.99),
    shown_max_ms: at(shown, 1),
    row_renders: renders.row,
    list_renders: renders.list,
  };
}

window.bench = { ready: false, run };
client.store.subscribe(() => {
  window.bench.ready = client.state.documents[FEED_URL]?.status === "live";
});
const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <PageProvider client={client}>
      <List />
    </PageProvider>,
  );
