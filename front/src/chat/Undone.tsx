/* Below a message of one's own that is not there yet: what became of it, and what can be done about it. One that waits
 * for the connection can be changed or called back; one that was refused can be changed and sent again, or given up. */
import { type Mutation, useClient } from "@tims/client";
import { type FormEvent, useId, useState } from "react";
import { useProblemText, useText } from "@/i18n";
import { Icon } from "@/ui/Icon";

function Editor({ mutation, onDone }: { mutation: Mutation; onDone: () => void }) {
  const { t } = useText();
  const client = useClient();
  const id = useId();
  async function save(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget).get("text") ?? "").trim();
    if (text === "") return;
    const isChanged = await client.edit(mutation.key, { text });
    if (isChanged) void client.retry(mutation.key);
    onDone();
  }
  return (
    <form onSubmit={save} className="flex items-end justify-end gap-2 pt-1">
      <label htmlFor={id} className="sr-only">
        {t("outbox.draft")}
      </label>
      <textarea
        id={id}
        name="text"
        rows={1}
        // biome-ignore lint/a11y/noAutofocus: the person has just asked to write here
        autoFocus
        defaultValue={String(mutation.body?.text ?? "")}
        className="textarea field-sizing-content min-h-10 w-full max-w-sm resize-none text-base"
      />
      <button type="submit" className="btn btn-sm btn-primary">
        {t("ui.save")}
      </button>
      <button type="button" className="btn btn-sm btn-ghost" onClick={onDone}>
        {t("ui.cancel")}
      </button>
    </form>
  );
}

export function Undone({ mutation }: { mutation: Mutation }) {
  const { t } = useText();
  const client = useClient();
  const problems = useProblemText();
  const [edits, setEdits] = useState(false);
  const { status, key, problem } = mutation;
  if (status !== "failed" && status !== "waiting") return null;
  if (edits) return <Editor mutation={mutation} onDone={() => setEdits(false)} />;
  const failed = status === "failed";
  const link = (text: string, act: () => void) => (
    <button type="button" className="link" onClick={act}>
      {text}
    </button>
  );
  return (
    <p
      className={`${failed ? "text-error" : "text-soft"} flex flex-wrap items-center justify-end gap-x-2 text-sm font-medium`}
      role={failed ? "alert" : undefined}
    >
      <Icon name={failed ? "warning" : "clock"} className="size-4" />
      {failed ? (problems.field(problem, "text") ?? problems.of(problem)) : t("outbox.waits")}
      {failed && link(t("outbox.again"), () => void client.retry(key))}
      {mutation.kind !== "delete" && link(t("outbox.edit"), () => setEdits(true))}
      {link(failed ? t("outbox.discard") : t("outbox.cancel"), () => void client.discard(key))}
    </p>
  );
}
