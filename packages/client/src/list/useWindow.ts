/* Which rows of a list are in the document, and how much room the others take.
 *
 * All of them until the list is long, or can become so; the engine is loaded then and takes over from the rows as they
 * stand, so that nothing moves. The rows stay in the flow of the document; those that are not there are margins. */

import { type RefObject, useLayoutEffect, useReducer, useRef, useState } from "react";
import { flushSync } from "react-dom";
import { distancesOf, offsetIn } from "./box";

/** Lists up to here, that cannot grow, are not worth it. */
export const PLAIN_MAX = 60;
const OVERSCAN = 8;
/** Nearer to the end than that, one is there. */
export const AT_END_PX = 80;

type Engine = typeof import("./engine");
type Virtualizer = import("@tanstack/virtual-core").Virtualizer<HTMLElement, HTMLElement>;
type VirtualItem = import("@tanstack/virtual-core").VirtualItem;

export interface WindowOptions {
  box: RefObject<HTMLElement | null>;
  list: RefObject<HTMLElement | null>;
  keys: readonly string[];
  anchor: "start" | "end";
  estimate: number;
  isLong: boolean;
}

export interface ShownRow {
  index: number;
  /** Room for the rows before it that are not there, px. */
  before: number;
}

export interface Window {
  /** null: all rows are there. */
  shown: ShownRow[] | null;
  /** Of all rows together, px, as far as they are measured: what the engine scrolls by. */
  height: number;
  measure: (row: HTMLElement | null) => void;
  scrollToEnd: (behavior: ScrollBehavior) => void;
  scrollToIndex: (index: number) => void;
}

const heightOf = (row: HTMLElement) => row.getBoundingClientRect().height;

/** The row in which the keyboard is stays in the document, though it is scrolled out of sight. */
function focusedIndex(list: HTMLElement | null): number {
  const active = globalThis.document?.activeElement;
  const row = list?.contains(active ?? null) ? active?.closest<HTMLElement>("[data-index]") : null;
  return row ? Number(row.dataset.index) : -1;
}

class Windowing {
  readonly virtualizer: Virtualizer;
  margin: number;
  /** As the rows stood when the engine took over. */
  private readonly initial: { initialMeasurementsCache: VirtualItem[]; initialOffset: number };
  /** React is about to render anyway. */
  isCommitting = false;
  /** The row that a jump leads to, and where it is among the rows; until somebody scrolls, or goes elsewhere. */
  private goal: { key: string; index: number } | null = null;

  constructor(
    private readonly engine: Engine,
    options: WindowOptions,
    private readonly render: () => void,
  ) {
    const box = options.box.current as HTMLElement;
    const list = options.list.current as HTMLElement;
    this.margin = offsetIn(box, list);
    const sizes = [...list.children].map((row) => heightOf(row as HTMLElement));
    let at = this.margin;
    const initialMeasurementsCache = sizes.map((size, index) => {
      const start = at;
      at += size;
      return { key: options.keys[index] ?? index, index, start, end: at, size, lane: 0 };
    });
    this.initial = { initialMeasurementsCache, initialOffset: distancesOf(box).fromStart };
    this.virtualizer = new engine.Virtualizer(this.optionsFor(options));
    // Rows are in the flow: one that changes above what is read pushes it, whichever way the reader scrolls.
    this.virtualizer.shouldAdjustScrollPositionOnItemSizeChange = (
      { key, start, end },
      _delta,
      { scrollOffset },
    ) => (this.virtualizer.itemSizeCache.has(key) ? end : start + 1) <= (scrollOffset ?? 0);
  }

  private optionsFor({ box, list, keys, anchor, estimate }: WindowOptions) {
    const { defaultRangeExtractor, elementScroll, observeElementOffset, observeElementRect } = this.engine;
    return {
      ...this.initial,
      count: keys.length,
      getItemKey: (index: number) => keys[index] ?? index,
      getScrollElement: () => box.current,
      estimateSize: () => estimate,
      measureElement: heightOf,
      scrollToFn: elementScroll,
      observeElementOffset,
      observeElementRect,
      overscan: OVERSCAN,
      scrollMargin: this.margin,
      anchorTo: anchor,
      followOnAppend: anchor === "end",
      scrollEndThreshold: AT_END_PX,
      rangeExtractor: (range: Parameters<typeof defaultRangeExtractor>[0]) => {
        const shown = defaultRangeExtractor(range);
        const focused = focusedIndex(list.current);
        if (focused < 0 || focused >= keys.length || shown.includes(focused)) return shown;
        return [...shown, focused].sort((a, b) => a - b);
      },
      onChange: (_: unknown, sync: boolean) => {
        // In one paint with the scrolling that goes with it.
        if (sync && !this.isCommitting) flushSync(this.render);
        else this.render();
      },
    };
  }

