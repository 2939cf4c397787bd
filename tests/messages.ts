// messages.ts: many messages in a chat at once, by the database's own program.
import { type Server, sql } from "./server.ts";

// `count` messages of the chat's members in turn, a minute apart, the last one now; numbered from 1, the oldest.
export function writeMessages(
  server: Server,
  chat: string,
  count: number,
  textOf: (n: number) => string,
): void {
  const users = sql(server, `select "user" from member where chat = '${chat}' order by joined_at`).split(
    "\n",
  );
  const now = Date.now();
  const rows = Array.from({ length: count }, (_, i) => {
    const at = (now - (count - 1 - i) * 60_000) * 1000;
    const text = textOf(i + 1).replaceAll("'", "''");
    return `('${crypto.randomUUID()}', '${chat}', '${users[i % users.length]}', '${text}', ${at})`;
  });
  for (let from = 0; from < rows.length; from += 500)
    sql(
      server,
      `insert into message (id, chat, sender, text, created_at) values ${rows.slice(from, from + 500).join(", ")}`,
    );
}
