// main.mjs: node main.mjs [NAME]. ROUNDS and LOAD_SECONDS (of each run) from the environment.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { programs } from "./contenders.mjs";
import { makeData } from "./data.mjs";
import { files } from "./files.mjs";
import { footprint } from "./footprint.mjs";
import { writeTable } from "./goals.mjs";
import { page } from "./page.mjs";
import * as requests from "./requests.mjs";
import { sockets } from "./sockets.mjs";

const workloads = {
  json: requests.json,
  row: requests.row,
  list: requests.list,
  create: requests.create,
  static: files,
  page,
  sockets,
  footprint,
};

const only = process.argv[2];
if (only && !workloads[only]) {
  console.error(`there is no workload "${only}"; there are: ${Object.keys(workloads).join(" ")}`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), "tims-bench-"));
mkdirSync(join(import.meta.dirname, "results"), { recursive: true });
try {
  const context = {
    folder,
    data: makeData(folder, programs.ours),
    rounds: Number(process.env.ROUNDS ?? 3),
    seconds: Number(process.env.LOAD_SECONDS ?? 4),
  };
  for (const [name, run] of Object.entries(workloads)) if (!only || only === name) await run(context);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const missed = writeTable();
for (const one of missed)
  console.log(`missed: ${one.id} is ${one.value} ${one.unit}, wanted ${one.op} ${one.goal}`);
console.log(missed.length === 0 ? "All goals are met." : `${missed.length} goals are missed.`);
