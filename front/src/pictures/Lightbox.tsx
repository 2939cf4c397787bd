/* A picture over the whole window, on the browser's own <dialog>: Escape, a click beside it and the button close it, and
 * focus goes back to where it was. */
import { useText } from "@/i18n";
import type { Picture } from "@/types";
import { useModal } from "@/ui/Dialog";
import { Icon } from "@/ui/Icon";

interface LightboxProps {
  url: string;
  words: string;
  picture: Picture;
  onClose: () => void;
}

export function Lightbox({ url, words, picture, onClose }: LightboxProps) {
  const { t } = useText();
  const dialog = useModal();
  return (
    <dialog
      ref={dialog}
      aria-label={words}
      className="m-0 h-dvh max-h-none w-dvw max-w-none bg-black/90 p-0 text-white backdrop:bg-transparent"
      onClose={onClose}
    >
      {/* biome-ignore lint/a11y/noStaticElementInteractions: a pointer's short way; the keyboard has Escape and the button */}
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: as above */}
      <div
        className="flex size-full flex-col items-center justify-center gap-3 p-4 pt-[max(1rem,env(safe-area-inset-top))]"
        onClick={() => dialog.current?.close()}
      >
        <img
          src={url}
          alt={words}
          width={picture.width}
          height={picture.height}
          className="min-h-0 max-w-full shrink object-contain"
          style={{ aspectRatio: `${picture.width} / ${picture.height}` }}
        />
        {picture.alt && (
          <p dir="auto" className="max-w-2xl text-center text-sm">
            {picture.alt}
          </p>
        )}
      </div>
      <button
        type="button"
        className="btn btn-circle absolute end-4 top-[max(1rem,env(safe-area-inset-top))]"
        aria-label={t("ui.close")}
        onClick={() => dialog.current?.close()}
      >
        <Icon name="close" />
      </button>
    </dialog>
  );
}
