// crowd.mjs: drives the program of load/: connects a crowd on core 1, and has it do one phase after the other.
import { spawn } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { programs, signInAll, startOurs } from "./contenders.mjs";
import { cpuMicroseconds, memoryKilobytes } from "./process.mjs";

// `ask` takes a phase (load/main.c lists them) and returns what it has measured.
// `door`: another server that the clients connect to; the changes are still made at `server`.
export async function startCrowd({ dialect, server, door, count, plan, proxy = false }) {
  const options = [`dialect=${dialect}`, `port=${new URL(server.url).port}`, `count=${count}`];
  if (door) options.push(`door=${new URL(door.url).port}`);
  if (plan) options.push(`plan=${plan}`);
  if (proxy) options.push("proxy=1");
  const child = spawn("taskset", ["-c", "1", programs.crowd, ...options], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.on("close", resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`crowd ${options.join(" ")} has failed`);
    return JSON.parse(value);
  };
  const first = await next();
  return {
    count,
    ...first,
    ask: (phase) => {
      child.stdin.write(`${phase}\n`);
      return next();
    },
    stop: () => {
      child.stdin.end();
      return ended;
    },
  };
}

// A phase of changes, with what each delivery has cost the server.
export async function measure(crowd, server, phase) {
  const before = cpuMicroseconds(server.pid);
  const { all, missing, ...result } = await crowd.ask(phase);
  if (missing > 0) throw new Error(`${phase}: ${missing} changes have not reached everybody`);
  return { ...result, cpu_us: (cpuMicroseconds(server.pid) - before) / all };
}

// Connects and says what a connection costs in memory.
export async function startMeasuredCrowd(options) {
  const idle = memoryKilobytes(options.server.pid).pss;
  const crowd = await startCrowd(options);
  const kb_per_socket = (memoryKilobytes(options.server.pid).pss - idle) / options.count;
  return { ...crowd, kb_per_socket };
}

let copies = 0;

// Ours on a database of its own, so that no change of an earlier run is in a snapshot; `start` starts it again.
export async function startFresh({ folder, data }, env = {}) {
  const database = join(folder, `live-${copies++}.sqlite3`);
  copyFileSync(data.file, database);
  // Ten thousand sockets of 64 people: more than a person has.
  const start = (port) => startOurs({ folder, database, port, env: { SOCKETS_PER_USER: "100000", ...env } });
  return { database, start, server: await start() };
}

// Everybody in one chat: sockets and writers are spread over all users.
export async function planHall({ folder, data }, server) {
  const { hall } = data;
  return writePlan(
    { folder, data },
    server,
    data.sessions.map((_, i) => [i, `/api/messages/?chat=${hall}`]),
    data.sessions.map((_, i) => [i, hall, 0]),
  );
}

// Each in the chat that it writes to.
export async function planOwnChats({ folder, data }, server) {
  const chats = data.sessions.map(({ user }) => data.chatsOf(user.id)[0]);
  const subscriptions = chats.map((chat, i) => [i, `/api/messages/?chat=${chat}`]);
  return { plan: await writePlan({ folder, data }, server, subscriptions, []), count: chats.length };
}

const CHATS = 1000;

// Everybody in chats of their own five: a change is for so many as there are in one of `chatCount` chats.
export async function planChats({ folder, data }, server, count, chatCount = CHATS) {
  const chats = data.sessions.flatMap(({ user }, i) => data.chatsOf(user.id).map((chat) => [i, chat]));
  chats.sort((a, b) => (a[1] < b[1] ? -1 : 1));
  chats.length = (chats.length / CHATS) * chatCount;
  const audience = new Map();
  const writers = new Map();
  for (let i = 0; i < count; i++) {
    const [session, chat] = chats[i % chats.length];
    audience.set(chat, (audience.get(chat) ?? 0) + 1);
    writers.set(chat, session);
  }
  return writePlan(
    { folder, data },
    server,
    chats.map(([session, chat]) => [session, `/api/messages/?chat=${chat}`]),
    [...audience].map(([chat, size]) => [writers.get(chat), chat, size]),
  );
}

async function writePlan({ folder, data }, server, subscriptions, targets) {
  const sessions = await signInAll(
    server.url,
    data.sessions.map(({ user }) => user),
  );
  const file = join(folder, `plan-${copies++}`);
  const lines = [
    ...sessions.map((one) => `session\t${one.Cookie}\t${one["X-CSRF-Token"]}`),
    ...subscriptions.map((one) => `sub\t${one.join("\t")}`),
    ...targets.map((one) => `target\t${one.join("\t")}`),
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}
