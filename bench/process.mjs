// process.mjs: servers pinned to core 0, load to core 1, and the CPU time and memory of whole process trees.
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function readProcess(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return { pid: Number(pid), parent: Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1]) };
  } catch {
    return null; // it has ended meanwhile
  }
}

export function processTree(root) {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(readProcess)
    .filter(Boolean);
  const tree = new Set([root]);
  for (let before = 0; before !== tree.size; ) {
    before = tree.size;
    for (const one of all) if (tree.has(one.parent)) tree.add(one.pid);
  }
  return [...tree];
}

// What the scheduler has given to the threads of a process, to the nanosecond: /proc/PID/stat counts ticks of 10 ms.
function threadNanoseconds(pid) {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`))
    sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
  return sum;
}

// Microseconds of CPU that the tree has used so far.
export function cpuMicroseconds(root) {
  return processTree(root).reduce((sum, pid) => sum + threadNanoseconds(pid) / 1000, 0);
}

export function memoryKilobytes(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const read = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
  return { pss: read("Pss"), rss: read("Rss") };
}

// Starts `command` on core 0 (or `cpu`); resolves when `ready` answers 200 on its health URL or prints `ready`. What it
// prints, access logs included, goes to a file for all of them: a pipe would make this process share their core.
export async function startProcess({ command, args, env = {}, cwd, readyText, readyUrl, cpu = "0" }) {
  const folder = mkdtempSync(join(tmpdir(), "tims-bench-log-"));
  const log = join(folder, "log");
  const fd = openSync(log, "a");
  const child = spawn("taskset", ["-c", cpu, command, ...args], {
    cwd,
    env: { PATH: process.env.PATH, HOME: "/tmp", NODE_ENV: "production", ...env },
    stdio: ["ignore", fd, fd],
  });
  closeSync(fd);
  const output = () => readFileSync(log, "utf8").slice(-20_000);
  const exited = new Promise((resolve) => child.on("exit", resolve));
  const deadline = Date.now() + 30_000;
  for (;;) {
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error(`${command} ${args.join(" ")}:\n${output()}`);
    if (readyText !== undefined && output().includes(readyText)) break;
    if (
      readyUrl &&
      (await fetch(readyUrl).then(
        (answer) => answer.ok,
        () => false,
      ))
    )
      break;
    await pause(20);
  }
  return {
    pid: child.pid,
    output,
    stop: async (signal = "SIGTERM") => {
      child.kill(signal);
      const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
      await exited;
      clearTimeout(timer);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function toMilliseconds(text) {
  const [, number, unit] = /^([\d.]+)(us|ms|s|m)$/.exec(text) ?? [];
  if (!unit) throw new Error(`"${text}" is no time`);
  return Number(number) * { us: 0.001, ms: 1, s: 1000, m: 60_000 }[unit];
}

// One closed-loop run of wrk on core 1 against a server's process tree, and that of a database server behind it.
export async function runLoad({ url, server, database, seconds, connections = 64, script, headers = [] }) {
  const args = ["-c", "1", "wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "--latency"];
  for (const header of headers) args.push("-H", header);
  if (script) args.push("-s", script);
  const before = cpuMicroseconds(server.pid);
  const databaseBefore = database && cpuMicroseconds(database.pid);
  const child = spawn("taskset", [...args, url], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (bytes) => {
    text += bytes;
  });
  await new Promise((resolve) => child.on("close", resolve));
  const requests = Number(/(\d+) requests in/.exec(text)?.[1] ?? 0);
  const errors = /Socket errors: (.*)/.exec(text)?.[1];
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0);
  if (requests === 0 || refused > 0 || (errors && !/connect 0, read 0, write 0/.test(errors)))
    throw new Error(`the load was not answered well: ${text}`);
  return {
    per_second: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)[1]),
    cpu_us: (cpuMicroseconds(server.pid) - before) / requests,
    ...(database && { database_us: (cpuMicroseconds(database.pid) - databaseBefore) / requests }),
    p50_ms: toMilliseconds(/^\s+50%\s+(\S+)/m.exec(text)[1]),
    p99_ms: toMilliseconds(/^\s+99%\s+(\S+)/m.exec(text)[1]),
    requests,
  };
}
