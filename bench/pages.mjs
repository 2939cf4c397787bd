// pages.mjs: a chat's page for its members: kept, rendered each time, and with a write now and then; beside nginx with the
// same bytes in a file, and beside the render server by itself.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { programs, signInAll, startOurs, startRender } from "./contenders.mjs";
import { goal, ratio, save, summarise } from "./goals.mjs";
import { startNginxFiles } from "./nginx.mjs";
import { runLoad } from "./process.mjs";
import { withWrites, writeScript } from "./rounds.mjs";

const node = join(import.meta.dirname, "../node_modules/.bin/node");
const render = join(import.meta.dirname, "../front/render.mjs");
const CONNECTIONS = 8;
const WARM_SECONDS = 8; // Node compiles what is hot only after some hundred pages
const CHATS = 20;
const MEMBERS = 3; // of each chat; everybody is in one
const MESSAGES = 50;
const PASSWORD = "measured-word-7";

const renders = { RENDER_COMMAND: `${node} ${render}`, RENDER_PROCESSES: "1", NEXT_TELEMETRY_DISABLED: "1" };

const startDemo = (folder, database, env = {}) =>
  startOurs({
    folder,
    database,
    program: programs.demo,
    env: { ...renders, REGISTRATIONS_MAX: "100000", ...env },
  });

