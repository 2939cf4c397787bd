/* A dialog on the browser's own <dialog>: focus is kept inside and given back, Escape closes it. */
import { type ReactNode, useEffect, useId, useRef } from "react";
import { useText } from "@/i18n";
import { Icon } from "./Icon";

/** For a <dialog> that is open as long as it is there. */
export function useModal() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return dialog;
}

export function Dialog({
  title,
  onClose,
  children,
}: {
  title: string;
  onClose: () => void;
  children: ReactNode;
}) {
  const { t } = useText();
  const dialog = useModal();
  const titleId = useId();
  return (
    <dialog
      ref={dialog}
      className="modal modal-bottom sm:modal-middle"
      aria-labelledby={titleId}
      onClose={onClose}
    >
      <div className="modal-box flex max-h-[85dvh] flex-col gap-4">
        <header className="flex items-center justify-between">
          <h2 id={titleId} className="text-lg font-semibold">
            {title}
          </h2>
          <button
            type="button"
            className="btn btn-ghost btn-circle btn-sm"
            aria-label={t("ui.close")}
            onClick={() => dialog.current?.close()}
          >
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
      <form method="dialog" className="modal-backdrop">
        <button type="submit" tabIndex={-1} aria-hidden="true">
          {t("ui.close")}
        </button>
      </form>
    </dialog>
  );
}
