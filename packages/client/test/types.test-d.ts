/* What the compiler knows of an app's API. Checked by `npm run check`; nothing here runs. */
import type { Mutate } from "../src/react";
import { useComputed, useLive, useMutation, useRow, useTopic } from "../src/react";
import type { AnyRow, Row } from "../src/types";

interface Message extends Row {
  chat: string;
  text: string;
}
interface Chat extends Row {
  title: string;
}
interface Unread {
  total: number;
}

declare module "../src/typed" {
  interface TimsApi {
    "/api/messages/": Message;
    "/api/chats/": Chat;
    "/api/chats/archived/": Message;
    "/api/unread/": Unread;
  }
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Same<A, B>): void {}

export function Checked({ chat, id, url }: { chat: string; id: string; url: string }) {
  const list = useLive("/api/messages/");
  same<typeof list.rows, readonly Message[]>(true);
  const filtered = useLive(`/api/messages/?chat=${chat}&order=-id`);
  same<typeof filtered.rows, readonly Message[]>(true);
  const maybe = useLive(chat ? `/api/messages/?chat=${chat}` : null);
  same<typeof maybe.row, Message | null>(true);
  const detail = useLive(`/api/chats/${id}/`);
  same<typeof detail.row, Chat | null>(true);
  same<typeof detail.row, Message | null>(false);
  const named = useLive("/api/chats/archived/"); // by its own name, not as a detail
  same<typeof named.row, Message | null>(true);
  const unknown = useLive("/api/others/");
  same<typeof unknown.rows, readonly AnyRow[]>(true);
  const any = useLive(url);
  same<typeof any.rows, readonly AnyRow[]>(true);
  const told = useLive<Chat>(url);
  same<typeof told.rows, readonly Chat[]>(true);
  const under = useLive(`/api/chats/${id}/members/`); // another collection, not a chat
  same<typeof under.rows, readonly AnyRow[]>(true);

  const { row } = useRow(`/api/messages/?chat=${chat}`, id);
  same<typeof row, Message | null>(true);

  const unread = useComputed("/api/unread/");
  same<typeof unread.value, Unread | null>(true);
  // @ts-expect-error a message has no title
  list.rows[0]?.title;
  // @ts-expect-error rows are the store's own
  list.rows.push({ id: "a", chat: "", text: "" });

  const send = useMutation("POST", "/api/messages/");
  same<typeof send, Mutate<Partial<Message>, Message>>(true);
  void send({ chat, text: "hello" });
  // @ts-expect-error a text is text
  void send({ text: 1 });
  // @ts-expect-error messages have no title
  void send({ title: "hello" });
  void send().then((result) => result.ok && same<typeof result.data, Message>(true));
  const rename = useMutation("PATCH", `/api/chats/${id}/`);
  void rename({ title: "Another" });
  const free = useMutation<Chat, { anything: number }>("POST", "/api/things/");
  void free({ anything: 1 });
  const by = useMutation<Chat, { id: string }>("DELETE", (body) => `/api/chats/${body.id}/`);
  void by({ id });

  const typing = useTopic<boolean>(`/api/chats/${id}/`, "typing");
  typing.publish(true);
  // @ts-expect-error not a boolean
  typing.publish("yes");
  same<(typeof typing.said)[number]["data"], boolean>(true);
  return null;
}
