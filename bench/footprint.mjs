// footprint.mjs: start to first answer, idle memory with the demo's data, binary size, build times.
import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { programs, startOurs } from "./contenders.mjs";
import { goal, median, save } from "./goals.mjs";
import { freePort, memoryKilobytes, pause } from "./process.mjs";

const root = join(import.meta.dirname, "..");

function ask(port) {
  return new Promise((resolve) => {
    const asked = request({ port, host: "127.0.0.1", path: "/health", agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.on("error", () => resolve(false));
    asked.end();
  });
}

async function timeStart(folder, database) {
  const port = await freePort();
  const env = {
    PATH: process.env.PATH,
    PORT: String(port),
    LOOPS: "1",
    DATABASE_URL: `sqlite:${database}`,
    FRONT_DIRECTORY: join(root, "front"),
  };
  const started = performance.now();
  const child = spawn(programs.demo, ["serve"], { cwd: folder, env, stdio: "ignore" });
  while (!(await ask(port))) if (child.exitCode !== null) throw new Error("serve has exited");
  const elapsed = performance.now() - started;
  child.kill("SIGTERM");
  await new Promise((resolve) => child.on("exit", resolve));
  return elapsed;
}

function timeBuild(folder) {
  const build = join(folder, "build");
  rmSync(build, { recursive: true, force: true });
  const quiet = { stdio: "ignore", env: { ...process.env, CCACHE_DISABLE: "1" } };
  execFileSync("cmake", ["--preset", "release", "-S", root, "-B", build], { ...quiet, cwd: root });
  let started = performance.now();
  execFileSync("cmake", ["--build", build, "--target", "chat"], quiet);
  const clean = (performance.now() - started) / 1000;
  const now = new Date();
  utimesSync(join(root, "back/chat/api.c"), now, now);
  started = performance.now();
  execFileSync("cmake", ["--build", build, "--target", "chat"], quiet);
  return { clean, build, changed: (performance.now() - started) / 1000 };
}

export async function footprint({ folder }) {
  const database = join(folder, "demo.sqlite3");
  const env = { PATH: process.env.PATH, DATABASE_URL: `sqlite:${database}`, CHEAP_PASSWORDS: "true" };
  for (const command of ["migrate", "demo"]) execFileSync(programs.demo, [command], { cwd: folder, env });
  const starts = [];
  for (let i = 0; i < 7; i++) starts.push(await timeStart(folder, database));
  const server = await startOurs({ folder, database, program: programs.demo });
  for (const path of ["/api/users/", "/api/chats/", "/health"]) await (await fetch(server.url + path)).text();
  await pause(1000);
  const memory = memoryKilobytes(server.pid);
  await server.stop();
  const stripped = join(folder, "stripped");
  copyFileSync(programs.demo, stripped);
  execFileSync("strip", [stripped]);
  const size = statSync(stripped).size / 1024 / 1024;
  const build = timeBuild(folder);
  const restart = await timeStart(folder, database);
  const summary = {
    start_ms: median(starts),
    idle_rss_mb: memory.rss / 1024,
    idle_pss_mb: memory.pss / 1024,
    stripped_mb: size,
    clean_build_s: build.clean,
    changed_file_to_answer_s: build.changed + restart / 1000,
  };
  process.stderr.write(`  footprint ${JSON.stringify(summary)}\n`);
  save("footprint", {
    about:
      "The demo: start to first answer, idle memory with its data (render server apart), stripped size, builds without a compiler cache.",
    summary,
    goals: [
      goal("start.first_answer", "<=", 100, summary.start_ms, "ms"),
      goal("idle.rss", "<=", 20, summary.idle_rss_mb, "MB"),
      goal("binary.stripped", "<=", 5, size, "MB"),
      goal("build.clean", "<=", 60, build.clean, "s"),
      goal("build.one_file", "<=", 2, summary.changed_file_to_answer_s, "s"),
    ],
  });
}
