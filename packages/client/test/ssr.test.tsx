// @vitest-environment happy-dom
/* The server's render does nothing but render; the browser's first render is the same, and only then does it begin. */
import { act } from "@testing-library/react";
import { Suspense, use } from "react";
import { hydrateRoot, type Root } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Client, createClient } from "../src/client";
import { VirtualList } from "../src/list";
import {
  PageProvider,
  useComputed,
  useConnection,
  useLive,
  useLiveIds,
  useMutation,
  usePageData,
  usePageParams,
  usePageValue,
  usePresence,
  useRow,
  useTopic,
  useUser,
  useWrites,
} from "../src/react";
import { actions } from "../src/store";
import type { AnyRow } from "../src/types";
import { EPOCH, FakeNetwork, json, listOf, page, row } from "./fake";

const MESSAGES = "/api/messages/?chat=1";
const CHAT = "/api/chats/1/";
const OTHER = "/api/others/";
const pageData = () => ({
  ...page({
    [MESSAGES]: listOf([row("b", 2, { text: "two" }), row("a", 1, { text: "one" })]),
    [CHAT]: row("1", 1, { title: "A chat" }),
    "/api/unread/": { total: 3 },
  }),
  values: { greeting: "hello" },
});

function Row({ id }: { id: string }) {
  const { row: shown, pending } = useRow<AnyRow & { text: string }>(MESSAGES, id);
  return (
    <em>
      {shown?.text} {pending?.status}
    </em>
  );
}

/** Every hook there is. */
function Everything() {
  const { chat } = usePageParams();
  const messages = useLive<AnyRow & { text: string }>(MESSAGES);
  const { ids, state } = useLiveIds(MESSAGES);
  const title = useRow<AnyRow & { title: string }>(CHAT).row?.title;
  const here = usePresence(CHAT);
  const { said } = useTopic(CHAT, "typing");
  const send = useMutation("POST", "/api/messages/");
  const other = useLive(OTHER);
  return (
    <main>
      <h1>
        {title} {chat} {usePageData()?.route} {usePageValue<string>("greeting")} {useUser()?.username}
      </h1>
      <p>
        {useComputed<{ total: number }>("/api/unread/").value?.total} unread, {here.count} here, {said.length}{" "}
        said, {useWrites().length} writes, {useConnection().status}, {state}, {other.state},{" "}
        {send.sending ? "sending" : "idle"}
      </p>
      {ids.map((id) => (
        <Row key={id} id={id} />
      ))}
      <VirtualList
        rows={messages.rows}
        keyOf={({ id }) => id}
        label="Messages"
        anchor="end"
        next={messages.next}
        loadMore={messages.loadMore}
      >
        {(message) => message.text}
      </VirtualList>
    </main>
  );
}

const tree = (client: Client, child = <Everything />) => <PageProvider client={client}>{child}</PageProvider>;

let network: FakeNetwork;
let client: Client;
let root: Root | null;
let complaints: string[];

/** What would have an effect: nothing of it may be touched while rendering. */
function forbidEffects(): string[] {
  const touched: string[] = [];
  const forbid = (name: string) => () => {
    touched.push(name);
    throw new Error(`${name} was used`);
  };
  vi.stubGlobal("fetch", forbid("fetch"));
  vi.stubGlobal("WebSocket", forbid("WebSocket"));
  vi.stubGlobal("BroadcastChannel", forbid("BroadcastChannel"));
  vi.stubGlobal("indexedDB", { open: forbid("indexedDB") });
  vi.stubGlobal("navigator", { locks: { request: forbid("locks") } });
  vi.stubGlobal("addEventListener", forbid("addEventListener"));
  const storage = { getItem: forbid("localStorage"), setItem: forbid("localStorage") };
  vi.stubGlobal("localStorage", storage);
  return touched;
}