  update(options: WindowOptions): void {
    this.virtualizer.setOptions(this.optionsFor(options));
  }

  goTo(key: string, index: number): void {
    this.goal = { key, index };
    this.virtualizer.scrollToIndex(index, { align: "center" });
  }

  leaveGoal = (): void => {
    this.goal = null;
  };

  /** The engine finds its goal by number, over several frames; rows that come before it change that. */
  keepGoal(keys: readonly string[]): void {
    if (this.goal === null || keys[this.goal.index] === this.goal.key) return;
    const index = keys.indexOf(this.goal.key);
    if (index >= 0) this.goTo(this.goal.key, index);
  }

  measure = (row: HTMLElement | null): void => {
    this.isCommitting = true;
    this.virtualizer.measureElement(row);
    this.isCommitting = false;
  };

  get shown(): { shown: ShownRow[]; height: number } {
    let at = this.margin;
    const shown = this.virtualizer.getVirtualItems().map(({ index, start, end }) => {
      const before = start - at;
      at = end;
      return { index, before };
    });
    return { shown, height: this.virtualizer.getTotalSize() };
  }
}

/** Whatever a reader scrolls with. */
function whenScrolledByHand(box: HTMLElement, then: () => void): () => void {
  const events = ["wheel", "touchstart", "pointerdown", "keydown"] as const;
  for (const event of events) box.addEventListener(event, then, { passive: true });
  return () => {
    for (const event of events) box.removeEventListener(event, then);
  };
}

/** The box becomes lower (a phone's keyboard, a form that grows) or higher: what stands at its bottom stays there. */
function keepBottom(box: HTMLElement): () => void {
  let height = box.clientHeight;
  let at = box.scrollTop;
  const onScroll = () => {
    at = box.scrollTop;
  };
  const observer = new ResizeObserver(() => {
    const isClamped = box.scrollTop < at && box.scrollTop >= box.scrollHeight - box.clientHeight - 1;
    box.scrollTop = (isClamped ? at : box.scrollTop) + height - box.clientHeight;
    height = box.clientHeight;
    at = box.scrollTop;
  });
  observer.observe(box);
  box.addEventListener("scroll", onScroll, { passive: true });
  return () => {
    observer.disconnect();
    box.removeEventListener("scroll", onScroll);
  };
}

export function useWindow(options: WindowOptions): Window {
  const { box, list, isLong, anchor } = options;
  const [windowing, setWindowing] = useState<Windowing | null>(null);
  const [, render] = useReducer((count: number) => count + 1, 0);
  const latest = useRef(options);
  latest.current = options;
  useLayoutEffect(() => {
    if (!isLong || windowing) return;
    let isGone = false;
    import("./engine").then(
      (engine) => {
        if (!isGone && latest.current.box.current && latest.current.list.current)
          setWindowing(new Windowing(engine, latest.current, render));
      },
      () => undefined, // it cannot be loaded now: all rows stay in the document
    );
    return () => {
      isGone = true;
    };
  }, [isLong, windowing]);
  windowing?.update(options);
  useLayoutEffect(() => windowing?.virtualizer._didMount(), [windowing]);
  useLayoutEffect(() => {
    if (!windowing || !box.current || !list.current) return;
    // What stands above the list has become another height.
    const moved = offsetIn(box.current, list.current) - windowing.margin;
    if (Math.abs(moved) >= 1) {
      windowing.margin += moved;
      if (anchor === "end") box.current.scrollTop += moved;
      render();
    }
    windowing.virtualizer._willUpdate();
    windowing.keepGoal(latest.current.keys);
  });
  useLayoutEffect(
    () => (windowing && anchor === "end" && box.current ? keepBottom(box.current) : undefined),
    [windowing, anchor, box],
  );
  useLayoutEffect(
    () => (windowing && box.current ? whenScrolledByHand(box.current, windowing.leaveGoal) : undefined),
    [windowing, box],
  );
  const { shown, height } = windowing?.shown ?? { shown: null, height: 0 };
  return {
    shown,
    height,
    measure: windowing?.measure ?? ignore,
    scrollToEnd: (behavior) => {
      windowing?.leaveGoal();
      if (windowing) windowing.virtualizer.scrollToEnd({ behavior });
      else box.current?.scrollTo({ top: anchor === "end" ? 0 : box.current.scrollHeight, behavior });
    },
    scrollToIndex: (index) => {
      const key = options.keys[index];
      if (windowing && key !== undefined) windowing.goTo(key, index);
      else list.current?.children[index]?.scrollIntoView({ block: "center" });
    },
  };
}

const ignore = () => undefined;
