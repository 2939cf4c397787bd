/* A search field and what it finds. By keyboard: the arrows go from the field through the results and back, Enter opens one,
 * Escape empties the field and then closes. */
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { useNameOf } from "@/chat/usePeople";
import { useText } from "@/i18n";
import type { Message } from "@/types";
import { Icon } from "@/ui/Icon";
import { ClockTime, DayName } from "@/ui/Time";
import { highlight } from "./highlight";
import { type Found, LENGTH_MAX, type SearchState, useMessageSearch } from "./useMessageSearch";

interface SearchPanelProps {
  /** null: all chats. */
  chat: string | null;
  label: string;
  /** The field has the keyboard as soon as it is there. */
  focused?: boolean;
  onOpen: (message: Message) => void;
  onClose?: () => void;
  /** Shown while nothing is searched for. */
  children?: ReactNode;
}

/** Moves the keyboard among the field and the results; true when the key was one for it. */
function move(panel: HTMLElement, key: string): boolean {
  if (key !== "ArrowDown" && key !== "ArrowUp") return false;
  const stops = [...panel.querySelectorAll<HTMLElement>("input[type=search], [data-result]")];
  const at = stops.indexOf(document.activeElement as HTMLElement);
  stops[Math.min(stops.length - 1, Math.max(0, at + (key === "ArrowDown" ? 1 : -1)))]?.focus();
  return true;
}

function Result({
  message,
  found,
  name,
  onOpen,
}: {
  message: Message;
  found: Found;
  name: string;
  onOpen: () => void;
}) {
  let at = 0;
  const chat = found.chats[message.chat];
  return (
    <li>
      <button
        type="button"
        data-result={message.id}
        className="rounded-field hover:bg-base-content/5 flex w-full flex-col gap-0.5 px-3 py-2 text-start"
        onClick={onOpen}
      >
        <span className="text-soft flex w-full gap-2 text-xs">
          <span className="min-w-0 grow truncate">
            <bdi>{name}</bdi>
            {chat && (
              <>
                {" · "}
                <bdi>{chat.title}</bdi>
              </>
            )}
          </span>
          <span className="shrink-0">
            <DayName iso={message.created_at} /> <ClockTime iso={message.created_at} />
          </span>
        </span>
        <span dir="auto" className="line-clamp-2 text-sm [overflow-wrap:anywhere]">
          {highlight(message.text, found.text).map((part) => {
            const key = at;
            at += part.text.length;
            return part.hit ? (
              <mark key={key} className="bg-accent text-accent-content rounded-sm">
                {part.text}
              </mark>
            ) : (
              <span key={key}>{part.text}</span>
            );
          })}
        </span>
      </button>
    </li>
  );
}

function useStatusLine({ status, found }: SearchState): string {
  const { t } = useText();
  if (status === "failed") return t("search.failed");
  if (status === "searching") return found ? "" : t("search.searching");
  if (!found) return "";
  if (found.messages.length === 0) return t("search.nothing", { text: found.text });
  return t(found.more ? "search.found_more" : "search.found", { count: found.messages.length });
}

export function SearchPanel({ chat, label, focused, onOpen, onClose, children }: SearchPanelProps) {
  const { t } = useText();
  const nameOf = useNameOf();
  const [text, setText] = useState("");
  const search = useMessageSearch(text, chat);
  const line = useStatusLine(search);
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  useEffect(() => {
    if (focused) field.current?.focus();
  }, [focused]);

  function onKeyDown(event: KeyboardEvent<HTMLElement>) {
    if (event.key === "Escape" && (text !== "" || onClose)) {
      event.preventDefault();
      field.current?.focus();
      if (text === "") onClose?.();
      setText("");
    } else if (text !== "" && move(event.currentTarget, event.key)) {
      event.preventDefault();
    }
  }

  return (
    <search className="flex min-h-0 grow flex-col" onKeyDown={onKeyDown} aria-label={label}>
      <div className="flex shrink-0 items-center gap-1 px-3 pb-2">
        <div className="input input-sm h-10 min-w-0 grow">
          <Icon name="search" className="text-soft size-4.5" />
          <label htmlFor={id} className="sr-only">
            {label}
          </label>
          <input
            ref={field}
            id={id}
            type="search"
            dir="auto"
            placeholder={label}
            autoComplete="off"
            maxLength={LENGTH_MAX}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
          />
        </div>
        {onClose && (
          <button
            type="button"
            className="btn btn-ghost btn-circle btn-sm"
            aria-label={t("search.close")}
            onClick={onClose}
          >
            <Icon name="close" />
          </button>
        )}
      </div>
      <p role="status" className="text-soft px-5 pb-1 text-sm empty:hidden">
        {line && <bdi>{line}</bdi>}
      </p>
      {search.status === "idle"
        ? children
        : search.found && (
            <ul aria-label={t("search.results")} className="min-h-0 grow overflow-y-auto px-2 pb-4">
              {search.found.messages.map((message) => (
                <Result
                  key={message.id}
                  message={message}
                  found={search.found as Found}
                  name={nameOf(search.found?.senders[message.sender])}
                  onOpen={() => onOpen(message)}
                />
              ))}
            </ul>
          )}
    </search>
  );
}
