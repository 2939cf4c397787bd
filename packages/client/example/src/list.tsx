/* A long list over a backend in the page (feed.ts): ?rows=5000&anchor=end. For looking at, and for tests, which reach
 * the feed as window.feed. */

import { createClient, PageProvider, useLive } from "@tims/client";
import { VirtualList, type VirtualListHandle } from "@tims/client/list";
import { useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import { FEED_EPOCH, FEED_URL, Feed, type FeedRow } from "./feed";

declare global {
  interface Window {
    feed: Feed;
    list: VirtualListHandle | null;
  }
}

const options = new URLSearchParams(location.search);
const anchor = options.get("anchor") === "start" ? "start" : "end";
const feed = new Feed(Number(options.get("rows") ?? 5_000));
window.feed = feed;
const client = createClient({
  pageData: {
    path: "/",
    route: "/",
    params: {},
    language: "en",
    user: { id: "u1", username: "ann", display_name: "Ann", avatar: "", staff: false },
    position: `${FEED_EPOCH}-${feed.position}`,
    live: { [FEED_URL]: feed.page(0, 50) },
    values: {},
  },
  fetch: feed.fetch,
  socket: feed.socket,
  cache: null,
  tabs: null,
});

const keyOf = (row: FeedRow) => row.id;

function LongList() {
  const { rows, next, loadMore } = useLive<FeedRow>(FEED_URL);
  const list = useRef<VirtualListHandle>(null);
  const [away, setAway] = useState(false);
  return (
    <div className="page">
      <VirtualList
        ref={(handle) => {
          list.current = handle;
          window.list = handle;
        }}
        rows={anchor === "end" ? [...rows].reverse() : rows}
        keyOf={keyOf}
        label="Messages"
        anchor={anchor}
        next={next}
        loadMore={loadMore}
        edge={({ loading, load }) => (
          <button type="button" disabled={loading} onClick={load}>
            {loading ? "Loading" : "Earlier messages"}
          </button>
        )}
        empty={<p>Nothing here yet.</p>}
        onAway={setAway}
        className="box"
        listClassName="list"
        rowClassName="row"
      >
        {(row) => <div data-row={row.n}>{row.text}</div>}
      </VirtualList>
      <div className="bar">
        <button type="button" onClick={() => feed.add()}>
          Another
        </button>
        <button type="button" disabled={!away} onClick={() => list.current?.scrollToEnd()}>
          To the newest
        </button>
      </div>
    </div>
  );
}

const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <PageProvider client={client}>
      <LongList />
    </PageProvider>,
  );
