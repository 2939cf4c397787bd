/* The messages of a chat, the newest at the bottom: a list of any length, in which only what is near the window is in the
 * document. It begins at the newest message without any script, and stays where the reader is when others come. */
import { type LiveResult, type Mutation, useUser } from "@tims/client";
import { VirtualList, type VirtualListHandle } from "@tims/client/list";
import { memo, type RefObject, useEffect, useMemo, useState } from "react";
import { useText } from "@/i18n";
import { MessagePicture } from "@/pictures/MessagePicture";
import type { Member, Message, Picture } from "@/types";
import { PresentAvatar } from "@/ui/Avatar";
import { Icon } from "@/ui/Icon";
import { ClockTime, DayName, useHydrated } from "@/ui/Time";
import { type Entry, findLinks, makeTimeline } from "./timeline";
import { Undone } from "./Undone";
import type { History } from "./useHistory";
import { type People, useNameOf } from "./usePeople";

function MessageText({ text }: { text: string }) {
  let at = 0;
  return findLinks(text).map((piece) => {
    const key = at;
    at += "href" in piece ? piece.href.length : piece.text.length;
    return "href" in piece ? (
      <a
        key={key}
        href={piece.href}
        className="underline underline-offset-2"
        target="_blank"
        rel="noreferrer noopener"
      >
        {piece.href}
      </a>
    ) : (
      <span key={key}>{piece.text}</span>
    );
  });
}

function Readers({ readers, people }: { readers: string[]; people: People }) {
  const { t } = useText();
  const nameOf = useNameOf();
  if (readers.length === 0) return null;
  const names = readers.map((id) => nameOf(people[id])).join(", ");
  return (
    <p className="text-soft flex items-center justify-end gap-1 text-xs" title={t("chat.read_by", { names })}>
      <Icon name="check" className="size-3.5" />
      <span className="max-w-60 truncate">{t("chat.read_by", { names })}</span>
    </p>
  );
}

interface BubbleProps {
  entry: Entry;
  people: People;
  picture: Picture | undefined;
  mine: boolean;
  present: boolean;
  mutation: Mutation | undefined;
  found: boolean;
}

/** When it was sent, and whether it is on its way: after the last word, or over the picture's corner. */
function Stamp({ message, mutation }: { message: Message; mutation: Mutation | undefined }) {
  const { t } = useText();
  return (
    <span className="float-end ms-3 mt-1.5 flex translate-y-0.5 items-center gap-1 text-[0.6875rem] leading-none">
      <ClockTime iso={message.created_at} />
      {(mutation?.status === "sending" || mutation?.status === "waiting") && (
        <>
          <Icon name="clock" className="size-3" />
          <span className="sr-only">{t("chat.sending")}</span>
        </>
      )}
    </span>
  );
}

const Bubble = memo(function Bubble({ entry, people, picture, mine, present, mutation, found }: BubbleProps) {
  const { t } = useText();
  const nameOf = useNameOf();
  const { message, startsDay, startsRun, endsRun } = entry;
  const sender = people[message.sender];
  const colours = mine ? "bg-primary text-primary-content" : "bg-base-100 border border-base-content/8";
  const corner = endsRun ? (mine ? "rounded-ee-md" : "rounded-es-md") : "";
  const mark = found ? "outline-accent outline-3 outline-offset-2" : "";
  return (
    <>
      {startsDay && (
        <p className="text-soft flex justify-center pt-5 pb-1 text-xs font-medium">
          <DayName iso={message.created_at} />
        </p>
      )}
      <div data-message={message.id} className={`flex flex-col ${startsRun ? "pt-3" : "pt-0.5"}`}>
        <div className={`flex items-end gap-2 ${mine ? "justify-end" : ""}`}>
          {!mine && (
            <span className="w-7 shrink-0">
              {endsRun && <PresentAvatar person={sender} size="small" present={present} />}
            </span>
          )}
          <div className="flex max-w-[85%] min-w-0 flex-col md:max-w-[72%]">
            <p className={startsRun && !mine ? "text-soft px-3 pb-0.5 text-xs font-medium" : "sr-only"}>
              <bdi>{mine ? t("chat.you") : nameOf(sender)}</bdi>
            </p>
            <div
              dir="auto"
              className={`rounded-2xl leading-snug [overflow-wrap:anywhere] whitespace-pre-wrap ${picture ? "p-1.5" : "px-3.5 py-2"} ${colours} ${corner} ${mark} ${mutation ? "opacity-80" : ""}`}
            >
              {picture && <MessagePicture picture={picture} from={nameOf(sender)} />}
              <div className={picture ? "flow-root px-2 pt-1 pb-0.5" : "contents"}>
                <MessageText text={message.text} />
                <Stamp message={message} mutation={mutation} />
              </div>
            </div>
          </div>
        </div>
        {mutation && <Undone mutation={mutation} />}
        <Readers readers={entry.readers} people={people} />
      </div>
    </>
  );
});

