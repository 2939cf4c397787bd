/* Who is who in a chat: members come with their users; somebody who wrote and left is asked for once. */
import { type AnyRow, type User, useClient, useConnection, useUser } from "@tims/client";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useText } from "@/i18n";
import { type Message, nameOf, type Person } from "@/types";

export type People = Record<string, Person>;

/** How somebody is called; "Somebody" for who is not known. */
export function useNameOf(): (person: Person | undefined) => string {
  const { t } = useText();
  return useCallback((person) => nameOf(person) || t("ui.somebody"), [t]);
}

export function usePeople(
  included: Record<string, AnyRow> | undefined,
  messages: readonly Message[],
): People {
  const client = useClient();
  const me = useUser();
  const isLive = useConnection().status === "live";
  const [others, setOthers] = useState<People>({});
  const people = useMemo(() => {
    const known: People = { ...others };
    for (const [id, row] of Object.entries(included ?? {})) known[id] = row as unknown as User;
    if (me) known[me.id] = me;
    return known;
  }, [included, others, me]);
  const unknown = [...new Set(messages.map((message) => message.sender))]
    .filter((id) => id && !people[id])
    .sort()
    .join(",");
  // biome-ignore lint/correctness/useExhaustiveDependencies: what failed is tried again when the connection is back
  useEffect(() => {
    if (unknown === "" || included === undefined) return;
    let stale = false;
    client
      .api("GET", `/api/users/?id__in=${unknown}`)
      .then(({ data }) => {
        if (!stale)
          setOthers((held) => ({
            ...held,
            ...Object.fromEntries(data.rows.map((row) => [row.id, row])),
          }));
      })
      .catch(() => {}); // they stay "Somebody"
    return () => {
      stale = true;
    };
  }, [client, unknown, included, isLive]);
  return people;
}
