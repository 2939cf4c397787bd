// rounds.mjs: what is asked of every contender, and the rounds in which they are asked in turn.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { signInAll } from "./contenders.mjs";
import { runLoad } from "./process.mjs";

// A wrk script that sends `requests` in turn, starting anywhere.
export function writeScript(folder, name, requests) {
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
export async function runRounds({ contenders, rounds, seconds, folder, name, check }) {
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
        const { database } = contender;
        row[label] = await runLoad({ url: server.url, server, database, seconds, script });
        const { per_second, cpu_us, database_us } = row[label];
        const beside = database ? `, the database ${database_us.toFixed(1)} µs` : "";
        process.stderr.write(
          `  ${name} ${label} ${Math.round(per_second)}/s ${cpu_us.toFixed(1)} µs${beside}\n`,
        );
      } finally {
        await server.stop();
      }
    }
    results.push(row);
  }
  return results;
}

// Every hundredth request is one of the writes.
export function withWrites(reads, writes) {
  const rounds = Math.floor(reads.length / 99);
  return Array.from({ length: rounds }, (_, i) => [
    ...reads.slice(i * 99, (i + 1) * 99),
    writes[(i * 7) % writes.length],
  ]).flat();
}

export const cookies = (data) => data.sessions.map(({ token }) => ({ Cookie: `session=${token}` }));

export async function oursHeaders(server, data) {
  return signInAll(
    server.url,
    data.sessions.map(({ user }) => user),
  );
}

export const rowRequests = (data) =>
  Array.from({ length: 2000 }, (_, i) => ({ path: `/api/items/${data.item(i * 7919)}/` }));

export const listRequests = (data, headers) =>
  data.sessions.flatMap(({ user }, i) =>
    data.chatsOf(user.id).map((chat) => ({ path: `/api/messages/?chat=${chat}`, headers: headers[i] })),
  );

export const createRequests = (data, headers) =>
  data.sessions.map(({ user }, i) => ({
    method: "POST",
    path: "/api/messages/",
    headers: { ...headers[i], "Content-Type": "application/json" },
    body: JSON.stringify({
      chat: data.chatsOf(user.id)[0],
      text: "A message that is written while others write theirs, a hundred characters or so, durable.",
    }),
  }));
