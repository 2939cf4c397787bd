// db.mjs: row, list and create on both databases in one run: the limit (SQLite in the process; libpq), ours, Fastify
// (Node's own SQLite; pg). PostgreSQL runs on the server's core and its CPU is counted beside the server's.
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { startFastify, startLimit, startOurs } from "./contenders.mjs";
import { planOwnChats, startCrowd } from "./crowd.mjs";
import { goal, median, ratio, save, summarise } from "./goals.mjs";
import { openPostgres } from "./postgres.mjs";
import { cookies, createRequests, listRequests, oursHeaders, rowRequests, runRounds } from "./rounds.mjs";

// The contenders of a workload that only reads; `makeRequests` takes what each request must send along.
function readers(context, postgres, workload, makeRequests) {
  const { folder, data } = context;
  const env = { CACHE_BYTES: "0" }; // everybody asks the database each time
  const peer = async () => makeRequests(cookies(data));
  const own = async (server) =>
    makeRequests((await oursHeaders(server, data)).map(({ Cookie }) => ({ Cookie })));
  return {
    limit_sqlite: { start: () => startLimit(workload, data.peers), requests: peer },
    ours_sqlite: { start: () => startOurs({ folder, database: data.file, env }), requests: own },
    fastify_sqlite: { start: () => startFastify(data.peers), requests: peer },
    limit: { start: () => startLimit(workload, postgres.peers), requests: peer, database: postgres },
    limit_together: {
      start: () => startLimit(`${workload}_together`, postgres.peers),
      requests: peer,
      database: postgres,
    },
    ours: {
      start: () => startOurs({ folder, database: postgres.ours, env }),
      requests: own,
      database: postgres,
    },
    fastify: { start: () => startFastify(postgres.peers), requests: peer, database: postgres },
  };
}

function readGoals(name, all, wanted) {
  return [
    goal(`${name}.limit`, ">=", wanted, ratio(all, "limit", "ours", "cpu_us"), "× libpq in C per CPU"),
    goal(
      `${name}.limit.rate`,
      ">=",
      wanted,
      ratio(all, "ours", "limit", "per_second"),
      "× libpq in C, per second",
    ),
    goal(`${name}.fastify`, ">=", 2.5, ratio(all, "fastify", "ours", "cpu_us"), "× Fastify with pg per CPU"),
    ownShare(name, all),
  ];
}

// With 64 clients it is to be the database that limits, not we.
function ownShare(name, all) {
  const share = median(all.map(({ ours }) => ours.cpu_us / ours.database_us));
  return goal(`${name}.share`, "<=", 0.5, share, "× PostgreSQL's CPU");
}

async function measureReads(context, workload, { about, makeRequests, check, wanted }) {
  const postgres = await openPostgres(context);
  const name = `db_${workload}`;
  const contenders = readers(context, postgres, workload, makeRequests);
  const all = await runRounds({ ...context, contenders, name, check });
  save(name, {
    about,
    rounds: all,
    summary: summarise(all),
    goals: readGoals(`db.${workload}`, all, wanted),
  });
}

export async function row(context) {
  await measureReads(context, "row", {
    about:
      "One row by its key, as JSON, on SQLite and on PostgreSQL. limit: libpq, a transaction a request; limit_together: those that arrive together share one.",
    makeRequests: () => rowRequests(context.data),
    check: (body) => body.name === "item 0",
    wanted: 0.75,
  });
}

export async function list(context) {
  await measureReads(context, "list", {
    about: "The latest 50 messages of a chat: session, membership rule, total, all of one snapshot.",
    makeRequests: (headers) => listRequests(context.data, headers),
    check: (body) => body.rows.length === 50 && body.total === 200,
    wanted: 0.8,
  });
}

// Ours with a socket in each chat that is written to, so that every insert is delivered.
function startDelivering(context, database) {
  return async () => {
    const server = await startOurs({ folder: context.folder, database });
    const { plan, count } = await planOwnChats(context, server);
    const crowd = await startCrowd({ dialect: "tims", server, count, plan });
    return {
      ...server,
      stop: async () => {
        await crowd.stop();
        await server.stop();
      },
    };
  };
}

export async function create(context) {
  const { folder, data } = context;
  const postgres = await openPostgres(context);
  let copies = 0;
  const file = (source) => {
    const copy = join(folder, `db-create-${copies++}.sqlite3`);
    copyFileSync(source, copy);
    return copy;
  };
  const peer = async () => createRequests(data, cookies(data));
  const own = async (server) => createRequests(data, await oursHeaders(server, data));
  const contenders = {
    limit_sqlite: { start: () => startLimit("create", file(data.peers)), requests: peer },
    ours_sqlite: { start: () => startDelivering(context, file(data.file))(), requests: own },
    fastify_sqlite: { start: () => startFastify(file(data.peers)), requests: peer },
    limit: {
      start: () => startLimit("create", postgres.fresh("peers")),
      requests: peer,
      database: postgres,
    },
    ours: {
      start: () => startDelivering(context, postgres.fresh("ours"))(),
      requests: own,
      database: postgres,
    },
    fastify: { start: () => startFastify(postgres.fresh("peers")), requests: peer, database: postgres },
  };
  const all = await runRounds({
    ...context,
    contenders,
    name: "db_create",
    check: (body) => body.id?.length === 36,
  });
  save("db_create", {
    about:
      "An insert, durable (synchronous_commit), 64 clients: session, membership rule, and for ours CSRF, change log and delivery to a socket.",
    rounds: all,
    summary: summarise(all),
    goals: [
      goal(
        "db.create.limit",
        ">=",
        0.9,
        ratio(all, "ours", "limit", "per_second"),
        "× libpq in C, per second",
      ),
      goal(
        "db.create.fastify",
        ">=",
        1,
        ratio(all, "ours", "fastify", "per_second"),
        "× Fastify with pg, per second",
      ),
      ownShare("db.create", all),
    ],
  });
}
