/* Looks people up by name and collects the chosen ones. */
import { useClient } from "@tims/client";
import { useEffect, useId, useState } from "react";
import { useText } from "@/i18n";
import { nameOf, type Person } from "@/types";
import { Avatar } from "@/ui/Avatar";
import { Icon } from "@/ui/Icon";

const PAUSE_MS = 150; // of typing, before the server is asked
const SHOWN = 20;

function useSearch(text: string): Person[] | null {
  const client = useClient();
  const [found, setFound] = useState<Person[] | null>(null);
  useEffect(() => {
    const controller = new AbortController();
    const timer = setTimeout(() => {
      const search = text.trim() === "" ? "" : `&search=${encodeURIComponent(text.trim())}`;
      client
        .api("GET", `/api/users/?limit=${SHOWN}&total=false${search}`, {
          signal: controller.signal,
        })
        .then(({ data }) => setFound(data.rows))
        .catch(() => {}); // the next letter asks again
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [client, text]);
  return found;
}

interface PickerProps {
  chosen: readonly Person[];
  onChange: (chosen: Person[]) => void;
  /** Ids that are not offered. */
  without: readonly string[];
}

export function PeoplePicker({ chosen, onChange, without }: PickerProps) {
  const { t } = useText();
  const [text, setText] = useState("");
  const found = useSearch(text);
  const id = useId();
  const offered = (found ?? []).filter((person) => !without.includes(person.id));
  const isChosen = (person: Person) => chosen.some((other) => other.id === person.id);
  const remove = (person: Person) => onChange(chosen.filter((other) => other.id !== person.id));
  return (
    <div className="flex min-h-0 flex-col gap-2">
      <label htmlFor={id} className="text-sm font-medium">
        {t("people.label")}
      </label>
      {chosen.length > 0 && (
        <ul className="flex flex-wrap gap-1.5" aria-label={t("people.chosen")}>
          {chosen.map((person) => (
            <li key={person.id}>
              <button
                type="button"
                className="btn btn-sm gap-1.5 rounded-full ps-1"
                onClick={() => remove(person)}
              >
                <Avatar person={person} size="small" />
                {nameOf(person)}
                <Icon name="close" className="size-4" />
                <span className="sr-only">{t("people.remove")}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      <div className="input w-full">
        <Icon name="search" className="text-soft size-4.5" />
        <input
          id={id}
          type="search"
          placeholder={t("people.search")}
          autoComplete="off"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
      </div>
      <ul
        className="max-h-60 min-h-24 overflow-y-auto"
        aria-label={t("people.found")}
        aria-busy={found === null}
      >
        {offered.map((person) => (
          <li key={person.id}>
            <label className="rounded-field hover:bg-base-content/5 flex cursor-pointer items-center gap-3 px-2 py-1.5">
              <Avatar person={person} />
              <span className="flex min-w-0 grow flex-col leading-tight">
                <span className="truncate font-medium">{nameOf(person)}</span>
                <span className="text-soft truncate text-sm">@{person.username}</span>
              </span>
              <input
                type="checkbox"
                className="checkbox checkbox-primary checkbox-sm"
                checked={isChosen(person)}
                onChange={() => (isChosen(person) ? remove(person) : onChange([...chosen, person]))}
              />
            </label>
          </li>
        ))}
        {found !== null && offered.length === 0 && (
          <li className="text-soft px-2 py-4 text-sm">{t("people.nobody")}</li>
        )}
      </ul>
    </div>
  );
}
