/* The messages of a chat as far back as somebody scrolls.
 *
 * The newest are one live list, which grows as the reader goes back, up to the thousand rows that a live list holds. What is
 * older, and what lies between it and a message that somebody jumps to, is fetched by pages and kept as it was: the archive.
 * When new messages push old ones out of the live list, the archive takes them, so that there is never a gap between the two. */
import { type LiveResult, useClient, useLive } from "@tims/client";
import { useCallback, useMemo, useRef, useState } from "react";
import type { Message, Picture } from "@/types";

export const LIVE_MAX = 1000; // of @tims/client
const PAGE = 200;
const JUMP_PAGES_MAX = 50;

interface Archive {
  /** Newest first; all older than the live ones. */
  rows: readonly Message[];
  pictures: Readonly<Record<string, Picture>>;
  /** Whether there are older ones. */
  more: boolean;
}

const isOlder = (a: Message, b: Message) =>
  a.created_at < b.created_at || (a.created_at === b.created_at && a.id < b.id);

/** What an archive becomes when the live rows were `before` and are `now`; null: they do not meet any more. */
export function keepUp(
  archive: Archive,
  before: readonly Message[],
  now: readonly Message[],
): Archive | null {
  const oldest = now.at(-1);
  if (!oldest || before === now) return archive;
  const held = new Set(now.map(({ id }) => id));
  if (before.length > 0 && !before.some(({ id }) => held.has(id))) return null; // away for long: a gap in between
  const left = before.filter((row) => !held.has(row.id) && isOlder(row, oldest));
  const kept = archive.rows.filter((row) => !held.has(row.id));
  if (left.length === 0 && kept.length === archive.rows.length) return archive;
  return { ...archive, rows: [...left, ...kept] };
}

export interface History {
  /** Newest first. */
  rows: readonly Message[];
  pictures: Readonly<Record<string, Picture>>;
  live: LiveResult<Message>;
  next: boolean;
  loadMore: () => Promise<void>;
  /** Loads what is missing up to this message. Throws ApiError. */
  reach: (message: Message) => Promise<void>;
}

export function useHistory(chat: string): History {
  const client = useClient();
  const url = `/api/messages/?chat=${chat}&include=picture` as const; // as the page includes it
  const live = useLive(url);
  const [archive, setArchive] = useState<Archive | null>(null);
  const [before, setBefore] = useState(live.rows);
  if (before !== live.rows) {
    // While rendering: what has left the live list must be in the archive in the same paint.
    setBefore(live.rows);
    if (archive) setArchive(keepUp(archive, before, live.rows));
  }

  const rows = useMemo(() => (archive ? [...live.rows, ...archive.rows] : live.rows), [live.rows, archive]);
  const pictures = useMemo(
    () => ({ ...archive?.pictures, ...live.included.picture }) as Record<string, Picture>,
    [archive, live.included.picture],
  );
  const latest = useRef({ rows, archive });
  latest.current = { rows, archive };

  /** The page behind what is held; whether it was a full one. */
  const fetchOlder = useCallback(
    async (since?: string) => {
      const oldest = latest.current.rows.at(-1);
      if (!oldest) return false;
      const from = since ? `&created_at__gte=${encodeURIComponent(since)}` : "";
      // lte and not lt: others may have the same microsecond; what is held already is passed over.
      const { data } = await client.api(
        "GET",
        `${url}&created_at__lte=${encodeURIComponent(oldest.created_at)}${from}&limit=${PAGE}&total=false`,
      );
      const page = data.rows;
      const { rows: known, archive: held } = latest.current;
      const ids = new Set(known.map(({ id }) => id));
      const fresh = page.filter(({ id }) => !ids.has(id));
      const full = page.length === PAGE && fresh.length > 0;
      const made = {
        rows: [...(held?.rows ?? []), ...fresh],
        pictures: { ...held?.pictures, ...data.included?.picture },
        more: since ? (held?.more ?? true) : full,
      };
      latest.current = { rows: [...known, ...fresh], archive: made };
      setArchive(made);
      return full;
    },
    [client, url],
  );

  const { loadMore: grow, next: canGrow } = live;
  const isFull = live.rows.length >= LIVE_MAX;
  const loadMore = useCallback(async () => {
    if (latest.current.archive || isFull) await fetchOlder();
    else await grow();
  }, [fetchOlder, grow, isFull]);
  const reach = useCallback(
    async (message: Message) => {
      for (let page = 0; page < JUMP_PAGES_MAX; page++) {
        if (latest.current.rows.some(({ id }) => id === message.id)) return;
        if (!(await fetchOlder(message.created_at))) return;
      }
    },
    [fetchOlder],
  );
  const next = archive ? archive.more : canGrow || isFull;
  return { rows, pictures, live, next, loadMore, reach };
}
