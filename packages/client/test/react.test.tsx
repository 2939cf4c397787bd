// @vitest-environment happy-dom
import { act, cleanup, render, screen } from "@testing-library/react";
import { StrictMode } from "react";
import { hydrateRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Client, createClient } from "../src/client";
import * as offline from "../src/offline/index";
import {
  PageProvider,
  useComputed,
  useLive,
  useMutation,
  usePageParams,
  usePresence,
  useTopic,
  useUser,
  useWrites,
} from "../src/react";
import { EPOCH, FakeNetwork, json, listOf, page, row } from "./fake";

const WINDOW = { order: "-n,id", limit: 50, end: true, detail: false };
let network: FakeNetwork;
let client: Client;

function Chat() {
  const { chat } = usePageParams<{ chat: string }>();
  const user = useUser();
  const messages = useLive<{ id: string; text?: string; n: number }>(
    chat ? `/api/messages/?chat=${chat}` : null,
  );
  const send = useMutation("POST", "/api/messages/");
  return (
    <div>
      <p>{user?.username}</p>
      <ul aria-label="messages">
        {messages.rows.map((message) => (
          <li key={message.id} data-pending={messages.pending[message.id]?.status}>
            {message.text ?? message.id}
          </li>
        ))}
      </ul>
      <button type="button" onClick={() => void send({ chat: chat ?? "", text: "hello" })}>
        send
      </button>
      <output>{send.problem?.detail}</output>
    </div>
  );
}

const tree = (of: Client) => (
  <StrictMode>
    <PageProvider client={of}>
      <Chat />
    </PageProvider>
  </StrictMode>
);
const make = () =>
  createClient({
    pageData: page({ "/api/messages/?chat=1": listOf([row("b", 2), row("a", 1)]) }),
    fetch: network.fetch,
    socket: network.socket,
    offline: async () => offline,
  });
const items = () => screen.getAllByRole("listitem").map((item) => item.textContent);

beforeEach(() => {
  vi.useFakeTimers();
  network = new FakeNetwork();
  network.user = "u1";
});
afterEach(() => {
  client.close();
  cleanup();
  document.body.innerHTML = "";
  vi.useRealTimers();
});

test("renders on the server, hydrates without a call or a warning, and goes on living from the page's position", async () => {
  const html = renderToString(tree(make()));
  expect(html).toContain("<li>b</li><li>a</li>");
  const root = document.createElement("div");
  document.body.append(root);
  root.innerHTML = html;
  const warnings = vi.spyOn(console, "error");
  client = make();
  const hydrated = await act(async () => hydrateRoot(root, tree(client)));
  expect(warnings).not.toHaveBeenCalled();
  expect(network.requests).toEqual([]);
  expect(network.sockets).toHaveLength(1);
  await act(async () => {
    network.last.welcome(11);
    network.last.receive({ t: "resumed", sub: 1, view: 7, position: 10, ...WINDOW, ops: [] });
    network.last.receive({ t: "tx", position: 11, ops: [{ view: 7, op: "put", id: "c", row: row("c", 3) }] });
  });
  expect(network.last.of("sub")).toEqual([
    { t: "sub", id: 1, url: "/api/messages/?chat=1", from: `${EPOCH}-10`, limit: 2 },
  ]);
  expect(items()).toEqual(["c", "b", "a"]);
  expect(network.requests).toEqual([]);
  await act(async () => hydrated.unmount());
});

test("shows what is being sent at once, and the problem when it is refused", async () => {
  client = make();
  render(tree(client));
  network.answer = () => json(422, { code: "invalid", title: "No", detail: "Not today." });
  await act(async () => screen.getByRole("button").click());
  expect(items()).toEqual(["hello", "b", "a"]);
  expect(screen.getAllByRole("listitem")[0]?.dataset.pending).toBe("failed");
  expect(screen.getByRole("status").textContent).toBe("Not today.");
});

function Bar() {
  const unread = useComputed<{ total: number }>("/api/unread/");
  const typing = useTopic("/api/chats/1/", "typing");
  const here = usePresence("/api/chats/1/", { state: { at: "bar" } }); // made anew at every render
  const writes = useWrites();
  return (
    <p>
      {unread.value?.total ?? "?"} unread, {here.count} here, {writes.length} writes
      {typing.said.map(({ user, kind }) => ` ${user} ${kind}`)}
    </p>
  );
}

test("renders a computed endpoint from the page's data and lets it live on, beside a room", async () => {
  const pageData = page({ "/api/unread/": { total: 3 } });
  client = createClient({ pageData, fetch: network.fetch, socket: network.socket });
  const bar = (
    <PageProvider client={client}>
      <Bar />
    </PageProvider>
  );
  expect(renderToString(bar)).toContain("<p>3<!-- --> unread");
  const { container } = render(bar);
  await act(async () => {
    network.last.welcome(11);
    const patch = { view: 1, op: "patch", patch: { total: 4 } };
    network.last.receive({ t: "resumed", sub: 1, view: 1, position: 11, ops: [patch] });
    network.last.receive({ t: "presence", join: 2, room: 31, count: 2, users: [{ id: "u1" }, { id: "u2" }] });
    network.last.receive({ t: "said", room: 31, items: [{ user: "u2", kind: "typing", data: true }] });
  });
  expect(container.textContent).toBe("4 unread, 2 here, 0 writes u2 typing");
  expect(network.last.of("sub")).toEqual([{ t: "sub", id: 1, url: "/api/unread/", from: `${EPOCH}-10` }]);
  expect(network.last.of("join")).toHaveLength(1);
});
