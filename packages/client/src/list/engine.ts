/* The windowing of long lists, by @tanstack/virtual-core: a chunk of its own, loaded when a list is long. */

export {
  defaultRangeExtractor,
  elementScroll,
  observeElementOffset,
  observeElementRect,
  Virtualizer,
} from "@tanstack/virtual-core";
