/* How many messages wait, by chat and over all of them: computed by the backend, alive like any list. */
import { useComputed, useUser } from "@tims/client";
import type { Unread } from "@/types";

const NOTHING: Unread = { counts: {}, total: 0 };

export function useUnread(): Unread {
  const user = useUser();
  return useComputed(user ? "/api/unread/" : null).value ?? NOTHING;
}

/** How many people are connected now; null until it is known. */
export function useOnline(): number | null {
  const user = useUser();
  return useComputed(user ? "/api/online/" : null).value?.count ?? null;
}
