/* Where messages are written. Enter sends, Shift+Enter begins a line; a phone's keyboard keeps its own Enter. */
import { type FormEvent, type KeyboardEvent, useId, useRef, useState } from "react";
import { useText } from "@/i18n";
import { Icon } from "@/ui/Icon";

const LENGTH_MAX = 4000; // as the model says

interface ComposerProps {
  onSend: (text: string) => void;
  /** At every key stroke; false when nothing is being written any more. */
  onTyping: (typing: boolean) => void;
}

export function Composer({ onSend, onTyping }: ComposerProps) {
  const { t } = useText();
  const [text, setText] = useState("");
  const box = useRef<HTMLTextAreaElement>(null);
  const id = useId();
  const ready = text.trim() !== "";

  function send(event?: FormEvent) {
    event?.preventDefault();
    if (!ready) return;
    onSend(text.trim());
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

  return (
    <form
      onSubmit={send}
      className="border-base-content/8 bg-base-100 border-t px-3 pt-2 pb-[calc(0.75rem+env(safe-area-inset-bottom))] md:px-5"
    >
      <div className="mx-auto flex max-w-3xl items-end gap-2">
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
