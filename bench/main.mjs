// main.mjs: node main.mjs [NAME]. A name stands also for all that begin with it and "_". From the environment: ROUNDS,
// LOAD_SECONDS (of each run), and for live LIVE_SOCKETS (sizes, with commas), IDLE_SECONDS and DROP_SECONDS.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { client } from "./client.mjs";
import { programs } from "./contenders.mjs";
import { makeData } from "./data.mjs";
import * as db from "./db.mjs";
import { files } from "./files.mjs";
import { footprint } from "./footprint.mjs";
import { writeTable } from "./goals.mjs";
import { images } from "./images.mjs";
import { fanout, few, idle } from "./live.mjs";
import { drops, restart } from "./live_faults.mjs";
import { nobody, routing } from "./live_routing.mjs";
import { nodes } from "./nodes.mjs";
import { pages } from "./pages.mjs";
import { paint } from "./paint.mjs";
import { closePostgres } from "./postgres.mjs";
import { proxy } from "./proxy.mjs";
import * as requests from "./requests.mjs";
import * as tasks from "./tasks.mjs";

const workloads = {
  json: requests.json,
  row: requests.row,
  list: requests.list,
  list_hot: requests.hot,
  create: requests.create,
  static: files,
  proxy,
  pages,
  paint,
  client,
  live_fanout: fanout,
  live_few: few,
  live_idle: idle,
  live_routing: routing,
  live_nobody: nobody,
  live_restart: restart,
  live_drops: drops,
  footprint,
  images,
  db_row: db.row,
  db_list: db.list,
  db_create: db.create,
  db_nodes: nodes,
  tasks: tasks.tasks,
  tasks_growth: tasks.growth,
};

const only = process.argv[2];
const wanted = (name) => !only || name === only || name.startsWith(`${only}_`);
if (!Object.keys(workloads).some(wanted)) {
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
  for (const [name, run] of Object.entries(workloads)) if (wanted(name)) await run(context);
} finally {
  await closePostgres();
  rmSync(folder, { recursive: true, force: true });
}
const missed = writeTable();
for (const one of missed)
  console.log(`missed: ${one.id} is ${one.value} ${one.unit}, wanted ${one.op} ${one.goal}`);
console.log(missed.length === 0 ? "All goals are met." : `${missed.length} goals are missed.`);
