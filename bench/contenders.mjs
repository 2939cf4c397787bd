// contenders.mjs: how each server is started, and how its clients say who they are.
import { join } from "node:path";
import { freePort, startProcess } from "./process.mjs";

const here = import.meta.dirname;
const root = join(here, "..");
const node = join(root, "node_modules/.bin/node");
export const programs = {
  ours: join(root, "build/release/measured"),
  demo: join(root, "build/release/chat"),
  limit: join(root, "build/release/limit"),
  crowd: join(root, "build/release/crowd"),
  routing: join(root, "build/release/routing"),
};

// `database`: a file, or the URL of a PostgreSQL.
export async function startOurs({ folder, database, program = programs.ours, env = {}, cpu, port: wanted }) {
  const port = wanted ?? (await freePort());
  const server = await startProcess({
    command: program,
    args: ["serve"],
    cwd: folder,
    cpu,
    env: {
      HOST: "127.0.0.1",
      PORT: String(port),
      LOOPS: "1",
      DATABASE_URL: databaseUrl(database),
      CHEAP_PASSWORDS: "true",
      FRONT_DIRECTORY: join(root, "front"),
      ...env,
    },
    readyText: "is ready",
  });
  return { ...server, url: `http://127.0.0.1:${port}`, port };
}

export const isPostgres = (database) => database.startsWith("postgres:");
export const databaseUrl = (database) => (isPostgres(database) ? database : `sqlite:${database}`);

export async function startLimit(workload, database) {
  const port = await freePort();
  const args = database ? [workload, String(port), database] : [workload, String(port)];
  const server = await startProcess({ command: programs.limit, args, readyText: "ready" });
  return { ...server, url: `http://127.0.0.1:${port}` };
}

export async function startFastify(database) {
  const port = await freePort();
  const script = database && isPostgres(database) ? "fastify_postgres.mjs" : "fastify.mjs";
  const args = [join(here, "peers", script), String(port), ...(database ? [database] : [])];
  const server = await startProcess({ command: node, args, readyText: "ready" });
  return { ...server, url: `http://127.0.0.1:${port}` };
}

export async function startDjango(database) {
  const port = await freePort();
  const server = await startProcess({
    command: "gunicorn",
    args: [
      "-k",
      "gthread",
      "-w",
      "1",
      "--threads",
      "8",
      "--keep-alive",
      "60",
      "-b",
      `127.0.0.1:${port}`,
      "app:application",
    ],
    cwd: join(here, "peers/django"),
    env: { BENCH_DATABASE: database, PYTHONDONTWRITEBYTECODE: "1" },
    readyUrl: `http://127.0.0.1:${port}/json`,
  });
  return { ...server, url: `http://127.0.0.1:${port}` };
}

async function startBroadcaster(script, ...args) {
  const port = await freePort();
  const server = await startProcess({
    command: node,
    args: [join(here, "peers", script), String(port), ...args],
    readyText: "ready",
  });
  return { ...server, url: `http://127.0.0.1:${port}` };
}
export const startWs = () => startBroadcaster("ws.mjs");
export const startSocketIo = ({ recover = false } = {}) =>
  startBroadcaster("socketio.mjs", ...(recover ? ["recover"] : []));

export async function startChannels() {
  const port = await freePort();
  const server = await startProcess({
    command: "daphne",
    // Patient: it may be far behind when it is measured, and nobody is to be dropped for that.
    args: [
      "-b",
      "127.0.0.1",
      "-p",
      String(port),
      "--websocket_connect_timeout",
      "120",
      "--ping-timeout",
      "120",
      "app:application",
    ],
    cwd: join(here, "peers/channels"),
    env: { PYTHONDONTWRITEBYTECODE: "1" },
    readyText: "Listening on TCP",
  });
  return { ...server, url: `http://127.0.0.1:${port}` };
}

// The render server by itself; `url` is where a page's data is posted to.
export async function startRender() {
  const port = await freePort();
  const server = await startProcess({
    command: node,
    args: [join(root, "front/render.mjs")],
    env: { PORT: String(port), NEXT_TELEMETRY_DISABLED: "1" },
    readyText: "http://localhost",
  });
  return { ...server, url: `http://127.0.0.1:${port}` };
}

// Signs users in at our server: what each must send.
export async function signInAll(url, users, password = "measured-word-7") {
  return Promise.all(
    users.map(async (user) => {
      const first = await fetch(`${url}/api/auth/me/`);
      const cookies = first.headers.getSetCookie().map((line) => line.split(";")[0]);
      const { csrf } = await first.json();
      const answer = await fetch(`${url}/api/auth/login/`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-csrf-token": csrf, cookie: cookies.join("; ") },
        body: JSON.stringify({ username: user.username, password }),
      });
      if (answer.status !== 200)
        throw new Error(`login of ${user.username}: ${answer.status} ${await answer.text()}`);
      const cookie = answer.headers
        .getSetCookie()
        .map((line) => line.split(";")[0])
        .join("; ");
      const me = await (await fetch(`${url}/api/auth/me/`, { headers: { cookie } })).json();
      return { Cookie: cookie, "X-CSRF-Token": me.csrf };
    }),
  );
}
