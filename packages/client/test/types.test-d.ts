/* What the compiler knows of an app's API. Checked by `npm run check`; nothing here runs. */

import type { Client } from "../src/client";
import type { Mutate } from "../src/react";
import { useComputed, useLive, useMutation, useRow, useTopic } from "../src/react";
import type { AnyRow, Row } from "../src/types";

interface Message extends Row {
  chat: string;
  text: string;
}
interface NewMessage {
  id?: string;
  chat: string;
  text: string;
}
interface Chat extends Row {
  title: string;
}
interface Unread {
  total: number;
}

/* As openapi-typescript writes them. */
interface Json<T> {
  headers: { [name: string]: unknown };
  content: { "application/json": T; "text/event-stream": string };
}
interface Problems {
  default: Json<{ code: string }>;
}
interface List<T> {
  responses: Problems & { 200: Json<{ rows: T[]; next?: string | null; position?: string }> };
}
interface Detail<T> {
  responses: Problems & { 200: Json<T> };
}
interface Write<B, R> {
  requestBody: { content: { "application/json": B } };
  responses: Problems & R;
}
interface Empty {
  headers: { [name: string]: unknown };
  content?: never;
}

declare module "../src/typed" {
  interface TimsApi {
    "/api/messages/": {
      parameters: { query?: never };
      get: List<Message>;
      post: Write<NewMessage, { 201: Json<Message> }>;
      patch?: never;
    };
    "/api/messages/{id}/": { get: Detail<Message>; delete: { responses: { 204: Empty } } };
    "/api/chats/": { get: List<Chat> };
    "/api/chats/{id}/": { get: Detail<Chat>; patch: Write<{ title?: string }, { 200: Json<Chat> }> };
    "/api/chats/{chat}/read/": { post: { requestBody?: never; responses: { 204: Empty } } };
    "/api/chats/{chat}/pictures/": {
      post: {
        requestBody: { content: { "multipart/form-data": { file: string } } };
        responses: { 201: Json<Message> };
      };
    };
    "/api/chats/archived/": { get: List<Message> };
    "/api/unread/": { get: Detail<Unread> };
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
  same<typeof send, Mutate<NewMessage, Message>>(true);
  void send({ chat, text: "hello" });
  // @ts-expect-error a text is text
  void send({ chat, text: 1 });
  // @ts-expect-error a chat is needed
  void send({ text: "hello" });
  // @ts-expect-error messages have no title
  void send({ chat, text: "hello", title: "hello" });
  void send().then((result) => result.ok && same<typeof result.data, Message>(true));
  const rename = useMutation("PATCH", `/api/chats/${id}/`);
  void rename({ title: "Another" });
  const read = useMutation("POST", `/api/chats/${id}/read/`);
  void read();
  // @ts-expect-error nothing is to be sent
  void read({ title: "hello" });
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

export async function calls(client: Client, id: string, url: string, form: FormData): Promise<void> {
  const list = await client.api("GET", `/api/messages/?chat=${id}&limit=${20}`);
  same<typeof list.data.rows, Message[]>(true);
  const made = await client.api("POST", "/api/messages/", { body: { chat: id, text: "hello" } });
  same<typeof made.data, Message>(true);
  // @ts-expect-error a chat is needed
  await client.api("POST", "/api/messages/", { body: { text: "hello" } });
  const gone = await client.api("DELETE", `/api/messages/${id}/`);
  same<typeof gone.data, null>(true);
  await client.api("POST", `/api/chats/${id}/pictures/`, { body: form });
  // @ts-expect-error a file goes in a form
  await client.api("POST", `/api/chats/${id}/pictures/`, { body: { file: "" } });
  const unknown = await client.api("GET", url);
  same<typeof unknown.data, unknown>(true);
  const told = await client.api<Chat>("POST", url, { body: { anything: 1 } });
  same<typeof told.data, Chat>(true);
}
