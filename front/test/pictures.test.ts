import { describe, expect, it } from "vitest";
import { shownSize } from "@/pictures/MessagePicture";
import { fitted } from "@/pictures/prepare";

describe("fitted", () => {
  it.each([
    [100, 50, 100, 50],
    [4096, 2048, 2048, 1024],
    [1000, 8192, 250, 2048],
    [1, 100_000, 1, 2048],
  ])("%d × %d is drawn as %d × %d", (width, height, toWidth, toHeight) => {
    expect(fitted(width, height)).toEqual({ width: toWidth, height: toHeight });
  });
});

describe("shownSize", () => {
  it.each([
    [200, 100, 200, 100], // as large as it is
    [2000, 1000, 360, 180], // as wide as there is room
    [1000, 2000, 160, 320], // as high
    [1, 1, 72, 72], // large enough to be hit
    [3000, 100, 360, 120], // cut, not a line
    [100, 3000, 100, 300],
  ])("%d × %d is shown as %d × %d", (width, height, toWidth, toHeight) => {
    expect(shownSize({ width, height })).toEqual({ width: toWidth, height: toHeight });
  });
});
