// requests.mjs: json, row, list and create: the machine's limit, ours, Fastify and Django in turn.
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { signInAll, startDjango, startFastify, startLimit, startOurs } from "./contenders.mjs";
import { goal, ratio, save, summarise } from "./goals.mjs";
import { runLoad } from "./process.mjs";

// A wrk script that sends `requests` in turn, starting anywhere.
function writeScript(folder, name, requests) {
  const quote = (text) => JSON.stringify(text);
  const rows = requests.map(
    ({ method = "GET", path, headers = {}, body }) =>
      `wrk.format(${quote(method)}, ${quote(path)}, {${Object.entries(headers)
        .map(([key, value]) => `[${quote(key)}]=${quote(value)}`)
        .join(",")}}, ${body ? quote(body) : "nil"})`,
  );
  const file = join(folder, `${name}.lua`);
  writeFileSync(
    file,
    `local all = nil\nlocal at = 0\nfunction init()\n  math.randomseed(1)\n  all = {}\n` +
      rows.map((row) => `  all[#all+1] = ${row}\n`).join("") +
      `end\nfunction request()\n  at = at % #all + 1\n  return all[at]\nend\n`,
  );
  return file;
}

async function expect(server, { method = "GET", path, headers, body }, check) {
  const answer = await fetch(server.url + path, { method, headers, body });
  const text = await answer.text();
  if (!answer.ok || !check(JSON.parse(text)))
    throw new Error(`${server.url}${path}: ${answer.status} ${text.slice(0, 300)}`);
}

// `start()` each contender once a round, check its answer, load it, stop it.
async function runRounds({ contenders, rounds, seconds, folder, name, check }) {
  const results = [];
  for (let round = 0; round < rounds; round++) {
    const row = {};
    for (const [label, contender] of Object.entries(contenders)) {
      const server = await contender.start();
      try {
        const requests = await contender.requests(server);
        await expect(server, requests[0], check);
        const script = writeScript(folder, `${name}-${label}`, requests);
        await runLoad({ url: server.url, server, seconds: 1, script });
        row[label] = await runLoad({ url: server.url, server, seconds, script });
        process.stderr.write(
          `  ${name} ${label} ${Math.round(row[label].per_second)}/s ${row[label].cpu_us.toFixed(1)} µs\n`,
        );
      } finally {
        await server.stop();
      }
    }
    results.push(row);
  }
  return results;
}

const cookies = (data) => data.sessions.map(({ token }) => ({ Cookie: `session=${token}` }));

async function oursHeaders(server, data) {
  return signInAll(
    server.url,
    data.sessions.map(({ user }) => user),
  );
}

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

export async function row({ folder, data, rounds, seconds }) {
  const requests = async () =>
    Array.from({ length: 2000 }, (_, i) => ({ path: `/api/items/${data.item(i * 7919)}/` }));
  const contenders = {
    limit: { start: () => startLimit("row", data.peers), requests },
    ours: { start: () => startOurs({ folder, database: data.file }), requests },
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

const listRequests = (data, headers) =>
  data.sessions.flatMap(({ user }, i) =>
    data.chatsOf(user.id).map((chat) => ({ path: `/api/messages/?chat=${chat}`, headers: headers[i] })),
  );

export async function list({ folder, data, rounds, seconds }) {
  const peer = async () => listRequests(data, cookies(data));
  const contenders = {
    limit: { start: () => startLimit("list", data.peers), requests: peer },
    ours: {
      start: () => startOurs({ folder, database: data.file }),
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

const createRequests = (data, headers) =>
  data.sessions.map(({ user }, i) => ({
    method: "POST",
    path: "/api/messages/",
    headers: { ...headers[i], "Content-Type": "application/json" },
    body: JSON.stringify({
      chat: data.chatsOf(user.id)[0],
      text: "A message that is written while others write theirs, a hundred characters or so, durable.",
    }),
  }));

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
