/* One chat: its head, its messages, and where to write. */
import {
  useClient,
  useConnection,
  useConnectionTruth,
  useLive,
  useMutation,
  usePresence,
  useTopic,
  useUser,
} from "@tims/client";
import type { VirtualListHandle } from "@tims/client/list";
import Link from "next/link";
import { useEffect, useMemo, useRef, useState } from "react";
import { useText } from "@/i18n";
import { isAway, Unkept } from "@/layout/Unkept";
import { DropZone } from "@/pictures/DropZone";
import { useDrafts } from "@/pictures/useDrafts";
import { SearchPanel } from "@/search/SearchPanel";
import type { Chat, Member } from "@/types";
import { FormError } from "@/ui/Field";
import { Icon } from "@/ui/Icon";
import { Composer } from "./Composer";
import { useUnread } from "./counts";
import { useDice } from "./dice";
import { ExportLine, useExport } from "./Export";
import { MembersDialog } from "./MembersDialog";
import { MessageList } from "./MessageList";
import { TYPING, typingLine, typists } from "./typing";
import { useHistory } from "./useHistory";
import { useJump } from "./useJump";
import { type People, useNameOf, usePeople } from "./usePeople";

/** While the chat is looked at, nothing in it stays unread. */
export function useMarkRead(chat: string, unread: number) {
  const client = useClient();
  const isLive = useConnection().status === "live";
  // biome-ignore lint/correctness/useExhaustiveDependencies: what failed is tried again when the connection is back
  useEffect(() => {
    if (unread === 0) return;
    const mark = () => {
      if (document.visibilityState !== "visible") return;
      client.api("POST", `/api/chats/${chat}/read/`).catch(() => {}); // the count stays, and with it the next try
    };
    mark();
    document.addEventListener("visibilitychange", mark);
    return () => document.removeEventListener("visibilitychange", mark);
  }, [client, chat, unread, isLive]);
}

function Head(props: HeadProps) {
  const { chat, members, people, here, partial, onSearch, searches, onThrow, onExport, onMembers } = props;
  const { t } = useText();
  const nameOf = useNameOf();
  const names = members.map((member) => nameOf(people[member.user])).join(", ");
  return (
    <header className="border-base-content/8 bg-base-100 flex h-16 shrink-0 items-center gap-2 border-b px-3 md:px-5">
      <Link href="/chats" className="btn btn-ghost btn-circle btn-sm md:hidden" aria-label={t("chat.all")}>
        <Icon name="back" />
      </Link>
      <div className="min-w-0 grow">
        <h1 className="truncate leading-tight font-semibold">
          <bdi>{chat?.title ?? " "}</bdi>
        </h1>
        <p className="text-soft flex gap-1 text-sm">
          <bdi className="truncate">{names}</bdi>
          {/* Behind the names: whoever comes or goes must not move them. */}
          {here > 1 && (
            <span className="text-base-content shrink-0 font-medium">
              · {t(partial ? "chat.here_at_least" : "chat.here", { count: here })}
            </span>
          )}
        </p>
      </div>
      <button
        type="button"
        className="btn btn-ghost btn-sm"
        onClick={onSearch}
        aria-label={t("search.in_chat")}
        aria-expanded={searches}
      >
        <Icon name="search" />
      </button>
      <button
        type="button"
        className="btn btn-ghost btn-sm"
        onClick={onThrow ?? undefined}
        disabled={!onThrow}
        aria-label={t("chat.throw")}
      >
        <Icon name="die" />
      </button>
      <button
        type="button"
        className="btn btn-ghost btn-sm"
        onClick={onExport}
        disabled={!chat}
        aria-label={t("chat.export")}
      >
        <Icon name="down" />
      </button>
      <button type="button" className="btn btn-ghost btn-sm" onClick={onMembers} disabled={!chat}>
        <Icon name="people" />
        <span className="max-sm:sr-only">{t("chat.members")}</span>
      </button>
    </header>
  );
}

