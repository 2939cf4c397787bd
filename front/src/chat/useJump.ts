/* From somewhere else to a message: loads what is missing up to it, brings it to the middle, and marks it for a while. */
import { ApiError, useClient } from "@tims/client";
import type { VirtualListHandle } from "@tims/client/list";
import { type RefObject, useCallback, useEffect, useRef, useState } from "react";
import type { Message } from "@/types";
import type { History } from "./useHistory";

const MARKED_MS = 4_000;

export interface Jump {
  /** The message that stands out now. */
  found: string | null;
  /** It could not be reached. */
  failed: boolean;
  to: (message: Message) => void;
}

/** `wanted`: the id of a message that the address names. */
export function useJump(
  history: History,
  list: RefObject<VirtualListHandle | null>,
  wanted: string | null,
): Jump {
  const client = useClient();
  const [target, setTarget] = useState<string | null>(null);
  const [found, setFound] = useState<string | null>(null);
  const [failed, setFailed] = useState(false);
  const { reach, rows, live } = history;

  const to = useCallback(
    (message: Message) => {
      setFailed(false);
      setFound(null);
      reach(message).then(
        () => setTarget(message.id),
        () => setFailed(true),
      );
    },
    [reach],
  );

  // Once it is among the rows that are rendered.
  useEffect(() => {
    if (target === null || !rows.some(({ id }) => id === target)) return;
    list.current?.scrollToRow(target);
    setFound(target);
    setTarget(null);
  }, [target, rows, list]);

  useEffect(() => {
    if (found === null) return;
    const timer = setTimeout(() => setFound(null), MARKED_MS);
    return () => clearTimeout(timer);
  }, [found]);

  const ready = live.state !== "loading";
  const asked = useRef<string | null>(null);
  useEffect(() => {
    if (wanted === null || !ready || asked.current === wanted) return;
    asked.current = wanted;
    client.api("GET", `/api/messages/${encodeURIComponent(wanted)}/`).then(
      ({ data }) => to(data),
      (error) => {
        if (!(error instanceof ApiError)) throw error;
        setFailed(true);
      },
    );
  }, [client, wanted, ready, to]);
  return { found, failed, to };
}
