// nodes.mjs: from the commit on PostgreSQL to the client, for sockets of the node that committed and of another one,
// which hears of it through Redis.
import { Redis } from "../tests/redis.ts";
import { startOurs } from "./contenders.mjs";
import { measure, planChats, startCrowd } from "./crowd.mjs";
import { goal, median, save, summarise } from "./goals.mjs";
import { openPostgres } from "./postgres.mjs";

const SOCKETS = 1000; // of the node that is measured
const CHATS = 100; // so that ten of them hear of a change
const RATE = 50; // changes a second

async function measureRound(context, postgres, redis) {
  const start = (database) =>
    startOurs({
      folder: context.folder,
      database,
      env: { REDIS_URL: redis.url, SOCKETS_PER_USER: "100000" },
    });
  const database = postgres.fresh("ours");
  const server = await start(database);
  const other = await start(database);
  try {
    const plan = await planChats(context, server, SOCKETS, CHATS);
    const row = {};
    for (const [name, door] of Object.entries({ same: server, other })) {
      const crowd = await startCrowd({ dialect: "tims", server, door, count: SOCKETS, plan });
      row[name] = await measure(crowd, door, `open ${RATE} ${context.seconds}`);
      await crowd.stop();
      const { commit_p50_ms, commit_p99_ms } = row[name];
      process.stderr.write(`  db nodes ${name} p50 ${commit_p50_ms} ms, p99 ${commit_p99_ms} ms\n`);
    }
    return row;
  } finally {
    await other.stop();
    await server.stop();
  }
}

export async function nodes(context) {
  const postgres = await openPostgres(context);
  const redis = await Redis.open();
  const all = [];
  try {
    for (let round = 0; round < context.rounds; round++)
      all.push(await measureRound(context, postgres, redis));
  } finally {
    await redis.remove();
  }
  const of = (name, field) => median(all.map((row) => row[name][field]));
  const goals = ["same", "other"].flatMap((name) => [
    goal(`db.nodes.${name}.p50`, "<=", 3, of(name, "commit_p50_ms"), "ms from commit to client"),
    goal(`db.nodes.${name}.p99`, "<=", 10, of(name, "commit_p99_ms"), "ms from commit to client"),
  ]);
  save("db_nodes", {
    about: `${RATE} changes a second, each for ${SOCKETS / CHATS} of ${SOCKETS} sockets, on PostgreSQL; same: the sockets are on the node that commits; other: on another one, beside it.`,
    rounds: all,
    summary: summarise(all),
    goals,
  });
}
