/* The scroll box of a list, by distances from its two ends. Anchored at its end and not windowed yet, a box is turned
 * upside down (column-reverse): it begins at the newest row without any script, and its scrollTop counts down from 0. */

export interface Distances {
  fromStart: number;
  fromEnd: number;
  /** Whether there is more than the box shows. */
  canScroll: boolean;
}

export function distancesOf(box: HTMLElement): Distances {
  const most = Math.max(0, box.scrollHeight - box.clientHeight);
  const isReversed = getComputedStyle(box).flexDirection === "column-reverse";
  const fromStart = isReversed ? most + box.scrollTop : box.scrollTop;
  return { fromStart, fromEnd: most - fromStart, canScroll: most > 1 };
}

/** Where an element stands in what the box scrolls through. */
export function offsetIn(box: HTMLElement, element: HTMLElement): number {
  const { fromStart } = distancesOf(box);
  return element.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientTop + fromStart;
}
