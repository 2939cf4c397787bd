import { fieldError, useUser } from "@tims/client";
import { useRouter } from "next/router";
import { type FormEvent, useState } from "react";
import type { Chat, Person } from "@/types";
import { useCall } from "@/ui/callApi";
import { Dialog } from "@/ui/Dialog";
import { Field, FormError } from "@/ui/Field";
import { PeoplePicker } from "./PeoplePicker";

export function NewChatDialog({ onClose }: { onClose: () => void }) {
  const me = useUser();
  const router = useRouter();
  const { run, sending, problem } = useCall<Chat>();
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
  const wrong = fieldError(problem, "title");
  return (
    <Dialog title="New chat" onClose={onClose}>
      <form onSubmit={submit} className="flex min-h-0 flex-col gap-4">
        <FormError>{problem && !wrong ? problem.detail : null}</FormError>
        <Field
          label="What is it about?"
          name="title"
          maxLength={80}
          required
          autoComplete="off"
          error={wrong}
        />
        <PeoplePicker chosen={chosen} onChange={setChosen} without={me ? [me.id] : []} />
        <button type="submit" className="btn btn-primary" disabled={sending}>
          Start
        </button>
      </form>
    </Dialog>
  );
}
