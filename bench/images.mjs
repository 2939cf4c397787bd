// images.mjs: what our images add to their bases, and how long a developer waits in a container from a save to the answer.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Engine, nameOf } from "../tests/deploy/engine.ts";
import { goal, median, save } from "./goals.mjs";
import { pause } from "./process.mjs";

const root = join(import.meta.dirname, "..");
const MB = 1_000_000;
const BASES = {
  backend: "debian:bookworm-slim",
  frontend: "node:24-bookworm-slim",
  docs: "node:24-bookworm-slim",
};

async function answer(url) {
  try {
    return await (await fetch(url)).text();
  } catch {
    return "";
  }
}

async function timeSaves(engine, rounds) {
  const folder = mkdtempSync(join(tmpdir(), "tims-back-"));
  execFileSync("cp", ["-a", `${join(root, "back")}/.`, folder]);
  execFileSync("chown", ["-R", "1000:1000", folder]);
  const id = engine.docker(
    ...["run", "-d", "--user", "1000:1000", "-v", `${folder}:/app/back`],
    nameOf("backend-dev"),
  );
  const url = `http://${engine.inspect(id).NetworkSettings.IPAddress}:8000/api/schema.json`;
  while (!(await answer(url))) await pause(20);
  const main = join(folder, "main.c");
  const text = readFileSync(main, "utf8");
  const times = [];
  for (let round = 0; round < rounds; round++) {
    const words = `Saved ${round} times`;
    const saved = performance.now();
    writeFileSync(main, text.replace("A chat: the demo", words));
    while (!(await answer(url)).includes(words)) await pause(2);
    times.push((performance.now() - saved) / 1000);
    await pause(1000);
  }
  engine.docker("rm", "-f", "-v", id);
  rmSync(folder, { recursive: true });
  return times;
}

export async function images({ rounds }) {
  const engine = await Engine.start();
  if (typeof engine === "string") throw new Error(engine);
  try {
    engine.build(...Object.keys(BASES), "backend-dev");
    const added = Object.entries(BASES).map(([image, base]) => [
      `${image}_mb`,
      (engine.inspect(nameOf(image)).Size - engine.inspect(base).Size) / MB,
    ]);
    const times = await timeSaves(engine, rounds);
    const summary = { ...Object.fromEntries(added), save_to_answer_s: median(times) };
    process.stderr.write(`  images ${JSON.stringify(summary)}\n`);
    save("images", {
      about:
        "Images: what they add to their bases (Debian slim, Node slim), and the time from saving back/main.c to the developers' container answering with it.",
      rounds: times.map((seconds) => ({ save_to_answer_s: seconds })),
      summary,
      goals: [
        ...Object.keys(BASES).map((image) => goal(`image.${image}`, "<=", 60, summary[`${image}_mb`], "MB")),
        goal("container.save_to_answer", "<=", 2, summary.save_to_answer_s, "s"),
      ],
    });
  } finally {
    await engine.stop();
  }
}
