/* The messages of a chat. The scroll box is turned upside down (column-reverse) around one list in natural order: it
 * begins at the newest message without any script, and stays where the reader is when older ones are put on top. */
import { type LiveResult, type Mutation, useClient, useUser } from "@tims/client";
import { memo, type RefObject, useEffect, useMemo, useRef, useState } from "react";
import { useProblemText, useText } from "@/i18n";
import type { Member, Message } from "@/types";
import { PresentAvatar } from "@/ui/Avatar";
import { Icon } from "@/ui/Icon";
import { ClockTime, DayName, useHydrated } from "@/ui/Time";
import { type Entry, findLinks, makeTimeline } from "./timeline";
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

function Failed({ mutation }: { mutation: Mutation }) {
  const { t } = useText();
  const problemText = useProblemText();
  const client = useClient();
  return (
    <p
      className="text-error flex flex-wrap items-center justify-end gap-x-2 text-sm font-medium"
      role="alert"
    >
      <Icon name="warning" className="size-4" />
      {problemText.of(mutation.problem) ?? t("chat.not_sent")}
      <button type="button" className="link" onClick={() => void client.retry(mutation.key)}>
        {t("chat.retry")}
      </button>
      <button type="button" className="link" onClick={() => client.discard(mutation.key)}>
        {t("chat.discard")}
      </button>
    </p>
  );
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
  mine: boolean;
  present: boolean;
  mutation: Mutation | undefined;
}

const Bubble = memo(function Bubble({ entry, people, mine, present, mutation }: BubbleProps) {
  const { t } = useText();
  const nameOf = useNameOf();
  const { message, startsRun, endsRun } = entry;
  const sender = people[message.sender];
  const colours = mine ? "bg-primary text-primary-content" : "bg-base-100 border border-base-content/8";
  const corner = endsRun ? (mine ? "rounded-ee-md" : "rounded-es-md") : "";
  return (
    <li data-message={message.id} className={`flex flex-col ${startsRun ? "pt-3" : "pt-0.5"}`}>
      <div className={`flex items-end gap-2 ${mine ? "justify-end" : ""}`}>
        {!mine && (
          <span className="w-7 shrink-0">
            {endsRun && <PresentAvatar person={sender} size="small" present={present} />}
          </span>
        )}
        <div className="flex max-w-[85%] flex-col md:max-w-[72%]">
          <p className={startsRun && !mine ? "text-soft px-3 pb-0.5 text-xs font-medium" : "sr-only"}>
            {mine ? t("chat.you") : nameOf(sender)}
          </p>
          <div
            className={`rounded-2xl px-3.5 py-2 leading-snug [overflow-wrap:anywhere] whitespace-pre-wrap ${colours} ${corner} ${mutation ? "opacity-80" : ""}`}
          >
            <MessageText text={message.text} />
            <span className="float-end mt-1.5 ms-3 flex translate-y-0.5 items-center gap-1 text-[0.6875rem] leading-none">
              <ClockTime iso={message.created_at} />
              {mutation?.status === "sending" && (
                <>
                  <Icon name="clock" className="size-3" />
                  <span className="sr-only">{t("chat.sending")}</span>
                </>
              )}
            </span>
          </div>
        </div>
      </div>
      {mutation?.status === "failed" && <Failed mutation={mutation} />}
      <Readers readers={entry.readers} people={people} />
    </li>
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
  return (
    <p aria-live="polite" className="sr-only">
      {isNew ? t("chat.says", { name: nameOf(people[newest.sender]), text: newest.text }) : ""}
    </p>
  );
}

/** Loads earlier messages when the reader comes near the top. */
function useLoadNearTop(
  box: RefObject<HTMLElement | null>,
  mark: RefObject<HTMLElement | null>,
  load: () => void,
) {
  useEffect(() => {
    if (!mark.current || !box.current) return;
    const observer = new IntersectionObserver(
      (entries) => entries.some((entry) => entry.isIntersecting) && load(),
      {
        root: box.current,
        rootMargin: "300px 0px 0px 0px",
      },
    );
    observer.observe(mark.current);
    return () => observer.disconnect();
  }, [box, mark, load]);
}

function Earlier({ messages, box }: { messages: LiveResult<Message>; box: RefObject<HTMLElement | null> }) {
  const { t } = useText();
  const mark = useRef<HTMLDivElement>(null);
  const [loading, setLoading] = useState(false);
  const { loadMore } = messages;
  const load = useMemo(() => {
    let running = false;
    return async () => {
      if (running) return;
      running = true;
      setLoading(true);
      await loadMore().catch(() => {}); // the button stays
      running = false;
      setLoading(false);
    };
  }, [loadMore]);
  const loadWhenScrolled = useMemo(
    () => () => {
      if (box.current && box.current.scrollTop !== 0) void load(); // 0 is the bottom: nobody has scrolled yet
    },
    [load, box],
  );
  useLoadNearTop(box, mark, loadWhenScrolled);
  return (
    <div ref={mark} className="flex justify-center pt-4">
      <button type="button" className="btn btn-sm" disabled={loading} onClick={() => void load()}>
        {loading ? t("chat.loading") : t("chat.earlier")}
      </button>
    </div>
  );
}

interface MessageListProps {
  messages: LiveResult<Message>;
  members: readonly Member[];
  people: People;
  /** Ids of those who look at the chat now. */
  present: ReadonlySet<string>;
}

export function MessageList({ messages, members, people, present }: MessageListProps) {
  const { t } = useText();
  const me = useUser()?.id ?? "";
  const local = useHydrated();
  const box = useRef<HTMLElement>(null);
  const [away, setAway] = useState(false);
  const timeline = useMemo(
    () => makeTimeline(messages.rows, members, me, local),
    [messages.rows, members, me, local],
  );
  return (
    <div className="relative min-h-0 grow">
      <section
        ref={box}
        aria-label={t("chat.messages")}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scroll box must be reachable by keyboard
        tabIndex={0}
        className="flex h-full flex-col-reverse overflow-y-auto overscroll-contain px-3 md:px-5"
        onScroll={(event) => setAway(event.currentTarget.scrollTop < -400)}
      >
        <div className="mx-auto flex w-full max-w-3xl grow flex-col justify-end">
          {messages.next && <Earlier messages={messages} box={box} />}
          {timeline.length === 0 && messages.state !== "loading" && (
            <p className="text-soft py-10 text-center">{t("chat.empty")}</p>
          )}
          <ol className="flex flex-col pb-4">
            {timeline.map((entry) => (
              <TimelineItem
                key={entry.message.id}
                entry={entry}
                people={people}
                mine={entry.message.sender === me}
                present={present.has(entry.message.sender)}
                mutation={messages.pending[entry.message.id]}
              />
            ))}
          </ol>
        </div>
      </section>
      {away && (
        <button
          type="button"
          className="btn btn-circle absolute end-4 bottom-4 shadow-lg"
          aria-label={t("chat.to_newest")}
          onClick={() => box.current?.scrollTo({ top: 0, behavior: "smooth" })}
        >
          <Icon name="down" />
        </button>
      )}
      <Announcer messages={messages} people={people} me={me} />
    </div>
  );
}

function TimelineItem(props: BubbleProps) {
  return (
    <>
      {props.entry.startsDay && (
        <li className="text-soft flex justify-center pt-5 pb-1 text-xs font-medium">
          <DayName iso={props.entry.message.created_at} />
        </li>
      )}
      <Bubble {...props} />
    </>
  );
}
