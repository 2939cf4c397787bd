// The same work on Fastify and pg, pooled, its statements prepared by name: node fastify_postgres.mjs PORT URL

import { randomUUID } from "node:crypto";
import Fastify from "fastify";
import pg from "pg";

const CONNECTIONS = 10; // what a pool has unless it is told otherwise
const [port, url] = process.argv.slice(2);
const app = Fastify({ logger: false });
const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS });
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

const statement = (name, text) => async (values) => (await pool.query({ name, text, values })).rows;
const row = statement("row", "SELECT id, name, value FROM item WHERE id = $1");
const total = statement(
  "total",
  'SELECT (SELECT count(*) FROM message WHERE chat = $1) AS total FROM bench_session AS s JOIN member AS m ON m."user" = s."user" AND m.chat = $1 WHERE s.token = $2',
);
const list = statement(
  "list",
  "SELECT id, chat, sender, text, created_at FROM message WHERE chat = $1 ORDER BY created_at DESC, id DESC LIMIT 50",
);
const insert = statement(
  "insert",
  'INSERT INTO message (id, chat, sender, text, created_at) SELECT $1, $2, s."user", $3, now() FROM bench_session AS s JOIN member AS m ON m."user" = s."user" AND m.chat = $2 WHERE s.token = $4 RETURNING id, chat, sender, text, created_at',
);
const tokenOf = (request) => /session=([^;]+)/.exec(request.headers.cookie ?? "")?.[1] ?? "";

app.get("/api/items/:id/", async (request) => (await row([request.params.id]))[0]);
app.get("/api/messages/", async (request, reply) => {
  const { chat } = request.query;
  const [[found], rows] = await Promise.all([total([chat, tokenOf(request)]), list([chat])]);
  return found ? { rows, total: found.total } : reply.code(404).send({});
});
app.post("/api/messages/", async (request, reply) => {
  const { chat, text } = request.body;
  const [message] = await insert([randomUUID(), chat, text, tokenOf(request)]);
  return message ? reply.code(201).send(message) : reply.code(404).send({});
});
await app.listen({ port: Number(port), host: "127.0.0.1" });
console.log("ready");
