/* A picture in a message: its place is kept free from the first moment, since its size came with the message; a click shows
 * it large. */
import { useClient } from "@tims/client";
import { useFile } from "@tims/client/platform";
import { useState } from "react";
import { useText } from "@/i18n";
import type { Picture } from "@/types";
import { Lightbox } from "./Lightbox";

const WIDTH_MAX = 360;
const HEIGHT_MAX = 320;
const SIDE_MIN = 72;
const SLIMMEST = 1 / 3; // slimmer ones are cut

/** How large it is shown, in CSS pixels: never larger than it is, but large enough to be hit. */
export function shownSize({ width, height }: Pick<Picture, "width" | "height">): {
  width: number;
  height: number;
} {
  const ratio = Math.min(1 / SLIMMEST, Math.max(SLIMMEST, width / height));
  const widest = Math.min(WIDTH_MAX, HEIGHT_MAX * ratio, Math.max(width, SIDE_MIN, SIDE_MIN * ratio));
  return { width: Math.round(widest), height: Math.round(widest / ratio) };
}

export function MessagePicture({ picture, from }: { picture: Picture; from: string }) {
  const { t } = useText();
  const [isLarge, setLarge] = useState(false);
  const url = useFile(useClient(), `/api/pictures/${picture.id}/file/`);
  const { width, height } = shownSize(picture);
  const words = picture.alt || t("pictures.of", { name: from });
  return (
    <>
      <button
        type="button"
        className="rounded-field bg-base-300 block max-w-full cursor-zoom-in overflow-hidden"
        style={{ width, aspectRatio: `${width} / ${height}` }}
        aria-label={t("pictures.open", { words })}
        onClick={() => setLarge(true)}
      >
        {url && (
          <img
            src={url}
            alt={words}
            width={width}
            height={height}
            loading="lazy"
            decoding="async"
            draggable={false}
            className="size-full object-cover"
          />
        )}
      </button>
      {isLarge && url && (
        <Lightbox url={url} words={words} picture={picture} onClose={() => setLarge(false)} />
      )}
    </>
  );
}
