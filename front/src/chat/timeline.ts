/* Messages as a timeline: oldest first, days between them, one head for a run of messages of one person, and who has
 * read up to where. Pure, so that the server and the browser agree. */
import type { Member, Message } from "@/types";
import { dayKey } from "@/ui/Time";

export interface Entry {
  message: Message;
  /** First of its day: a day line stands above. */
  startsDay: boolean;
  /** First of a run: the sender's name and picture stand with it. */
  startsRun: boolean;
  endsRun: boolean;
  /** The others whose latest read message this is. */
  readers: string[];
}

/** A pause this long begins a new run. */
const RUN_MS = 10 * 60 * 1000;

function continues(before: Message | undefined, message: Message, local: boolean): boolean {
  if (!before || before.sender !== message.sender) return false;
  if (dayKey(before.created_at, local) !== dayKey(message.created_at, local)) return false;
  return Date.parse(message.created_at) - Date.parse(before.created_at) < RUN_MS;
}

/** When somebody was last known to have seen the chat: they marked it read, or they wrote. */
function lastSeen(member: Member, messages: readonly Message[]): number {
  const wrote = messages.findLast((message) => message.sender === member.user);
  const read = member.last_read_at ? Date.parse(member.last_read_at) : 0;
  return Math.max(read, wrote ? Date.parse(wrote.created_at) : 0);
}

function readersByMessage(
  messages: readonly Message[],
  members: readonly Member[],
  me: string,
): Map<string, string[]> {
  const readers = new Map<string, string[]>();
  for (const member of members) {
    if (member.user === me) continue;
    const seen = lastSeen(member, messages);
    const last = messages.findLast((message) => Date.parse(message.created_at) <= seen);
    if (last && last.sender !== member.user)
      readers.set(last.id, [...(readers.get(last.id) ?? []), member.user]);
  }
  return readers;
}

/** `newestFirst` as the API answers it. */
export function makeTimeline(
  newestFirst: readonly Message[],
  members: readonly Member[],
  me: string,
  local: boolean,
): Entry[] {
  const messages = [...newestFirst].reverse();
  const readers = readersByMessage(messages, members, me);
  return messages.map((message, index) => {
    const before = messages[index - 1];
    const after = messages[index + 1];
    return {
      message,
      startsDay: !before || dayKey(before.created_at, local) !== dayKey(message.created_at, local),
      startsRun: !continues(before, message, local),
      endsRun: !after || !continues(message, after, local),
      readers: readers.get(message.id) ?? [],
    };
  });
}

export type Piece = { text: string } | { href: string };

/** Text and the web addresses in it. */
export function findLinks(text: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(/https?:\/\/[^\s<>"]*[^\s<>".,;:!?)\]'’]/g)) {
    if (match.index > end) pieces.push({ text: text.slice(end, match.index) });
    pieces.push({ href: match[0] });
    end = match.index + match[0].length;
  }
  if (end < text.length) pieces.push({ text: text.slice(end) });
  return pieces;
}