beforeEach(() => {
  vi.useFakeTimers();
  network = new FakeNetwork();
  network.user = "u1";
  root = null;
  complaints = [];
  vi.spyOn(console, "error").mockImplementation((...args) => void complaints.push(args.join(" ")));
});
afterEach(async () => {
  await act(async () => root?.unmount());
  client?.close();
  document.body.innerHTML = "";
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function make(): Client {
  const { fetch, socket } = network;
  client = createClient({ pageData: pageData(), fetch, socket, cache: null, tabs: null });
  return client;
}

async function hydrate(html: string, element: React.ReactNode): Promise<HTMLElement> {
  const box = document.createElement("div");
  document.body.append(box);
  box.innerHTML = html;
  root = await act(async () =>
    hydrateRoot(box, element, { onRecoverableError: (error) => void complaints.push(String(error)) }),
  );
  return box;
}

test("a render on the server touches nothing and leaves nothing behind", () => {
  const touched = forbidEffects();
  const served = createClient({ pageData: pageData() });
  const before = served.store.getState();
  const html = renderToString(tree(served));
  expect(html).toContain("<h1>A chat<!-- --> <!-- -->1<!-- --> <!-- -->/chat/[chat]");
  expect(html).toContain("<em>two<!-- --> </em><em>one<!-- --> </em>");
  expect(html).toContain(">two</li>");
  expect(touched).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
  expect(served.store.getState()).toBe(before);
});

test("a render of a page without data shows that it loads", () => {
  const touched = forbidEffects();
  expect(renderToString(tree(createClient()))).toContain("loading");
  expect(touched).toEqual([]);
});

test("all hooks hydrate without a mismatch, without a call, and live on", async () => {
  const html = renderToString(tree(make()));
  const box = await hydrate(html, tree(make()));
  expect(complaints).toEqual([]);
  expect(network.requests).toEqual([]);
  await act(async () => network.last.welcome(11));
  const { id } = network.last.of("sub").find(({ url }) => url === MESSAGES) ?? {};
  const window = { order: "-n,id", limit: 50, end: true, detail: false };
  await act(async () => {
    network.last.receive({ t: "resumed", sub: id, view: 7, position: 11, ops: [], ...window });
    const changed = row("b", 2, { text: "two, changed" });
    network.last.receive({ t: "tx", position: 12, ops: [{ view: 7, op: "put", id: "b", row: changed }] });
  });
  expect(box.querySelector("em")?.textContent).toBe("two, changed ");
  expect(complaints).toEqual([]);
});

test("what hydrates late hydrates as it was served, though the store has gone on meanwhile", async () => {
  let open: () => void = () => undefined;
  const late = (served: boolean) => {
    const ready = served ? Promise.resolve() : new Promise<void>((resolve) => (open = resolve));
    const Late = () => {
      if (!served) use(ready);
      return <Everything />;
    };
    return (
      <Suspense fallback={<p>later</p>}>
        <Late />
      </Suspense>
    );
  };
  const html = renderToString(tree(make(), late(true)));
  const box = await hydrate(html, tree(make(), late(false)));
  await act(async () => {
    const operations = {
      [MESSAGES]: [{ op: "put" as const, id: "b", row: row("b", 2, { text: "changed" }) }],
    };
    client.store.dispatch(
      actions.txReceived({ epoch: EPOCH, position: 11, operations, followed: [MESSAGES] }),
    );
    client.store.dispatch(actions.sessionChanged({ user: pageData().user }));
    client.store.dispatch(actions.connectionChanged({ status: "connecting" }));
  });
  await act(async () => open());
  expect(complaints).toEqual([]);
  expect(box.querySelector("em")?.textContent).toBe("changed ");
  expect(box.textContent).toContain("connecting");
});

test("a list that no page has brought is asked for once it is shown", async () => {
  const html = renderToString(tree(make()));
  network.answer = () => json(200, listOf([row("x", 1)]), { "Tims-Position": `${EPOCH}-10` });
  await hydrate(html, tree(make()));
  await act(async () => vi.advanceTimersByTimeAsync(2_100));
  expect(network.requests.map(({ url }) => url)).toEqual([OTHER]);
});
