// page.mjs: a chat's page, rendered for its member: the whole stack beside its own render server asked directly.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { programs, signInAll, startOurs, startRender } from "./contenders.mjs";
import { goal, ratio, save, summarise } from "./goals.mjs";
import { runLoad } from "./process.mjs";

const node = join(import.meta.dirname, "../node_modules/.bin/node");
const render = join(import.meta.dirname, "../front/render.mjs");
const CONNECTIONS = 8;
const WARM_SECONDS = 8; // Node compiles what is hot only after some hundred pages

function makeDemo(folder) {
  const database = join(folder, "page.sqlite3");
  const env = { PATH: process.env.PATH, DATABASE_URL: `sqlite:${database}`, CHEAP_PASSWORDS: "true" };
  for (const command of ["migrate", "demo"]) execFileSync(programs.demo, [command], { cwd: folder, env });
  return database;
}

async function expectPage(url, options, text) {
  const answer = await fetch(url, options);
  const html = await answer.text();
  if (!answer.ok || !html.includes(text) || !html.includes("__NEXT_DATA__"))
    throw new Error(`${url}: ${answer.status} ${html.slice(0, 300)}`);
}

// The page and its data, as its member gets them, and a text that must be in it.
async function findPage(server, headers) {
  const { rows: chats } = await (await fetch(`${server.url}/api/chats/`, { headers })).json();
  for (const chat of chats) {
    const { rows } = await (await fetch(`${server.url}/api/messages/?chat=${chat.id}`, { headers })).json();
    const path = `/chat/${chat.id}`;
    if (rows.length < 10) continue;
    const data = await (await fetch(`${server.url}/page-data?path=${path}`, { headers })).text();
    return { path, data, text: rows[0].id, rows: rows.length };
  }
  throw new Error("the demo has no chat with ten messages");
}

// Until the render server behind ours is up: before that the exported shell is served, which has no messages.
async function waitForRender(server, found, headers) {
  for (const until = Date.now() + 30_000; Date.now() < until; ) {
    const html = await (await fetch(server.url + found.path, { headers })).text();
    if (html.includes(found.text)) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("no page was rendered");
}

async function measureOurs(folder, database, seconds) {
  const server = await startOurs({
    folder,
    database,
    program: programs.demo,
    // Each one rendered, by one process, as Next alone does it.
    env: {
      RENDER_COMMAND: `${node} ${render}`,
      RENDER_PROCESSES: "1",
      CACHE_BYTES: "0",
      NEXT_TELEMETRY_DISABLED: "1",
    },
  });
  try {
    const [{ Cookie }] = await signInAll(server.url, [{ username: "demo" }], "demo-pass-1");
    const headers = { cookie: Cookie };
    const found = await findPage(server, headers);
    await waitForRender(server, found, headers);
    await expectPage(server.url + found.path, { headers }, found.text);
    const load = {
      url: server.url + found.path,
      server,
      connections: CONNECTIONS,
      headers: [`Cookie: ${Cookie}`],
    };
    await runLoad({ ...load, seconds: WARM_SECONDS });
    return { found, result: await runLoad({ ...load, seconds }) };
  } finally {
    await server.stop();
  }
}

async function measureRender(folder, found, seconds) {
  const server = await startRender();
  try {
    const headers = { "content-type": "application/json" };
    await expectPage(server.url + found.path, { method: "POST", headers, body: found.data }, found.text);
    const script = join(folder, "page.lua");
    const body = [...Buffer.from(found.data)].map((byte) => `\\${String(byte).padStart(3, "0")}`).join("");
    writeFileSync(
      script,
      `wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = "${body}"\n`,
    );
    const load = { url: server.url + found.path, server, connections: CONNECTIONS, script };
    await runLoad({ ...load, seconds: WARM_SECONDS });
    return await runLoad({ ...load, seconds });
  } finally {
    await server.stop();
  }
}

export async function page({ folder, rounds, seconds }) {
  const database = makeDemo(folder);
  const all = [];
  for (let round = 0; round < rounds; round++) {
    const { found, result: ours } = await measureOurs(folder, database, seconds);
    const next = await measureRender(folder, found, seconds);
    for (const [name, one] of Object.entries({ ours, next }))
      process.stderr.write(`  page ${name} ${Math.round(one.per_second)}/s ${one.cpu_us.toFixed(0)} µs\n`);
    all.push({ ours, next });
  }
  save("page", {
    about:
      "A chat's page rendered on the server: ours with session, data of five URLs in one snapshot and the render server's CPU included, beside the render server given the same data.",
    rounds: all,
    summary: summarise(all),
    goals: [goal("page.next", "<=", 1.1, ratio(all, "ours", "next", "cpu_us"), "× Next alone, CPU")],
  });
}
