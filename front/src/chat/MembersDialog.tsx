import { type LiveResult, useUser } from "@tims/client";
import { useRouter } from "next/router";
import { useState } from "react";
import { type Chat, type Member, nameOf, type Person } from "@/types";
import { PresentAvatar } from "@/ui/Avatar";
import { useCall } from "@/ui/callApi";
import { Dialog } from "@/ui/Dialog";
import { FormError } from "@/ui/Field";
import { Icon } from "@/ui/Icon";
import { PeoplePicker } from "./PeoplePicker";
import type { People } from "./usePeople";

interface MembersProps {
  chat: Chat;
  members: LiveResult<Member>;
  people: People;
  /** Ids of those who look at the chat now. */
  present: ReadonlySet<string>;
  onClose: () => void;
}

function AddPeople({
  chat,
  members,
  onDone,
}: {
  chat: Chat;
  members: readonly Member[];
  onDone: () => void;
}) {
  const { run, sending, problem } = useCall<Member>();
  const [chosen, setChosen] = useState<Person[]>([]);
  async function add() {
    for (const person of chosen) {
      if ((await run("POST", "/api/members/", { body: { chat: chat.id, user: person.id } })) === undefined)
        return;
    }
    onDone();
  }
  return (
    <div className="flex min-h-0 flex-col gap-3">
      <FormError>{problem?.detail}</FormError>
      <PeoplePicker chosen={chosen} onChange={setChosen} without={members.map((member) => member.user)} />
      <button
        type="button"
        className="btn btn-primary"
        disabled={sending || chosen.length === 0}
        onClick={() => void add()}
      >
        Add {chosen.length > 1 ? `${chosen.length} people` : "to the chat"}
      </button>
    </div>
  );
}

export function MembersDialog({ chat, members, people, present, onClose }: MembersProps) {
  const me = useUser();
  const router = useRouter();
  const { run, sending, problem } = useCall();
  const [adding, setAdding] = useState(false);
  const [leaving, setLeaving] = useState(false);
  const own = members.rows.find((member) => member.user === me?.id);
  async function leave() {
    if (!own || (await run("DELETE", `/api/members/${own.id}/`)) === undefined) return;
    onClose();
    void router.push("/chats");
  }
  return (
    <Dialog title={adding ? "Add people" : `In “${chat.title}”`} onClose={onClose}>
      {adding ? (
        <AddPeople chat={chat} members={members.rows} onDone={() => setAdding(false)} />
      ) : (
        <>
          <ul className="flex min-h-0 flex-col gap-1 overflow-y-auto">
            {members.rows.map((member) => (
              <li key={member.id} className="flex items-center gap-3 py-1.5">
                <PresentAvatar person={people[member.user]} present={present.has(member.user)} />
                <span className="flex min-w-0 grow flex-col leading-tight">
                  <span className="truncate font-medium">
                    {nameOf(people[member.user])}
                    {member.user === me?.id ? " (you)" : ""}
                  </span>
                  <span className="text-soft truncate text-sm">
                    @{people[member.user]?.username}
                    {present.has(member.user) ? " · here now" : ""}
                  </span>
                </span>
              </li>
            ))}
          </ul>
          <FormError>{problem?.detail}</FormError>
          <div className="flex flex-wrap gap-3">
            <button type="button" className="btn btn-primary" onClick={() => setAdding(true)}>
              <Icon name="plus" className="size-4" /> Add people
            </button>
            <button
              type="button"
              className={`btn btn-error ${leaving ? "" : "btn-outline"}`}
              disabled={sending || !own}
              onClick={() => (leaving ? void leave() : setLeaving(true))}
            >
              <Icon name="leave" className="size-4.5" /> {leaving ? "Really leave" : "Leave the chat"}
            </button>
          </div>
        </>
      )}
    </Dialog>
  );
}
