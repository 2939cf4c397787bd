/* @tims/client/list: lists of any length, with rows of any height.
 *
 * <VirtualList rows={rows} keyOf={(row) => row.id} label="Messages" anchor="end" next={next} loadMore={loadMore}>
 *   {(row) => <Bubble message={row} />}
 * </VirtualList>
 *
 * It renders all rows on the server and for a short list, and takes those that are out of sight out of the document
 * once a list is long. Anchored at its end (a chat) it begins at the last row, follows new rows while one is there, and
 * stays where the reader is when rows come above or below. Near the far end it loads more by itself. */

import {
  type ReactNode,
  type Ref,
  useCallback,
  useEffect,
  useImperativeHandle,
  useMemo,
  useRef,
  useState,
} from "react";
import { distancesOf } from "./box";
import { PLAIN_MAX, useWindow } from "./useWindow";

/** So near to the far end more rows are loaded, px. */
const LOAD_WITHIN_PX = 600;
/** So far from its anchor a reader is away, px. */
const AWAY_PX = 400;

export interface VirtualListHandle {
  scrollToEnd: (behavior?: ScrollBehavior) => void;
  /** Brings a row to the middle. False: it is not among the rows. */
  scrollToRow: (key: string) => boolean;
}

export interface VirtualListProps<T> {
  /** From top to bottom. */
  rows: readonly T[];
  keyOf: (row: T) => string;
  children: (row: T, index: number) => ReactNode;
  /** What screen readers call the box. */
  label: string;
  /** Where the list begins and what it keeps to. Default "start"; "end" for a chat. */
  anchor?: "start" | "end";
  /** More rows can be had at the far end: above for "end", below for "start". */
  next?: boolean;
  loadMore?: () => Promise<unknown>;
  /** Stands at the far end while there is more: a button, for the keyboard and for when loading has failed. */
  edge?: (state: { loading: boolean; load: () => void }) => ReactNode;
  /** Instead of rows, when there are none. */
  empty?: ReactNode;
  /** Height of a row that was never shown, px: the better the guess, the steadier the scroll bar. Default 72. */
  estimate?: number;
  /** The reader has gone away from where the list is anchored, or come back. */
  onAway?: (away: boolean) => void;
  /** Of the scroll box, of what is in it, of the list, of a row. The box needs a height. */
  className?: string;
  innerClassName?: string;
  listClassName?: string;
  rowClassName?: string;
  ref?: Ref<VirtualListHandle>;
}

/** Loads more rows near the far end, one call at a time; after a failure only when the reader scrolls or asks. */
function useLoading(next: boolean, loadMore: (() => Promise<unknown>) | undefined) {
  const [loading, setLoading] = useState(false);
  const state = useRef({ isLoading: false, hasFailed: false });
  const load = useCallback(async () => {
    if (!next || !loadMore || state.current.isLoading) return;
    state.current = { isLoading: true, hasFailed: false };
    setLoading(true);
    try {
      await loadMore();
    } catch {
      state.current.hasFailed = true;
    }
    state.current.isLoading = false;
    setLoading(false);
  }, [next, loadMore]);
  return { loading, load, state };
}

export function VirtualList<T>({
  rows,
  keyOf,
  children,
  label,
  anchor = "start",
  next = false,
  loadMore,
  edge,
  empty,
  estimate = 72,
  onAway,
  className = "",
  innerClassName = "",
  listClassName = "",
  rowClassName = "",
  ref,
}: VirtualListProps<T>) {
  const box = useRef<HTMLElement>(null);
  const list = useRef<HTMLOListElement>(null);
  const keys = useMemo(() => rows.map(keyOf), [rows, keyOf]);
  const isLong = next || rows.length > PLAIN_MAX;
  const view = useWindow({ box, list, keys, anchor, estimate, isLong });
  const { loading, load, state } = useLoading(next, loadMore);
  const isAway = useRef(false);
  const hasScrolled = useRef(false);
  const look = () => {
    if (!box.current) return;
    const { fromStart, fromEnd, canScroll } = distancesOf(box.current);
    const [near, far] = anchor === "end" ? [fromEnd, fromStart] : [fromStart, fromEnd];
    const away = near > AWAY_PX;
    if (away !== isAway.current) onAway?.(away);
    isAway.current = away;
    const isWanted = far < LOAD_WITHIN_PX && (hasScrolled.current || !canScroll);
    if (isWanted && !state.current.hasFailed) void load();
  };
  useEffect(look); // what has come may not fill the box
  useImperativeHandle(ref, () => ({
    scrollToEnd: (behavior = "auto") => view.scrollToEnd(behavior),
    scrollToRow: (key) => {
      const index = keys.indexOf(key);
      if (index >= 0) view.scrollToIndex(index);
      return index >= 0;
    },
  }));
  const isReversed = anchor === "end" && view.shown === null;
  const shown = view.shown ?? rows.map((_, index) => ({ index, before: 0 }));
  const edgeNode = next && edge?.({ loading, load: () => void load() });
  return (
    <section
      ref={box}
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scroll box must be reachable by keyboard
      tabIndex={0}
      className={className}
      style={{
        display: "flex",
        flexDirection: isReversed ? "column-reverse" : "column",
        overflowY: "auto",
        overflowAnchor: view.shown ? "none" : "auto", // the engine keeps the place itself
      }}
      onScroll={() => {
        hasScrolled.current = true;
        state.current.hasFailed = false;
        look();
      }}
    >
      <div
        className={innerClassName}
        style={{
          display: "flex",
          flexDirection: "column",
          flexGrow: 1,
          flexShrink: 0,
          justifyContent: anchor === "end" ? "flex-end" : "flex-start",
        }}
      >
        {anchor === "end" && edgeNode}
        {rows.length === 0 && empty}
        <ol
          ref={list}
          className={listClassName}
          style={{
            display: "flex",
            flexDirection: "column",
            ...(view.shown && { height: view.height, flexShrink: 0, overflowY: "clip" }),
          }}
        >
          {shown.map(({ index, before }) => {
            const row = rows[index];
            if (row === undefined) return null;
            return (
              <li
                key={keys[index]}
                ref={view.measure}
                data-index={index}
                aria-posinset={index + 1}
                aria-setsize={next ? -1 : rows.length}
                className={rowClassName}
                style={{ flexShrink: 0, marginTop: before || undefined }}
              >
                {children(row, index)}
              </li>
            );
          })}
        </ol>
        {anchor === "start" && edgeNode}
      </div>
    </section>
  );
}
