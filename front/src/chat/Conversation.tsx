/* One chat: its head, its messages, and where to write. */
import { useClient, useLive, useMutation, useUser } from "@tims/client";
import Link from "next/link";
import { useEffect, useState } from "react";
import { type Chat, type Member, type Message, nameOf } from "@/types";
import { Icon } from "@/ui/Icon";
import { Composer } from "./Composer";
import { MembersDialog } from "./MembersDialog";
import { MessageList } from "./MessageList";
import { type People, usePeople } from "./usePeople";

/** While the chat is looked at, nothing in it stays unread. */
function useMarkRead(chat: string, unread: number) {
  const client = useClient();
  useEffect(() => {
    if (unread === 0) return;
    const mark = () => {
      if (document.visibilityState !== "visible") return;
      client.api("POST", `/api/chats/${chat}/read/`).catch(() => {}); // the count stays, and with it the next try
    };
    mark();
    document.addEventListener("visibilitychange", mark);
    return () => document.removeEventListener("visibilitychange", mark);
  }, [client, chat, unread]);
}

function Head({ chat, members, people, onMembers }: HeadProps) {
  const names = members.map((member) => nameOf(people[member.user])).join(", ");
  return (
    <header className="border-base-content/8 bg-base-100 flex h-16 shrink-0 items-center gap-2 border-b px-3 md:px-5">
      <Link href="/chats" className="btn btn-ghost btn-circle btn-sm md:hidden" aria-label="All chats">
        <Icon name="back" />
      </Link>
      <div className="min-w-0 grow">
        <h1 className="truncate leading-tight font-semibold">{chat?.title ?? " "}</h1>
        <p className="text-soft truncate text-sm">{names}</p>
      </div>
      <button type="button" className="btn btn-ghost btn-sm" onClick={onMembers} disabled={!chat}>
        <Icon name="people" />
        <span className="max-sm:sr-only">Members</span>
      </button>
    </header>
  );
}

interface HeadProps {
  chat: Chat | null;
  members: readonly Member[];
  people: People;
  onMembers: () => void;
}

function Gone() {
  return (
    <div className="flex h-full flex-col items-center justify-center gap-3 p-8 text-center">
      <h1 className="text-xl font-semibold">This chat is not there</h1>
      <p className="text-soft">It is gone, or you are not in it any more.</p>
      <Link href="/chats" className="btn btn-primary">
        All chats
      </Link>
    </div>
  );
}

export function Conversation({ id }: { id: string }) {
  const me = useUser();
  const chat = useLive<Chat>(`/api/chats/${id}/`);
  const members = useLive<Member>(`/api/members/?chat=${id}&include=user`);
  const messages = useLive<Message>(`/api/messages/?chat=${id}`);
  const people = usePeople(members.included.user, messages.rows);
  const send = useMutation("POST", "/api/messages/");
  const [showsMembers, setShowsMembers] = useState(false);
  useMarkRead(id, members.rows.find((member) => member.user === me?.id)?.unread ?? 0);
  if (chat.row === null && chat.state !== "loading") return <Gone />;
  return (
    <section className="flex h-full min-h-0 flex-col" aria-label={chat.row?.title ?? "Chat"}>
      <Head chat={chat.row} members={members.rows} people={people} onMembers={() => setShowsMembers(true)} />
      <MessageList messages={messages} members={members.rows} people={people} />
      <Composer
        onSend={(text) =>
          void send(
            { chat: id, text },
            { optimistic: { sender: me?.id, created_at: new Date().toISOString() } },
          )
        }
      />
      {showsMembers && chat.row && (
        <MembersDialog
          chat={chat.row}
          members={members}
          people={people}
          onClose={() => setShowsMembers(false)}
        />
      )}
    </section>
  );
}
