/* The demo's rows, as the API answers them. */
import type { Row, User } from "@tims/client";

export type Person = Pick<User, "id" | "username" | "display_name" | "avatar">;

/** What the account endpoints answer: who is signed in now, and the token for the next change. */
export interface Who {
  user: User | null;
  csrf: string;
}

export interface Chat extends Row {
  title: string;
  created_by: string;
  created_at: string;
  last_message_at: string;
}

export interface Member extends Row {
  chat: string;
  user: string;
  joined_at: string;
  last_read_at: string | null;
  unread: number;
}

export interface Message extends Row {
  chat: string;
  sender: string;
  /** With a picture it may be empty. */
  text: string;
  picture: string | null;
  created_at: string;
}

export interface Unread {
  counts: Record<string, number>;
  total: number;
}

declare module "@tims/client" {
  interface TimsApi {
    "/api/chats/": Chat;
    "/api/members/": Member;
    "/api/messages/": Message;
    "/api/unread/": Unread;
    "/api/online/": { count: number };
  }
}

/** What is known of a picture beside its content. */
export interface Picture extends Row {
  chat: string;
  sender: string;
  content_type: string;
  /** What is to be seen, as its sender says; may be empty. */
  alt: string;
  width: number;
  height: number;
  bytes: number;
  created_at: string;
}

/** Empty for nobody. */
export function nameOf(person: Person | undefined): string {
  return person?.display_name || person?.username || "";
}
