/* What the API takes and gives, by short names; all of it from the backend's schema (npm run types). */
import type { components, paths } from "@tims/client/generated";

declare module "@tims/client" {
  interface TimsApi extends paths {}
}

type Schemas = components["schemas"];
export type Chat = Schemas["Chat"];
export type Member = Schemas["Member"];
export type Message = Schemas["Message"];
/** What is known of a picture beside its content. */
export type Picture = Schemas["Picture"];
export type Unread = Schemas["Unread"];
/** What the account endpoints answer: who is signed in now, and the token for the next change. */
export type Who = Schemas["Who"];
export type Person = Pick<Schemas["User"], "id" | "username" | "display_name" | "avatar">;

/** Empty for nobody. */
export function nameOf(person: Person | undefined): string {
  return person?.display_name || person?.username || "";
}
