// Writes COUNT messages into a chat, as a program that knows nothing of the server: node write.mjs DATABASE CHAT USER COUNT
import { DatabaseSync } from "node:sqlite";

const [file, chat, user, count] = process.argv.slice(2);
const EACH = 500; // rows of a transaction
const db = new DatabaseSync(file);
db.exec("PRAGMA synchronous=OFF; PRAGMA busy_timeout=20000");
const insert = db.prepare("INSERT INTO message (id, chat, sender, text, created_at) VALUES (?, ?, ?, ?, ?)");
const line = "x".repeat(60);
const started_ns = Number(process.hrtime.bigint());
for (let i = 0; i < Number(count); i++) {
  if (i % EACH === 0) db.exec("BEGIN IMMEDIATE");
  insert.run(`00000000-0009-7000-8000-${i.toString(16).padStart(12, "0")}`, chat, user, line, i);
  if (i % EACH === EACH - 1) db.exec("COMMIT");
}
if (Number(count) % EACH !== 0) db.exec("COMMIT");
console.log(JSON.stringify({ started_ns, ended_ns: Number(process.hrtime.bigint()) }));
