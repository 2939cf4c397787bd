// Changes COUNT rows of the table of items, as a program that knows nothing of the server: node write.mjs DATABASE COUNT
import { DatabaseSync } from "node:sqlite";

const [file, count] = process.argv.slice(2);
const EACH = 500; // rows of a transaction
const db = new DatabaseSync(file);
db.exec("PRAGMA synchronous=OFF; PRAGMA busy_timeout=20000");
const ids = db
  .prepare("SELECT id FROM item ORDER BY id")
  .all()
  .map(({ id }) => id);
const update = db.prepare("UPDATE item SET value = value + 1 WHERE id BETWEEN ? AND ?");
const started_ns = Number(process.hrtime.bigint());
let changed = 0;
for (let first = 0; changed < Number(count); first = (first + EACH) % ids.length)
  changed += update.run(ids[first], ids[Math.min(first + EACH, ids.length) - 1]).changes;
console.log(JSON.stringify({ started_ns, ended_ns: Number(process.hrtime.bigint()), changed }));
