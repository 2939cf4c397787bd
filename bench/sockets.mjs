// sockets.mjs: one change to 1,000 websockets: the machine's limit, ours (rules and positions included), our transport
// alone, ws.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { programs, signInAll, startLimit, startOurs } from "./contenders.mjs";
import { goal, ratio, save, summarise } from "./goals.mjs";
import { cpuMicroseconds, freePort, memoryKilobytes, startProcess } from "./process.mjs";

const here = import.meta.dirname;
const load = join(here, "../build/release/sockets");
const relay = join(here, "../build/release/relay");
const COUNT = 1000;

async function startWs() {
  const port = await freePort();
  const node = join(here, "../node_modules/.bin/node");
  const server = await startProcess({
    command: node,
    args: [join(here, "peers/ws.mjs"), String(port)],
    readyText: "ready",
  });
  return { ...server, url: `http://127.0.0.1:${port}` };
}

async function startTransport() {
  const port = await freePort();
  const server = await startProcess({ command: relay, args: [String(port)], readyText: "ready" });
  return { ...server, url: `http://127.0.0.1:${port}` };
}

async function measure(server, mode, seconds, extra = []) {
  const idle = memoryKilobytes(server.pid).pss;
  const port = new URL(server.url).port;
  const child = spawn("taskset", ["-c", "1", load, mode, port, String(COUNT), String(seconds), ...extra], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let text = "";
  const connected = new Promise((resolve, reject) => {
    child.stdout.on("data", (bytes) => {
      text += bytes;
      if (text.includes("connected")) resolve();
    });
    child.on("close", () => reject(new Error(`sockets ${mode} has failed`)));
  });
  await connected;
  const memory = memoryKilobytes(server.pid).pss - idle;
  const before = cpuMicroseconds(server.pid);
  child.stdin.end("go\n");
  await new Promise((resolve) => child.on("close", resolve));
  const result = JSON.parse(text.trim().split("\n").at(-1));
  return {
    per_second: result.per_second,
    cpu_us: (cpuMicroseconds(server.pid) - before) / result.all,
    p50_ms: result.p50_ms,
    p99_ms: result.p99_ms,
    kb_per_socket: memory / COUNT,
  };
}

export async function sockets({ folder, data, rounds, seconds }) {
  const all = [];
  for (let round = 0; round < rounds; round++) {
    const row = {};
    const limit = await startLimit("fanout");
    row.limit = await measure(limit, "ws", seconds);
    await limit.stop();
    const ours = await startOurs({ folder, database: data.file, program: programs.ours });
    const [session] = await signInAll(ours.url, [data.sessions[0].user]);
    const chat = data.chatsOf(data.sessions[0].user.id)[0];
    row.ours = await measure(ours, "tims", seconds, [session.Cookie, session["X-CSRF-Token"], chat]);
    await ours.stop();
    const transport = await startTransport();
    row.transport = await measure(transport, "ws", seconds);
    await transport.stop();
    const ws = await startWs();
    row.ws = await measure(ws, "ws", seconds);
    await ws.stop();
    for (const [name, one] of Object.entries(row))
      process.stderr.write(
        `  sockets ${name} ${Math.round(one.per_second)}/s ${one.cpu_us.toFixed(1)} µs ${one.kb_per_socket.toFixed(1)} KB\n`,
      );
    all.push(row);
  }
  save("sockets", {
    about: `A change of 200 bytes to ${COUNT} sockets, 8 outstanding. Ours: a durable insert, the change log, the feed, the membership rule.`,
    rounds: all,
    summary: summarise(all),
    goals: [
      goal(
        "sockets.limit",
        ">=",
        0.9,
        ratio(all, "ours", "limit", "per_second"),
        "× limit, deliveries per second",
      ),
      goal(
        "sockets.transport",
        ">=",
        3,
        ratio(all, "transport", "limit", "per_second"),
        "× limit, deliveries per second: the transport alone, 8 changes travelling together",
      ),
      goal("sockets.ws", ">=", 1, ratio(all, "ours", "ws", "per_second"), "× ws, deliveries per second"),
    ],
  });
}
