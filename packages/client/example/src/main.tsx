/* The demo's chats with plain Vite and React: no Next, no page rendered by a server. Who is signed in is asked first; what
 * is shown then is followed, and stays alive. */

import {
  createClient,
  newId,
  PageProvider,
  type User,
  useClient,
  useConnection,
  useLive,
  useLiveIds,
  useMutation,
  usePresence,
  useRow,
  useTopic,
  useUser,
} from "@tims/client";
import type { components, paths } from "@tims/client/generated";
import { VirtualList } from "@tims/client/list";
import { type FormEvent, memo, useEffect, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";

type Chat = components["schemas"]["Chat"];

declare module "@tims/client" {
  interface TimsApi extends paths {}
}

interface Session {
  user: User | null;
  csrf: string;
}

/** What a form was filled with. */
function fieldsOf(event: FormEvent<HTMLFormElement>): Record<string, string> {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>;
  event.currentTarget.reset();
  return fields;
}

function SignIn() {
  const client = useClient();
  const [problem, setProblem] = useState("");
  const signIn = async (fields: Record<string, string>) => {
    try {
      const { data } = await client.api<Session>("POST", "/api/auth/login/", { body: fields });
      client.setSession(data.user, data.csrf);
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  return (
    <form className="bar" onSubmit={(event) => void signIn(fieldsOf(event))}>
      <input name="username" aria-label="Name" autoComplete="username" required />
      <input name="password" aria-label="Password" type="password" autoComplete="current-password" required />
      <button type="submit">Sign in</button>
      <output>{problem}</output>
    </form>
  );
}

/** Renders when its message changes, and at no other time. */
const Bubble = memo(function Bubble({ list, id }: { list: `/api/messages/?chat=${string}`; id: string }) {
  const { row, pending } = useRow(list, id);
  return (
    <div data-message={id} data-pending={pending?.status}>
      {row?.text}
    </div>
  );
});

const idOf = (id: string) => id;

function Chatting({ chat }: { chat: Chat }) {
  const me = useUser();
  const list = `/api/messages/?chat=${chat.id}` as const;
  const { ids, next, loadMore } = useLiveIds(list);
  const oldestFirst = useMemo(() => [...ids].reverse(), [ids]);
  const send = useMutation("POST", "/api/messages/");
  const here = usePresence(`/api/chats/${chat.id}/`);
  const typing = useTopic<boolean>(`/api/chats/${chat.id}/`, "typing");
  const isTyping = typing.said.some(({ data }) => data);
  return (
    <>
      <h2>
        {chat.title} · {here.count} here {isTyping && "· somebody is writing"}
      </h2>
      <VirtualList
        rows={oldestFirst}
        keyOf={idOf}
        label="Messages"
        anchor="end"
        next={next}
        loadMore={loadMore}
        edge={({ loading, load }) => (
          <button type="button" disabled={loading} onClick={load}>
            Earlier messages
          </button>
        )}
        className="box"
        listClassName="list"
        rowClassName="row"
      >
        {(id) => <Bubble list={list} id={id} />}
      </VirtualList>
      <form
        className="bar"
        onSubmit={(event) => {
          const { text = "" } = fieldsOf(event);
          const optimistic = { sender: me?.id, created_at: new Date().toISOString() };
          void send({ id: newId(), chat: chat.id, text }, { optimistic });
        }}
      >
        <input
          name="text"
          aria-label="Message"
          autoComplete="off"
          required
          onChange={() => typing.publish(true)}
        />
        <button type="submit">Send</button>
      </form>
    </>
  );
}

function Chats() {
  const chats = useLive("/api/chats/");
  const [open, setOpen] = useState<string | null>(null);
  const chat = chats.rows.find(({ id }) => id === open) ?? chats.row;
  return (
    <>
      <nav className="bar" aria-label="Chats">
        {chats.rows.map(({ id, title }) => (
          <button key={id} type="button" aria-pressed={id === chat?.id} onClick={() => setOpen(id)}>
            {title}
          </button>
        ))}
      </nav>
      {chat && <Chatting key={chat.id} chat={chat} />}
    </>
  );
}

function App() {
  const client = useClient();
  const user = useUser();
  const { status } = useConnection();
  const [isKnown, setKnown] = useState(false);
  useEffect(() => {
    client
      .api<Session>("GET", "/api/auth/me/")
      .then(({ data }) => client.setSession(data.user, data.csrf))
      .catch(() => client.restore()) // no server: what was here last
      .finally(() => setKnown(true));
  }, [client]);
  return (
    <main className="page">
      <h1>
        Chats <small>{status}</small>
      </h1>
      {user ? <Chats /> : isKnown && <SignIn />}
    </main>
  );
}

const client = createClient();
const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <PageProvider client={client}>
      <App />
    </PageProvider>,
  );
