// live_routing.mjs: what a change costs by how many subscriptions there are, and when nobody waits for it.
import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { programs } from "./contenders.mjs";
import { planHall, startCrowd, startFresh } from "./crowd.mjs";
import { goal, median, save, summarise } from "./goals.mjs";
import { cpuMicroseconds } from "./process.mjs";

const SIZES = [1000, 100_000, 1_000_000];
const CHANGES = 20_000;
const BULK = 200_000;
const SOCKETS = 1000;

export async function routing(context) {
  const all = [];
  for (let round = 0; round < context.rounds; round++) {
    const folder = mkdtempSync(join(context.folder, "routing-"));
    const args = ["-c", "0", programs.routing, folder, String(CHANGES), ...SIZES.map(String)];
    const lines = execFileSync("taskset", args, { encoding: "utf8" }).trim().split("\n");
    const row = Object.fromEntries(
      lines.map((line) => {
        const { subscriptions, ...figures } = JSON.parse(line);
        return [`subscriptions_${subscriptions}`, figures];
      }),
    );
    process.stderr.write(`  live routing ${JSON.stringify(row)}\n`);
    all.push(row);
  }
  const growth = median(
    all.map(
      (row) => row[`subscriptions_${SIZES.at(-1)}`].route_us / row[`subscriptions_${SIZES[0]}`].route_us,
    ),
  );
  save("live_routing", {
    about:
      "CPU for one change from the change log to the one subscription it is for, inside the server, with so many subscriptions on different topics; lookup_us: of that, finding it.",
    rounds: all,
    summary: summarise(all),
    goals: [goal("live.routing.flat", "<=", 1.1, growth, "× of 1,000, with 1,000,000 subscriptions")],
  });
}

// Changes of another program to rows that nobody looks at, while others are looked at.
async function routeForNobody(context) {
  const { database, server } = await startFresh(context);
  try {
    const plan = await planHall(context, server);
    const crowd = await startCrowd({ dialect: "tims", server, count: SOCKETS, plan });
    const db = new DatabaseSync(database, { readOnly: true });
    const { position } =
      db.prepare("SELECT max(seq) AS position FROM sqlite_sequence WHERE name = 'tims_change'").get() ?? {};
    db.close();
    const target = (position ?? 0) + BULK;
    const used = cpuMicroseconds(server.pid);
    const told = crowd.ask(`position ${target} 120`);
    const script = join(import.meta.dirname, "load/write.mjs");
    const args = ["-c", "1", process.execPath, script, database, String(BULK)];
    const { started_ns, ended_ns } = JSON.parse(execFileSync("taskset", args, { encoding: "utf8" }));
    const result = await told;
    if (result.position < target)
      throw new Error(`only position ${result.position} of ${target} was reached`);
    const cpu_us = (cpuMicroseconds(server.pid) - used) / BULK;
    await crowd.stop();
    return {
      per_second: (BULK * 1e9) / (result.at_ns - started_ns),
      written_per_second: (BULK * 1e9) / (ended_ns - started_ns),
      cpu_us,
      per_cpu_second: 1e6 / cpu_us,
    };
  } finally {
    await server.stop();
  }
}

export async function nobody(context) {
  const all = [];
  for (let round = 0; round < context.rounds; round++) {
    const ours = await routeForNobody(context);
    process.stderr.write(`  live nobody ${JSON.stringify(ours)}\n`);
    all.push({ ours });
  }
  const rate = median(all.map(({ ours }) => ours.per_second));
  save("live_nobody", {
    about: `${BULK} changes of another program, in transactions of 500 rows that nobody looks at, while ${SOCKETS} sockets look at others: from the first commit until the server says that it has handed out the last.`,
    rounds: all,
    summary: summarise(all),
    goals: [goal("live.nobody.rate", ">=", 50_000, rate, "changes a second")],
  });
}
