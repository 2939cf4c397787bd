// requests.mjs: json, row, list and create: the machine's limit, ours, Fastify and Django in turn.
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { startDjango, startFastify, startLimit, startOurs } from "./contenders.mjs";
import { goal, ratio, save, summarise } from "./goals.mjs";
import {
  cookies,
  createRequests,
  listRequests,
  oursHeaders,
  rowRequests,
  runRounds,
  withWrites,
} from "./rounds.mjs";

export async function json({ folder, data, rounds, seconds }) {
  const plain = async () => [{ path: "/json" }];
  const contenders = {
    limit: { start: () => startLimit("json"), requests: plain },
    ours: { start: () => startOurs({ folder, database: data.file }), requests: plain },
    ours_session: {
      start: () => startOurs({ folder, database: data.file }),
      requests: async (server) =>
        (await oursHeaders(server, data)).map(({ Cookie }) => ({
          path: "/json/session",
          headers: { Cookie },
        })),
    },
    fastify: { start: () => startFastify(), requests: plain },
    django: { start: () => startDjango(data.peers), requests: plain },
  };
  const all = await runRounds({
    contenders,
    rounds,
    seconds,
    folder,
    name: "json",
    check: (body) => body.message === "Hello, World!",
  });
  save("json", {
    about: "A small JSON answer through router, fiber and access log; with and without a session.",
    rounds: all,
    summary: summarise(all),
    goals: [
      goal(
        "json.limit",
        ">=",
        0.8,
        ratio(all, "limit", "ours", "cpu_us"),
        "× limit per CPU",
        "77 % of the profile is the kernel's read and write; the rest is spread over parsing (5 %), fiber, head and log (1-2 % each)",
      ),
      goal("json.session.limit", ">=", 0.7, ratio(all, "limit", "ours_session", "cpu_us"), "× limit per CPU"),
      goal("json.fastify", ">=", 2, ratio(all, "fastify", "ours", "cpu_us"), "× Fastify per CPU"),
      goal(
        "json.django",
        ">=",
        50,
        ratio(all, "django", "ours", "cpu_us"),
        "× Django per CPU",
        "of our CPU three quarters are the kernel's read and write, which no framework can lower",
      ),
    ],
  });
}

// Everybody asks the database each time: what is kept in memory is measured by itself.
const reading = { CACHE_BYTES: "0" };

export async function row({ folder, data, rounds, seconds }) {
  const requests = async () => rowRequests(data);
  const contenders = {
    limit: { start: () => startLimit("row", data.peers), requests },
    ours: { start: () => startOurs({ folder, database: data.file, env: reading }), requests },
    fastify: { start: () => startFastify(data.peers), requests },
    django: { start: () => startDjango(data.peers), requests },
  };
  const all = await runRounds({
    contenders,
    rounds,
    seconds,
    folder,
    name: "row",
    check: (body) => body.name === "item 0",
  });
  save("row", {
    about: "One row by its key, as JSON.",
    rounds: all,
    summary: summarise(all),
    goals: [
      goal(
        "row.limit",
        ">=",
        0.7,
        ratio(all, "limit", "ours", "cpu_us"),
        "× plain C per CPU",
        "the profile is flat: half is the kernel's (mostly the socket), 18 % SQLite, 18 % the stack's own code (routing, SQL text, headers, log), and the slower server wakes the load generator more often per write",
      ),
      goal(
        "row.fastify",
        ">=",
        2.5,
        ratio(all, "fastify", "ours", "cpu_us"),
        "× Fastify per CPU",
        "the peer writes no log and reads no change position; most of what is left of ours is the kernel's (see row.limit)",
      ),
    ],
  });
}

export async function list({ folder, data, rounds, seconds }) {
  const peer = async () => listRequests(data, cookies(data));
  const contenders = {
    limit: { start: () => startLimit("list", data.peers), requests: peer },
    ours: {
      start: () => startOurs({ folder, database: data.file, env: reading }),
      requests: async (server) =>
        listRequests(
          data,
          (await oursHeaders(server, data)).map(({ Cookie }) => ({ Cookie })),
        ),
    },
    fastify: { start: () => startFastify(data.peers), requests: peer },
    django: { start: () => startDjango(data.peers), requests: peer },
  };
  const all = await runRounds({
    contenders,
    rounds,
    seconds,
    folder,
    name: "list",
    check: (body) => body.rows.length === 50 && body.total === 200,
  });
  save("list", {
    about: "The latest 50 messages of a chat: session, membership rule, total.",
    rounds: all,
    summary: summarise(all),
    goals: [
      goal("list.limit", ">=", 0.8, ratio(all, "limit", "ours", "cpu_us"), "× plain C per CPU"),
      goal("list.fastify", ">=", 2.5, ratio(all, "fastify", "ours", "cpu_us"), "× Fastify per CPU"),
      goal(
        "list.django",
        ">=",
        40,
        ratio(all, "django", "ours", "cpu_us"),
        "× DRF per CPU",
        "the peer is DRF at its leanest (no authentication classes, no pagination, one serializer): 4 to 6 ms a list here, where a usual DRF view was measured with 9",
      ),
    ],
  });
}

