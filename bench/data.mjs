// data.mjs: the database that everybody works on: 64 users, 1,000 chats of 5 members, 200,000 messages, 10,000 items; and
// a hall, a chat with everybody in it.
// Made once per run by our own migrations; peers get copies without the change log's triggers.
import { execFileSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const id = (kind, number) => `00000000-000${kind}-7000-8000-${number.toString(16).padStart(12, "0")}`;
const line =
  "A line of a message that is about as long as people write, that is a hundred characters or so. Number ";

export function makeData(folder, program) {
  const file = join(folder, "ours.sqlite3");
  const env = { PATH: process.env.PATH, DATABASE_URL: `sqlite:${file}`, CHEAP_PASSWORDS: "true" };
  execFileSync(program, ["migrate"], { cwd: folder, env });
  execFileSync(program, ["demo"], { cwd: folder, env });
  const db = new DatabaseSync(file);
  const users = db.prepare("SELECT id, username FROM user ORDER BY username").all();
  const triggers = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
  for (const trigger of triggers) db.exec(`DROP TRIGGER "${trigger.name}"`);
  db.exec("BEGIN; CREATE TABLE bench_session (token TEXT PRIMARY KEY, user TEXT NOT NULL) WITHOUT ROWID");
  const sessions = users.map((user, i) => ({ user, token: `token${String(i).padStart(38, "0")}` }));
  for (const { user, token } of sessions)
    db.prepare("INSERT INTO bench_session VALUES (?, ?)").run(token, user.id);
  fillTables(db, users);
  db.exec("COMMIT; PRAGMA wal_checkpoint(TRUNCATE); ANALYZE");
  db.close();
  const peers = join(folder, "peers.sqlite3");
  copyFileSync(file, peers);
  const again = new DatabaseSync(file);
  for (const trigger of triggers) again.exec(trigger.sql);
  again.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  again.close();
  return {
    file,
    peers,
    sessions,
    chatsOf: (user) => memberships.get(user) ?? [],
    hall,
    item: (number) => id(4, number % 10_000),
  };
}

const memberships = new Map();
const hall = id(1, 1000);

function fillTables(db, users) {
  const chat = db.prepare("INSERT INTO chat (id, title) VALUES (?, ?)");
  const member = db.prepare("INSERT INTO member (id, chat, user) VALUES (?, ?, ?)");
  const message = db.prepare(
    "INSERT INTO message (id, chat, sender, text, created_at) VALUES (?, ?, ?, ?, ?)",
  );
  const item = db.prepare("INSERT INTO item (id, name, value) VALUES (?, ?, ?)");
  for (let i = 0; i < 10_000; i++) item.run(id(4, i), `item ${i}`, i);
  for (let c = 0; c < 1000; c++) {
    chat.run(id(1, c), `chat ${c}`);
    for (let m = 0; m < 5; m++) {
      const user = users[(c * 5 + m) % users.length].id;
      member.run(id(2, c * 5 + m), id(1, c), user);
      memberships.set(user, [...(memberships.get(user) ?? []), id(1, c)]);
    }
  }
  chat.run(hall, "hall");
  users.forEach((user, i) => {
    member.run(id(2, 5000 + i), hall, user.id);
    message.run(id(3, 200_000 + i), hall, user.id, "hello", 1_700_000_000_000_000 + i);
  });
  for (let i = 0; i < 200_000; i++) {
    const c = i % 1000;
    message.run(
      id(3, i),
      id(1, c),
      users[(c * 5 + (i % 5)) % users.length].id,
      line + i,
      1_700_000_000_000_000 + i * 1_000_000,
    );
  }
}
