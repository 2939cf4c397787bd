/* Who is writing just now: said in passing in the chat's room as {kind: "typing", data: true | false}. */
import type { Said } from "@tims/client";
import type { Translate } from "@/i18n";

export const TYPING = "typing";

/** Ids of those whose last word on it is yes. */
export function typists(said: readonly Said[]): string[] {
  return said.filter(({ kind, data }) => kind === TYPING && data === true).map(({ user }) => user);
}

/** "Ada is writing …", for any number of names; empty for none. */
export function typingLine(names: readonly string[], t: Translate): string {
  const [first, second] = names;
  if (first === undefined) return "";
  if (second === undefined) return t("chat.typing_one", { name: first });
  return names.length === 2 ? t("chat.typing_two", { first, second }) : t("chat.typing_many");
}
