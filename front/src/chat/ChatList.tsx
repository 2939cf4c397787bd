/* All chats of the person, the latest first, each with what is unread. */
import { useLive } from "@tims/client";
import Link from "next/link";
import { useRouter } from "next/router";
import { useState } from "react";
import { useText } from "@/i18n";
import { isAway, Unkept } from "@/layout/Unkept";
import { SearchPanel } from "@/search/SearchPanel";
import type { Chat } from "@/types";
import { hueOf, initialsOf } from "@/ui/Avatar";
import { Icon } from "@/ui/Icon";
import { ShortTime } from "@/ui/Time";
import { useOnline, useUnread } from "./counts";
import { NewChatDialog } from "./NewChatDialog";

function ChatMark({ chat }: { chat: Chat }) {
  return (
    <span
      aria-hidden="true"
      className="rounded-field flex size-11 shrink-0 items-center justify-center font-semibold text-white"
      style={{ backgroundColor: `oklch(48% 0.095 ${hueOf(chat.id)})` }}
    >
      {initialsOf(chat.title)}
    </span>
  );
}

function ChatItem({ chat, unread, open }: { chat: Chat; unread: number; open: boolean }) {
  const { t } = useText();
  return (
    <li>
      <Link
        href={`/chat/${chat.id}`}
        aria-current={open ? "page" : undefined}
        className={`rounded-field flex items-center gap-3 px-3 py-2.5 ${open ? "bg-primary/12" : "hover:bg-base-content/5"}`}
      >
        <ChatMark chat={chat} />
        <span className="flex min-w-0 grow flex-col">
          <span className={`truncate ${unread > 0 ? "font-semibold" : "font-medium"}`}>
            <bdi>{chat.title}</bdi>
          </span>
          <span className="text-soft text-sm">
            <ShortTime iso={chat.last_message_at} />
          </span>
        </span>
        {unread > 0 && (
          <span className="badge badge-primary badge-sm font-semibold">
            {unread > 99 ? "99+" : unread}
            <span className="sr-only"> {t("nav.unread")}</span>
          </span>
        )}
      </Link>
    </li>
  );
}

/** Its line is always there, so that nothing moves when the number comes. */
function Online() {
  const { t } = useText();
  const count = useOnline();
  return (
    <p className="text-soft flex h-4 items-center gap-1.5 text-xs">
      {count !== null && (
        <>
          <span className="bg-success size-2 rounded-full" aria-hidden="true" />
          <bdi>{t("chats.online", { count })}</bdi>
        </>
      )}
    </p>
  );
}

export function ChatList({ open }: { open?: string | undefined }) {
  const { t } = useText();
  const chats = useLive("/api/chats/");
  const { counts } = useUnread();
  const router = useRouter();
  const [starting, setStarting] = useState(false);
  const Heading = open === undefined ? "h1" : "h2"; // beside a conversation, its title is the first
  const settled = chats.state !== "loading";
  const unkept = chats.rows.length === 0 && isAway(chats.problem);
  return (
    <div className="flex h-full min-h-0 flex-col">
      <header className="flex h-16 shrink-0 items-center justify-between px-5">
        <div className="leading-tight">
          <Heading className="text-xl font-semibold tracking-tight">{t("chats.title")}</Heading>
          <Online />
        </div>
        <button type="button" className="btn btn-primary btn-sm" onClick={() => setStarting(true)}>
          <Icon name="plus" className="size-4" /> {t("chats.new")}
        </button>
      </header>
      <SearchPanel
        chat={null}
        label={t("search.everywhere")}
        onOpen={(message) => void router.push(`/chat/${message.chat}?message=${message.id}`)}
      >
        <nav
          aria-label={t("chats.title")}
          className="min-h-0 grow overflow-y-auto px-2 pb-4"
          aria-busy={!settled}
        >
          <ul className="flex flex-col gap-0.5">
            {chats.rows.map((chat) => (
              <ChatItem key={chat.id} chat={chat} unread={counts[chat.id] ?? 0} open={chat.id === open} />
            ))}
          </ul>
          {unkept && <Unkept />}
          {chats.rows.length === 0 && settled && !unkept && (
            <p className="text-soft px-3 py-8 text-center">{t("chats.none")}</p>
          )}
          {chats.rows.length === 0 && !settled && !unkept && <Placeholder />}
          {chats.next && (
            <button
              type="button"
              className="btn btn-ghost btn-sm mt-2 w-full"
              onClick={() => void chats.loadMore()}
            >
              {t("chats.more")}
            </button>
          )}
        </nav>
      </SearchPanel>
      {starting && <NewChatDialog onClose={() => setStarting(false)} />}
    </div>
  );
}

function Placeholder() {
  return (
    <div className="flex flex-col gap-3 px-3 py-2" aria-hidden="true">
      {["a", "b", "c", "d"].map((key) => (
        <div key={key} className="flex items-center gap-3">
          <div className="skeleton rounded-field size-11" />
          <div className="skeleton h-4 grow" />
        </div>
      ))}
    </div>
  );
}