/** Says new messages of others to screen readers, once each; not what was there already. */
function Announcer({ messages, people, me }: { messages: LiveResult<Message>; people: People; me: string }) {
  const { t } = useText();
  const nameOf = useNameOf();
  const newest = messages.rows[0];
  const [first, setFirst] = useState<string | null>(null);
  if (first === null && messages.state !== "loading") setFirst(newest?.id ?? "");
  const isNew = first !== null && newest !== undefined && newest.id !== first && newest.sender !== me;
  const name = isNew ? nameOf(people[newest.sender]) : "";
  return (
    <p aria-live="polite" className="sr-only">
      {isNew && (newest.text ? t("chat.says", { name, text: newest.text }) : t("pictures.of", { name }))}
    </p>
  );
}

/** How many messages of others have come since the reader scrolled away from the newest. */
function useMissed(rows: readonly Message[], me: string, away: boolean): number {
  const [left, setLeft] = useState<Message | null>(null);
  const newest = rows[0] ?? null;
  if (!away && left !== newest) setLeft(newest); // while rendering: it costs nothing
  if (!away || left === null) return 0;
  const index = rows.findIndex(({ id }) => id === left.id);
  return rows.slice(0, Math.max(0, index)).filter(({ sender }) => sender !== me).length;
}

interface ToNewestProps {
  missed: number;
  onClick: () => void;
}

function ToNewest({ missed, onClick }: ToNewestProps) {
  const { t } = useText();
  const shape = missed > 0 ? "btn-primary rounded-full" : "btn-circle";
  return (
    <button
      type="button"
      className={`btn absolute end-4 bottom-4 shadow-lg ${shape}`}
      aria-label={missed > 0 ? undefined : t("chat.to_newest")}
      onClick={onClick}
    >
      {missed > 0 && t("chat.new_messages", { count: missed })}
      <Icon name="down" />
    </button>
  );
}

const scrollBehavior = (): ScrollBehavior =>
  window.matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";

const keyOf = (entry: Entry) => entry.message.id;

interface MessageListProps {
  history: History;
  members: readonly Member[];
  people: People;
  /** Ids of those who look at the chat now. */
  present: ReadonlySet<string>;
  /** The message that somebody has jumped to: it stands out. */
  found: string | null;
  list: RefObject<VirtualListHandle | null>;
}

export function MessageList({ history, members, people, present, found, list }: MessageListProps) {
  const { t } = useText();
  const me = useUser()?.id ?? "";
  const local = useHydrated();
  const [away, setAway] = useState(false);
  const { rows, pictures, live } = history;
  const timeline = useMemo(() => makeTimeline(rows, members, me, local), [rows, members, me, local]);
  const missed = useMissed(rows, me, away);
  const newest = rows[0];
  const written = newest && live.pending[newest.id]?.kind === "create" ? newest.id : null;
  useEffect(() => {
    if (written !== null) list.current?.scrollToEnd("auto"); // whoever writes wants to see it
  }, [written, list]);
  return (
    <div className="relative min-h-0 grow">
      <VirtualList
        ref={list}
        rows={timeline}
        keyOf={keyOf}
        label={t("chat.messages")}
        anchor="end"
        next={history.next}
        loadMore={history.loadMore}
        onAway={setAway}
        className="h-full overscroll-contain px-3 md:px-5"
        innerClassName="mx-auto w-full max-w-3xl pb-4"
        edge={({ loading, load }) => (
          <div className="flex justify-center pt-4">
            <button type="button" className="btn btn-sm" disabled={loading} onClick={load}>
              {loading ? t("chat.loading") : t("chat.earlier")}
            </button>
          </div>
        )}
        empty={live.state !== "loading" && <p className="text-soft py-10 text-center">{t("chat.empty")}</p>}
      >
        {(entry) => (
          <Bubble
            entry={entry}
            people={people}
            picture={entry.message.picture ? pictures[entry.message.picture] : undefined}
            mine={entry.message.sender === me}
            present={present.has(entry.message.sender)}
            mutation={live.pending[entry.message.id]}
            found={entry.message.id === found}
          />
        )}
      </VirtualList>
      {away && <ToNewest missed={missed} onClick={() => list.current?.scrollToEnd(scrollBehavior())} />}
      <Announcer messages={live} people={people} me={me} />
    </div>
  );
}
