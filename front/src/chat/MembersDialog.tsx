import { type LiveResult, useUser } from "@tims/client";
import { useRouter } from "next/router";
import { useState } from "react";
import { useProblemText, useText } from "@/i18n";
import type { Chat, Member, Person } from "@/types";
import { PresentAvatar } from "@/ui/Avatar";
import { useCall } from "@/ui/callApi";
import { Dialog } from "@/ui/Dialog";
import { FormError } from "@/ui/Field";
import { Icon } from "@/ui/Icon";
import { PeoplePicker } from "./PeoplePicker";
import { type People, useNameOf } from "./usePeople";

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
  const { t } = useText();
  const problemText = useProblemText();
  const { run, sending, problem } = useCall();
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
      <FormError>{problemText.of(problem)}</FormError>
      <PeoplePicker chosen={chosen} onChange={setChosen} without={members.map((member) => member.user)} />
      <button
        type="button"
        className="btn btn-primary"
        disabled={sending || chosen.length === 0}
        onClick={() => void add()}
      >
        {t("people.add_chosen", { count: chosen.length || 1 })}
      </button>
    </div>
  );
}

export function MembersDialog({ chat, members, people, present, onClose }: MembersProps) {
  const { t } = useText();
  const problemText = useProblemText();
  const nameOf = useNameOf();
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
    <Dialog title={adding ? t("people.add") : t("people.in", { title: chat.title })} onClose={onClose}>
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
                    {member.user === me?.id
                      ? t("people.you", { name: nameOf(me) })
                      : nameOf(people[member.user])}
                  </span>
                  <span className="text-soft truncate text-sm">
                    @{people[member.user]?.username}
                    {present.has(member.user) ? ` · ${t("people.here")}` : ""}
                  </span>
                </span>
              </li>
            ))}
          </ul>
          <FormError>{problemText.of(problem)}</FormError>
          <div className="flex flex-wrap gap-3">
            <button type="button" className="btn btn-primary" onClick={() => setAdding(true)}>
              <Icon name="plus" className="size-4" /> {t("people.add")}
            </button>
            <button
              type="button"
              className={`btn btn-error ${leaving ? "" : "btn-outline"}`}
              disabled={sending || !own}
              onClick={() => (leaving ? void leave() : setLeaving(true))}
            >
              <Icon name="leave" className="size-4.5" />{" "}
              {leaving ? t("people.really_leave") : t("people.leave")}
            </button>
          </div>
        </>
      )}
    </Dialog>
  );
}
