import { useUser } from "@tims/client";
import { useRouter } from "next/router";
import { type FormEvent, useState } from "react";
import { useProblemText, useText } from "@/i18n";
import type { Person } from "@/types";
import { useCall } from "@/ui/callApi";
import { Dialog } from "@/ui/Dialog";
import { Field, FormError } from "@/ui/Field";
import { PeoplePicker } from "./PeoplePicker";

export function NewChatDialog({ onClose }: { onClose: () => void }) {
  const { t } = useText();
  const problemText = useProblemText();
  const me = useUser();
  const router = useRouter();
  const { run, sending, problem } = useCall();
  const [chosen, setChosen] = useState<Person[]>([]);
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const title = String(new FormData(event.currentTarget).get("title") ?? "").trim();
    const body = { title, members: chosen.map((person) => person.id) };
    const chat = await run("POST", "/api/chats/start/", { body });
    if (!chat) return;
    onClose();
    void router.push(`/chat/${chat.id}`);
  }
  const wrong = problemText.field(problem, "title");
  return (
    <Dialog title={t("chats.new")} onClose={onClose}>
      <form onSubmit={submit} className="flex min-h-0 flex-col gap-4">
        <FormError>{wrong ? null : problemText.of(problem)}</FormError>
        <Field
          label={t("people.about")}
          name="title"
          maxLength={80}
          required
          autoComplete="off"
          error={wrong}
        />
        <PeoplePicker chosen={chosen} onChange={setChosen} without={me ? [me.id] : []} />
        <button type="submit" className="btn btn-primary" disabled={sending}>
          {t("people.start")}
        </button>
      </form>
    </Dialog>
  );
}
