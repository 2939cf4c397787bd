/* Where messages are written, and pictures are added. Enter sends, Shift+Enter begins a line; a phone's keyboard keeps its
 * own Enter. */
import { type ClipboardEvent, type FormEvent, type KeyboardEvent, useId, useRef, useState } from "react";
import { useText } from "@/i18n";
import { DraftStrip } from "@/pictures/DraftStrip";
import { TYPES } from "@/pictures/prepare";
import type { Drafts } from "@/pictures/useDrafts";
import { Icon } from "@/ui/Icon";

const LENGTH_MAX = 4000; // as the model says

interface ComposerProps {
  onSend: (text: string) => void;
  /** At every key stroke; false when nothing is being written any more. */
  onTyping: (typing: boolean) => void;
  drafts: Drafts;
  /** There is no connection: pictures wait. */
  away: boolean;
}

function AttachButton({ onFiles }: { onFiles: (files: File[]) => void }) {
  const { t } = useText();
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button
        type="button"
        className="btn btn-ghost btn-circle shrink-0"
        aria-label={t("pictures.attach")}
        onClick={() => input.current?.click()}
      >
        <Icon name="picture" />
      </button>
      <input
        ref={input}
        type="file"
        accept={TYPES.join(",")}
        multiple
        hidden
        onChange={(event) => {
          onFiles([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = ""; // the same file can be chosen again
        }}
      />
    </>
  );
}

export function Composer({ onSend, onTyping, drafts, away }: ComposerProps) {
  const { t } = useText();
  const [text, setText] = useState("");
  const box = useRef<HTMLTextAreaElement>(null);
  const id = useId();
  const hasPictures = drafts.drafts.some(({ status }) => status === "draft");
  const ready = hasPictures ? !away : text.trim() !== "";

  function send(event?: FormEvent) {
    event?.preventDefault();
    if (!ready) return;
    if (hasPictures) drafts.send(text.trim());
    else onSend(text.trim());
    setText("");
    onTyping(false);
    box.current?.focus();
  }

  function onKeyDown(event: KeyboardEvent<HTMLTextAreaElement>) {
    const touch = window.matchMedia("(pointer: coarse)").matches;
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing || touch) return;
    event.preventDefault();
    send();
  }

  function onPaste(event: ClipboardEvent) {
    const files = [...event.clipboardData.files];
    if (files.length === 0) return;
    event.preventDefault();
    void drafts.add(files);
  }

  return (
    <form
      onSubmit={send}
      className="border-base-content/8 bg-base-100 border-t px-3 pt-2 pb-[calc(0.75rem+env(safe-area-inset-bottom))] md:px-5"
    >
      <DraftStrip drafts={drafts} away={away} />
      <div className="mx-auto flex max-w-3xl items-end gap-2">
        <AttachButton onFiles={(files) => void drafts.add(files)} />
        <label htmlFor={id} className="sr-only">
          {t("composer.message")}
        </label>
        <textarea
          ref={box}
          id={id}
          name="text"
          dir="auto"
          rows={1}
          maxLength={LENGTH_MAX}
          placeholder={t("composer.placeholder")}
          className="textarea field-sizing-content max-h-40 min-h-10 w-full resize-none py-2 text-base"
          value={text}
          onChange={(event) => {
            setText(event.currentTarget.value);
            onTyping(event.currentTarget.value.trim() !== "");
          }}
          onKeyDown={onKeyDown}
          onPaste={onPaste}
        />
        <button
          type="submit"
          className="btn btn-primary btn-circle shrink-0"
          aria-label={t("composer.send")}
          disabled={!ready}
        >
          <Icon name="send" />
        </button>
      </div>
      <noscript>
        <p className="text-soft mx-auto max-w-3xl pt-2 text-sm">{t("composer.no_script")}</p>
      </noscript>
    </form>
  );
}
