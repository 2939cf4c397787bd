// @vitest-environment happy-dom
/* What renders when something changes: what shows it, and nothing else. */
import { act, cleanup, render } from "@testing-library/react";
import { memo } from "react";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Client, createClient } from "../src/client";
import * as offline from "../src/offline/index";
import { PageProvider, useComputed, useLive, useLiveIds, useMutation, useRow } from "../src/react";
import type { AnyRow } from "../src/types";
import { EPOCH, FakeNetwork, json, listOf, page, row } from "./fake";

const LIST = (n: number) => `/api/messages/?chat=${n}`;
const DETAIL = "/api/chats/1/";
const UNREAD = "/api/unread/";
const WINDOW = { order: "-n,id", limit: 1_000, end: false, detail: false };
const rowsOf = (list: number, count: number) =>
  Array.from({ length: count }, (_, i) =>
    row(`${list}-${i}`, count - i, { chat: String(list), text: "as it was" }),
  );

let network: FakeNetwork;
let client: Client;
/** How often each component has rendered since the last look. */
let renders: Map<string, number>;
const count = (name: string) => renders.set(name, (renders.get(name) ?? 0) + 1);
const rendered = () => {
  const found = Object.fromEntries(renders);
  renders.clear();
  return found;
};

const Row = memo(function Row({ url, id }: { url: string; id: string }) {
  const { row: shown, pending } = useRow<AnyRow & { text?: string }>(url, id);
  count(`row ${id}`);
  return <li data-pending={pending?.status}>{shown?.text}</li>;
});
function List({ url }: { url: string }) {
  const { ids } = useLiveIds(url);
  count(`list ${url}`);
  return (
    <ul>
      {ids.map((id) => (
        <Row key={id} url={url} id={id} />
      ))}
    </ul>
  );
}
const Bubble = memo(function Bubble({ message }: { message: AnyRow }) {
  count(`bubble ${message.id}`);
  return <li>{String(message.text)}</li>;
});
function Whole({ url }: { url: string }) {
  const { rows } = useLive(url);
  count(`whole ${url}`);
  return rows.map((message) => <Bubble key={message.id} message={message} />);
}
function Title() {
  const chat = useRow<AnyRow & { title: string }>(DETAIL);
  count("title");
  return <h1>{chat.row?.title}</h1>;
}
function Unread() {
  count("unread");
  return <p>{useComputed<{ total: number }>(UNREAD).value?.total}</p>;
}

/** Everything on the screen and live at position 10; each list is view number `n`, the detail 100, the count 101. */
async function show(lists: number, each: number, element = <List url={LIST(1)} />) {
  const live: Record<string, unknown> = {};
  for (let n = 1; n <= lists; n++) live[LIST(n)] = listOf(rowsOf(n, each));
  live[DETAIL] = { id: "c1", title: "Chat" };
  live[UNREAD] = { total: 3 };
  client = createClient({
    pageData: page(live as never),
    fetch: network.fetch,
    socket: network.socket,
    offline: async () => offline,
  });
  const screen = render(<PageProvider client={client}>{element}</PageProvider>);
  await act(async () => {
    network.last.welcome();
    for (const { id, url } of network.last.of("sub")) {
      const list = /chat=(\d+)/.exec(String(url))?.[1];
      const facts = list
        ? { view: Number(list), ...WINDOW }
        : { detail: true, order: "", limit: 1, end: true };
      const single = url === UNREAD ? { view: 101, computed: true, end: true } : { view: 100, ...facts };
      network.last.receive({ t: "resumed", sub: id, position: 10, ops: [], ...(list ? facts : single) });
    }
  });
  return screen;
}
const tx = (position: number, ...ops: object[]) =>
  act(async () => network.last.receive({ t: "tx", position, ops }));
const put = (view: number, changed: AnyRow) => ({ op: "put", view, id: changed.id, row: changed });
const textAt = (screen: { container: HTMLElement }, at: number) =>
  screen.container.querySelectorAll("li")[at]?.textContent;

beforeEach(() => {
  network = new FakeNetwork();
  network.user = "u1";
  renders = new Map();
});
afterEach(() => {
  cleanup();
  client.close();
});

describe("of 10,000 rows on the screen", () => {
  const all = (
    <>
      {Array.from({ length: 10 }, (_, i) => (
        <List key={LIST(i + 1)} url={LIST(i + 1)} />
      ))}
      <Title />
      <Unread />
    </>
  );

  test("one renders when one has changed, and no list", async () => {
    const screen = await show(10, 1_000, all);
    expect(screen.container.querySelectorAll("li")).toHaveLength(10_000);
    rendered();
    await tx(11, put(3, row("3-500", 500, { chat: "3", text: "changed" })));
    expect(rendered()).toEqual({ "row 3-500": 1 });
    expect(textAt(screen, 2_500)).toBe("changed");
  }, 60_000);

  test("none renders when a position has been reached, or the same row comes again", async () => {
    await show(10, 1_000, all);
    rendered();
    await tx(11);
    await act(async () => network.last.receive({ t: "pong", position: 12 }));
    await tx(13, put(3, row("3-500", 500, { chat: "3", text: "as it was" })));
    expect(client.state.documents[LIST(3)]?.position).toBe(13);
    expect(rendered()).toEqual({});
  }, 60_000);
});

