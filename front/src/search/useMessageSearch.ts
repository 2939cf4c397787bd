/* Messages by their words: in one chat or in all that one is in, the newest first. */
import { useClient } from "@tims/client";
import { useEffect, useState } from "react";
import type { Chat, Message, Person } from "@/types";

const PAUSE_MS = 150; // of typing, before the server is asked
const SHOWN = 30;
export const LENGTH_MAX = 100;

export interface Found {
  /** What was searched for. */
  text: string;
  messages: readonly Message[];
  /** Chats by id: those of the messages. */
  chats: Readonly<Record<string, Chat>>;
  senders: Readonly<Record<string, Person>>;
  /** There are more than are shown. */
  more: boolean;
}

export type SearchState =
  | { status: "idle" | "searching" | "failed"; found: Found | null }
  | { status: "done"; found: Found };

/** Without a word in `text` nothing is asked. `chat` null: all chats. */
export function useMessageSearch(text: string, chat: string | null): SearchState {
  const client = useClient();
  const [state, setState] = useState<SearchState>({ status: "idle", found: null });
  const wanted = text.trim();
  useEffect(() => {
    if (!/[\p{L}\p{N}]/u.test(wanted)) {
      setState({ status: "idle", found: null });
      return;
    }
    const controller = new AbortController();
    setState(({ found }) => ({ status: "searching", found }));
    const timer = setTimeout(() => {
      const where = chat === null ? "&include=chat,sender" : `&chat=${chat}&include=sender`;
      const url =
        `/api/messages/?search=${encodeURIComponent(wanted)}${where}&limit=${SHOWN}&total=false` as const;
      client
        .api("GET", url, { signal: controller.signal })
        .then(({ data }) => {
          const { rows: messages, included, next } = data;
          const { chat: chats = {}, sender: senders = {} } = included ?? {};
          const found = { text: wanted, messages, chats, senders, more: Boolean(next) };
          setState({ status: "done", found });
        })
        .catch(() => {
          if (!controller.signal.aborted) setState({ status: "failed", found: null });
        });
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [client, wanted, chat]);
  return state;
}
