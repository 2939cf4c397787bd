/* How many messages wait, over all chats: the person's own member rows, which the backend keeps counted. */
import { useLive, useUser } from "@tims/client";
import type { Member } from "@/types";

export function useOwnMembers(): Member[] {
  const user = useUser();
  return useLive<Member>(user ? `/api/members/?user=${user.id}` : null).rows;
}

export function useUnread(): number {
  return useOwnMembers().reduce((sum, member) => sum + member.unread, 0);
}