describe("of some lists", () => {
  const some = (
    <>
      <List url={LIST(1)} />
      <List url={LIST(2)} />
      <Whole url={LIST(3)} />
      <Title />
      <Unread />
    </>
  );

  test("a new row renders its list, and itself", async () => {
    await show(3, 20, some);
    rendered();
    await tx(11, put(1, row("new", 100, { chat: "1" })));
    expect(rendered()).toEqual({ [`list ${LIST(1)}`]: 1, "row new": 1 });
  });

  test("a row that goes or moves renders its list alone", async () => {
    const screen = await show(3, 20, some);
    rendered();
    await tx(11, { op: "del", view: 2, id: "2-3" });
    expect(rendered()).toEqual({ [`list ${LIST(2)}`]: 1 });
    await tx(12, put(2, row("2-19", 100, { chat: "2", text: "first now" })));
    expect(rendered()).toEqual({ [`list ${LIST(2)}`]: 1, "row 2-19": 1 });
    expect(textAt(screen, 20)).toBe("first now");
  });

  test("a list that is shown as a whole renders with one of its rows, the other rows stay", async () => {
    await show(3, 20, some);
    rendered();
    await tx(11, put(3, row("3-5", 15, { chat: "3", text: "changed" })));
    expect(rendered()).toEqual({ [`whole ${LIST(3)}`]: 1, "bubble 3-5": 1 });
  });

  test("a detail and a count render when they change, and only they", async () => {
    await show(3, 20, some);
    rendered();
    await tx(11, put(100, { id: "c1", title: "Another" } as AnyRow));
    expect(rendered()).toEqual({ title: 1 });
    await tx(12, { op: "patch", view: 101, patch: { total: 4 } });
    expect(rendered()).toEqual({ unread: 1 });
    await tx(13, { op: "patch", view: 101, patch: { total: 4 } });
    expect(rendered()).toEqual({});
  });

  test("changes of many rows in one step render each once", async () => {
    await show(3, 20, some);
    rendered();
    const changed = (n: number, i: number) =>
      put(n, row(`${n}-${i}`, 20 - i, { chat: String(n), text: "x" }));
    await tx(11, changed(1, 1), changed(1, 2), changed(2, 1), changed(1, 1));
    expect(rendered()).toEqual({ "row 1-1": 1, "row 1-2": 1, "row 2-1": 1 });
  });

  test("a snap renders what it changes, and not what it says again", async () => {
    await show(3, 20, some);
    const { id } = network.last.of("sub").find(({ url }) => url === LIST(1)) ?? {};
    rendered();
    await act(async () => {
      network.last.receive({ t: "reset", sub: id, reason: "access" });
      const rows = rowsOf(1, 20).map((one) => (one.id === "1-4" ? { ...one, text: "changed" } : one));
      network.last.receive({ t: "snap", sub: id, view: 1, position: 11, ...WINDOW, document: listOf(rows) });
    });
    expect(rendered()).toEqual({ "row 1-4": 1 });
  });
});

describe("a write", () => {
  let write: (text: string) => void;
  function Writer({ method, url, body = {} }: { method: "POST" | "PATCH"; url: string; body?: object }) {
    const send = useMutation(method, url);
    write = (text) => void send({ ...body, text });
    return null;
  }
  const ID = "0190d1f2-0000-7000-8000-000000000001";
  const lists = (
    <>
      <List url={LIST(1)} />
      <List url={LIST(2)} />
      <Whole url={LIST(3)} />
      <Title />
    </>
  );

  test("over a row renders that row: sending, done, and seen in the stream", async () => {
    await show(
      3,
      20,
      <>
        {lists}
        <Writer method="PATCH" url={`/api/messages/${ID}/`} />
      </>,
    );
    await tx(11, put(1, row(ID, 50, { chat: "1", text: "mine" })));
    rendered();
    let answer = (_: Response) => {};
    network.answer = () => new Promise((resolve) => (answer = resolve));
    await act(async () => write("edited"));
    expect(rendered()).toEqual({ [`row ${ID}`]: 1 });
    const edited = row(ID, 50, { chat: "1", text: "edited" });
    await act(async () => answer(json(200, edited, { "Tims-Position": `${EPOCH}-12` })));
    expect(rendered()).toEqual({ [`row ${ID}`]: 1 });
    await tx(12, put(1, edited));
    expect(rendered()).toEqual({ [`row ${ID}`]: 1 });
  });

  test("that makes a row renders the list that takes it, and no other", async () => {
    await show(
      3,
      20,
      <>
        {lists}
        <Writer method="POST" url="/api/messages/" body={{ chat: "2" }} />
      </>,
    );
    rendered();
    await act(async () => write("hello"));
    const [made] = Object.values(client.state.mutations);
    expect(rendered()).toEqual({ [`list ${LIST(2)}`]: 1, [`row ${made?.id}`]: 2 }); // made, and failed
  });
});