interface HeadProps {
  chat: Chat | null;
  members: readonly Member[];
  people: People;
  /** How many look at it now, oneself too. */
  here: number;
  /** There may be more, whom the server cannot hear at the moment. */
  partial: boolean;
  onSearch: () => void;
  /** The search is open. */
  searches: boolean;
  onThrow: (() => void) | null;
  onExport: () => void;
  onMembers: () => void;
}

/** What happens just now. Its line is always there, so that nothing moves when somebody begins to write. */
function Passing({ text }: { text: string }) {
  return (
    <p aria-live="polite" className="text-soft mx-auto h-5 w-full max-w-3xl truncate px-1 text-xs">
      {text}
    </p>
  );
}

function Gone() {
  const { t } = useText();
  return (
    <div className="flex h-full flex-col items-center justify-center gap-3 p-8 text-center">
      <h1 className="text-xl font-semibold">{t("chat.gone")}</h1>
      <p className="text-soft">{t("chat.gone_text")}</p>
      <Link href="/chats" className="btn btn-primary">
        {t("chat.all")}
      </Link>
    </div>
  );
}

/** `message`: the one that the address leads to. */
export function Conversation({ id, message }: { id: string; message: string | null }) {
  const { t } = useText();
  const nameOf = useNameOf();
  const me = useUser();
  const chat = useLive(`/api/chats/${id}/`);
  const members = useLive(`/api/members/?chat=${id}&include=user`);
  const history = useHistory(id);
  const list = useRef<VirtualListHandle>(null);
  const jump = useJump(history, list, message);
  const [searches, setSearches] = useState(false);
  const people = usePeople(members.included.user, history.rows);
  const send = useMutation("POST", "/api/messages/");
  const here = usePresence(`/api/chats/${id}/`);
  const typing = useTopic<boolean>(`/api/chats/${id}/`, TYPING);
  const dice = useDice(id);
  const drafts = useDrafts(id);
  const connection = useConnectionTruth().state;
  const away = connection === "offline" || connection === "reconnecting";
  const writing = typingLine(
    typists(typing.said).map((user) => nameOf(people[user])),
    t,
  );
  const thrown =
    dice.last && t("chat.thrown", { name: nameOf(people[dice.last.user]), pips: dice.last.pips });
  const present = useMemo(() => new Set(here.users.map((user) => user.id)), [here.users]);
  const [showsMembers, setShowsMembers] = useState(false);
  const exporting = useExport(id);
  useMarkRead(id, useUnread().counts[id] ?? 0);
  if (chat.row === null && isAway(chat.problem)) return <Unkept />;
  if (chat.row === null && chat.state !== "loading") return <Gone />;
  return (
    <DropZone label={chat.row?.title ?? t("chat.title")} onFiles={(files) => void drafts.add(files)}>
      <Head
        chat={chat.row}
        members={members.rows}
        people={people}
        here={here.count}
        partial={here.partial}
        onSearch={() => setSearches(!searches)}
        searches={searches}
        onThrow={dice.throwDie}
        onExport={exporting.begin}
        onMembers={() => setShowsMembers(true)}
      />
      <FormError>{exporting.problem}</FormError>
      {exporting.job && (
        <ExportLine
          key={exporting.job}
          id={exporting.job}
          title={chat.row?.title ?? "chat"}
          onClose={exporting.close}
        />
      )}
      {searches && (
        <div className="border-base-content/8 bg-base-100 flex max-h-[50dvh] shrink-0 flex-col border-b pt-2">
          <SearchPanel
            chat={id}
            label={t("search.in_chat")}
            focused
            onOpen={jump.to}
            onClose={() => setSearches(false)}
          />
        </div>
      )}
      <FormError>{jump.failed ? t("search.unreachable") : null}</FormError>
      <MessageList
        history={history}
        members={members.rows}
        people={people}
        present={present}
        found={jump.found}
        list={list}
      />
      <div className="px-3 md:px-5">
        <Passing text={thrown ?? writing} />
      </div>
      <Composer
        drafts={drafts}
        away={away}
        onTyping={typing.publish}
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
          present={present}
          onClose={() => setShowsMembers(false)}
        />
      )}
    </DropZone>
  );
}
