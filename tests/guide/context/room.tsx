import { usePresence, useTopic } from "@tims/client";

function Typing({ user }: { user: string }) {
  return <i>{user}</i>;
}

export function Room({ chat }: { chat: string }) {
  /* here */
}