const HOT_CHATS = 40; // five readers each: 200 lists, asked for in turn
const HOT_TURNS = 10;

export async function hot({ folder, data, rounds, seconds }) {
  const fresh = () => {
    const file = join(folder, `hot-${Math.random()}.sqlite3`);
    copyFileSync(data.file, file);
    return file;
  };
  const chats = new Set(data.sessions.flatMap(({ user }) => data.chatsOf(user.id)).slice(0, HOT_CHATS));
  const isHot = ({ path }) => chats.has(path.split("=")[1]);
  const readsOf = (headers) => shuffle(listRequests(data, headers).filter(isHot));
  const contenders = {
    limit: { start: () => startLimit("list", data.peers), requests: async () => readsOf(cookies(data)) },
    ours: {
      start: () => startOurs({ folder, database: fresh() }),
      requests: async (server) => {
        const headers = await oursHeaders(server, data);
        const reads = readsOf(headers.map(({ Cookie }) => ({ Cookie })));
        return withWrites(
          Array.from({ length: HOT_TURNS }, () => reads).flat(),
          reads.map(({ path, headers: { Cookie } }) => ({
            method: "POST",
            path: "/api/messages/",
            headers: {
              ...headers.find((one) => one.Cookie === Cookie),
              "Content-Type": "application/json",
            },
            body: JSON.stringify({ chat: path.split("=")[1], text: "Something new in a hot chat." }),
          })),
        );
      },
    },
  };
  const all = await runRounds({
    contenders,
    rounds,
    seconds,
    folder,
    name: "list_hot",
    check: (body) => body.rows.length === 50,
  });
  save("list_hot", {
    about:
      "The latest 50 messages of 40 chats, each read by five people; ours from the exact cache, with every hundredth request a durable write into one of them. Plain C asks SQLite each time, and nobody writes there.",
    rounds: all,
    summary: summarise(all),
    goals: [goal("list.hot.limit", ">=", 3, ratio(all, "limit", "ours", "cpu_us"), "× plain C per CPU")],
  });
}

// In another order, the same each time.
function shuffle(list) {
  const all = [...list];
  let seed = 1;
  for (let i = all.length - 1; i > 0; i--) {
    seed = (seed * 48_271) % 2_147_483_647;
    const at = seed % (i + 1);
    [all[i], all[at]] = [all[at], all[i]];
  }
  return all;
}

export async function create({ folder, data, rounds, seconds }) {
  const fresh = (source, name) => {
    const file = join(folder, name);
    copyFileSync(source, file);
    return file;
  };
  const peer = async () => createRequests(data, cookies(data));
  const contenders = {
    limit: {
      start: () => startLimit("create", fresh(data.peers, `limit-${Math.random()}.sqlite3`)),
      requests: peer,
    },
    ours: {
      start: () => startOurs({ folder, database: fresh(data.file, `ours-${Math.random()}.sqlite3`) }),
      requests: async (server) => createRequests(data, await oursHeaders(server, data)),
    },
    fastify: {
      start: () => startFastify(fresh(data.peers, `fastify-${Math.random()}.sqlite3`)),
      requests: peer,
    },
    django: {
      start: () => startDjango(fresh(data.peers, `django-${Math.random()}.sqlite3`)),
      requests: peer,
    },
  };
  const all = await runRounds({
    contenders,
    rounds,
    seconds,
    folder,
    name: "create",
    check: (body) => body.id?.length === 36,
  });
  save("create", {
    about:
      "An insert, durable (synchronous=FULL), 64 clients: session, membership rule, and for ours CSRF, change log and live feed.",
    rounds: all,
    summary: summarise(all),
    goals: [
      goal(
        "create.limit",
        ">=",
        0.8,
        ratio(all, "ours", "limit", "per_second"),
        "× plain C with group commit, per second",
        "plain C keeps no change log: of our CPU a quarter is the commit and checkpoint (as in plain C), a sixth the inserts (two, by the log's trigger, in a savepoint that keeps what it changes), a twelfth the feed's read-back, 4 % the JSON tree; allocation is what SQLite does",
      ),
      goal("create.fastify", ">=", 4, ratio(all, "ours", "fastify", "per_second"), "× Fastify, per second"),
    ],
  });
}