async function call(server, method, path, headers, body) {
  const answer = await fetch(server.url + path, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

// Chats, their members signed in, and what was said in them; made through the API, as people would.
async function settle(server) {
  const users = Array.from({ length: CHATS * MEMBERS }, (_, i) => ({ username: `reader${i}` }));
  for (const { username } of users)
    await call(server, "POST", "/api/auth/register/", {}, { username, password: PASSWORD });
  const headers = await signInAll(server.url, users, PASSWORD);
  for (let c = 0; c < CHATS; c++) {
    const own = headers.slice(c * MEMBERS, (c + 1) * MEMBERS);
    const members = await Promise.all(
      own.map(async (one) => {
        const me = await fetch(`${server.url}/api/auth/me/`, { headers: one });
        return (await me.json()).user.id;
      }),
    );
    const chat = await call(server, "POST", "/api/chats/start/", own[0], { title: `Chat ${c}`, members });
    for (let m = 0; m < MESSAGES; m++)
      await call(server, "POST", "/api/messages/", own[m % MEMBERS], {
        chat: chat.id,
        text: `Something that somebody wrote in this chat, as long as people write: number ${m}.`,
      });
  }
  return users;
}

async function makeTown(folder) {
  const database = join(folder, "pages.sqlite3");
  const env = { PATH: process.env.PATH, DATABASE_URL: `sqlite:${database}`, CHEAP_PASSWORDS: "true" };
  execFileSync(programs.demo, ["migrate"], { cwd: folder, env });
  const server = await startDemo(folder, database);
  try {
    return { database, users: await settle(server) };
  } finally {
    await server.stop();
  }
}

// The page that each user looks at, and how it is asked for.
async function signIn(server, { users }) {
  const headers = await signInAll(server.url, users, PASSWORD);
  return Promise.all(
    headers.map(async (one) => {
      const { rows } = await (await fetch(`${server.url}/api/chats/`, { headers: one })).json();
      return { chat: rows[0].id, path: `/chat/${rows[0].id}`, headers: one };
    }),
  );
}

const cookieOf = ({ headers }) => ({ Cookie: headers.Cookie });

async function readPage(server, one) {
  const answer = await fetch(server.url + one.path, {
    headers: { ...cookieOf(one), "accept-encoding": "identity" },
  });
  const html = await answer.text();
  if (!answer.ok) throw new Error(`${one.path}: ${answer.status} ${html.slice(0, 300)}`);
  return html;
}

// Until the render server behind ours is up: before that the exported shell is served, which has no messages.
async function waitForRender(server, one) {
  for (const until = Date.now() + 30_000; Date.now() < until; ) {
    if ((await readPage(server, one)).includes(`number ${MESSAGES - 1}`)) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("no page was rendered");
}

const loadOf = (server, one) => ({
  url: server.url + one.path,
  server,
  connections: CONNECTIONS,
  headers: Object.entries(cookieOf(one)).map(([name, value]) => `${name}: ${value}`),
});

async function withDemo(folder, town, env, work) {
  const server = await startDemo(folder, town.database, env);
  try {
    const people = await signIn(server, town);
    await waitForRender(server, people[0]);
    return await work(server, people);
  } finally {
    await server.stop();
  }
}

// Kept, and nginx with the same bytes.
async function measureCached(folder, town, seconds) {
  const { ours, html } = await withDemo(folder, town, {}, async (server, [one]) => {
    const page = await readPage(server, one);
    await runLoad({ ...loadOf(server, one), seconds: 1 });
    return { html: page, ours: await runLoad({ ...loadOf(server, one), seconds }) };
  });
  const root = join(folder, "kept");
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, "page.html"), html);
  const nginx = await startNginxFiles(folder, root, "page.html");
  try {
    const load = { url: `${nginx.url}/page.html`, server: nginx, connections: CONNECTIONS };
    await runLoad({ ...load, seconds: 1 });
    return { cached: ours, nginx: await runLoad({ ...load, seconds }) };
  } finally {
    await nginx.stop();
  }
}

// Rendered for each request, and the page's data to give to the render server.
function measureRendered(folder, town, seconds) {
  return withDemo(folder, town, { CACHE_BYTES: "0" }, async (server, [one]) => {
    const data = await (
      await fetch(`${server.url}/page-data?path=${one.path}`, { headers: cookieOf(one) })
    ).text();
    await runLoad({ ...loadOf(server, one), seconds: WARM_SECONDS });
    return { path: one.path, data, rendered: await runLoad({ ...loadOf(server, one), seconds }) };
  });
}

async function measureNext(folder, { path, data }, seconds) {
  const server = await startRender();
  try {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(server.url + path, { method: "POST", headers, body: data });
    const html = await answer.text();
    if (!answer.ok || !html.includes(`number ${MESSAGES - 1}`))
      throw new Error(`${path}: ${answer.status} ${html.slice(0, 300)}`);
    const script = writeScript(folder, "next", [
      { method: "POST", path, headers: { "Content-Type": "application/json" }, body: data },
    ]);
    const load = { url: server.url, server, connections: CONNECTIONS, script };
    await runLoad({ ...load, seconds: WARM_SECONDS });
    return await runLoad({ ...load, seconds });
  } finally {
    await server.stop();
  }
}

// Everybody reads their own page; every hundredth request is somebody who writes.
function measureMixed(folder, town, seconds) {
  return withDemo(folder, town, {}, async (server, people) => {
    const reads = Array.from({ length: 99 * 20 }, (_, i) => people[(i * 7) % people.length]);
    const writes = people.map(({ chat, headers }) => ({
      method: "POST",
      path: "/api/messages/",
      headers: { ...headers, "Content-Type": "application/json" },
      body: JSON.stringify({ chat, text: "Something new, that three people see on their pages." }),
    }));
    const requests = withWrites(
      reads.map((one) => ({ path: one.path, headers: cookieOf(one) })),
      writes,
    );
    const script = writeScript(folder, "mixed", requests);
    const load = { url: server.url, server, connections: CONNECTIONS, script };
    await runLoad({ ...load, seconds: WARM_SECONDS });
    return await runLoad({ ...load, seconds: seconds * 2 });
  });
}

export async function pages({ folder, rounds, seconds }) {
  const town = await makeTown(folder);
  const all = [];
  for (let round = 0; round < rounds; round++) {
    const { cached, nginx } = await measureCached(folder, town, seconds);
    const found = await measureRendered(folder, town, seconds);
    const next = await measureNext(folder, found, seconds);
    const mixed = await measureMixed(folder, town, seconds);
    const row = { cached, nginx, rendered: found.rendered, next, mixed };
    for (const [name, one] of Object.entries(row))
      process.stderr.write(`  pages ${name} ${Math.round(one.per_second)}/s ${one.cpu_us.toFixed(0)} µs\n`);
    all.push(row);
  }
  save("pages", {
    about:
      "A chat's page for its member. Kept: beside nginx with the same bytes in a file. Rendered each time: session, data of five URLs in one snapshot and the render server's CPU included, beside the render server given the same data. Mixed: sixty people read their pages, and every hundredth request writes into one of twenty chats of three.",
    rounds: all,
    summary: summarise(all),
    goals: [
      goal("pages.cached.nginx", ">=", 0.5, ratio(all, "nginx", "cached", "cpu_us"), "× nginx per CPU"),
      goal("pages.rendered.next", "<=", 1.1, ratio(all, "rendered", "next", "cpu_us"), "× Next alone, CPU"),
      goal("pages.mixed.next", ">=", 20, ratio(all, "next", "mixed", "cpu_us"), "× Next alone per CPU"),
    ],
  });
}
