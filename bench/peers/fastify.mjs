// The same work on Fastify and Node's own SQLite: node fastify.mjs PORT DATABASE

import { randomUUID } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import Fastify from "fastify";

const [port, file] = process.argv.slice(2);
const app = Fastify({ logger: false });

app.get("/json", {
  schema: { response: { 200: { type: "object", properties: { message: { type: "string" } } } } },
  handler: async () => ({ message: "Hello, World!" }),
});

if (file) {
  const db = new DatabaseSync(file);
  db.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON");
  const session = db.prepare("SELECT user FROM bench_session WHERE token = ?");
  const member = db.prepare("SELECT 1 FROM member WHERE chat = ? AND user = ?");
  const count = db.prepare("SELECT count(*) AS total FROM message WHERE chat = ?");
  const list = db.prepare(
    "SELECT id, chat, sender, text, created_at FROM message WHERE chat = ? ORDER BY created_at DESC, id DESC LIMIT 50",
  );
  const row = db.prepare("SELECT id, name, value FROM item WHERE id = ?");
  const insert = db.prepare(
    "INSERT INTO message (id, chat, sender, text, created_at) VALUES (?, ?, ?, ?, ?)",
  );
  const userOf = (request) =>
    session.get(/session=([^;]+)/.exec(request.headers.cookie ?? "")?.[1] ?? "")?.user;
  const shown = (message) => ({ ...message, created_at: new Date(message.created_at / 1000).toISOString() });

  app.get("/json/session", async (request, reply) =>
    userOf(request) ? { message: "Hello, World!" } : reply.code(401).send({}),
  );
  app.get("/api/items/:id/", async (request) => row.get(request.params.id));
  app.get("/api/messages/", async (request, reply) => {
    const user = userOf(request);
    const chat = request.query.chat;
    if (!user || !member.get(chat, user)) return reply.code(404).send({});
    return { rows: list.all(chat).map(shown), total: count.get(chat).total };
  });
  app.post("/api/messages/", async (request, reply) => {
    const user = userOf(request);
    const { chat, text } = request.body;
    if (!user || !member.get(chat, user)) return reply.code(404).send({});
    const message = { id: randomUUID(), chat, sender: user, text, created_at: Date.now() * 1000 };
    insert.run(message.id, chat, user, text, message.created_at);
    return reply.code(201).send(shown(message));
  });
}
await app.listen({ port: Number(port), host: "127.0.0.1" });
console.log("ready");
