/* A picture in a message: its place is kept free from the first moment, since its size came with the message; a click shows
 * it large. */
import { type Platform, useClient } from "@tims/client";
import { useEffect, useState } from "react";
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

async function fetchPicture(platform: Platform, path: string, signal: AbortSignal): Promise<string> {
  const headers = { Authorization: `Bearer ${platform.token.get()}` };
  const response = await fetch(platform.apiBase + path, { headers, signal });
  if (!response.ok) throw new Error(`The picture answers ${response.status}.`);
  return URL.createObjectURL(await response.blob());
}

/** An address for <img>. Where a token says who asks (native shells), the picture is fetched: <img> cannot send one. */
function usePictureUrl(id: string): string | undefined {
  const { platform } = useClient();
  const path = `/api/pictures/${id}/file/`;
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    if (!platform.native) return;
    const controller = new AbortController();
    let made: string | undefined;
    fetchPicture(platform, path, controller.signal).then(
      (fetched) => {
        made = fetched;
        setUrl(fetched);
      },
      () => {}, // its place stays empty, with its words
    );
    return () => {
      controller.abort();
      if (made) URL.revokeObjectURL(made);
    };
  }, [platform, path]);
  return platform.native ? url : path;
}

export function MessagePicture({ picture, from }: { picture: Picture; from: string }) {
  const { t } = useText();
  const [isLarge, setLarge] = useState(false);
  const url = usePictureUrl(picture.id);
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
