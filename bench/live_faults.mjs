// live_faults.mjs: everybody returns after a restart; and a network that fails for two seconds of every ten.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startSocketIo, startWs } from "./contenders.mjs";
import { planHall, startCrowd, startFresh } from "./crowd.mjs";
import { goal, median, save, summarise } from "./goals.mjs";
import { growth, readMetrics } from "./metrics.mjs";

const DROPS_RATE = 2; // so that what happens while somebody is away, a whole cycle at most, fits into a window of 50
const DROPS_COUNT = 1000;
const restartCount = Number((process.env.LIVE_SOCKETS ?? "10000").split(",").at(-1));
const dropSeconds = Number(process.env.DROP_SECONDS ?? 60);
const statements = join(import.meta.dirname, "../build/release/libstatements.so");

// Counts the SQL statements of the servers that are started with its `env`.
function countStatements(folder) {
  const file = join(folder, "statements");
  writeFileSync(file, Buffer.alloc(8));
  return {
    env: { LD_PRELOAD: statements, STATEMENTS_FILE: file },
    read: () => Number(readFileSync(file).readBigUInt64LE()),
  };
}

const nanoseconds = () => Number(process.hrtime.bigint());

async function restartOnce(context, signal) {
  const counter = countStatements(context.folder);
  const { server, start } = await startFresh(context, counter.env);
  let again;
  try {
    const plan = await planHall(context, server);
    const before = counter.read();
    const crowd = await startCrowd({ dialect: "tims", server, count: restartCount, plan });
    const usual = counter.read() - before;
    const everybody = crowd.ask("outage 180 0");
    const killed = nanoseconds();
    await server.stop(signal);
    const stopped = counter.read();
    again = await start(server.port);
    const ready = nanoseconds();
    const metrics = await readMetrics(again.url);
    const { all_live_at_ns, live, ...result } = await everybody;
    if (live < restartCount) throw new Error(`only ${live} of ${restartCount} have returned`);
    const counters = growth(metrics, await readMetrics(again.url));
    await crowd.stop();
    return {
      seconds: (all_live_at_ns - killed) / 1e9,
      server_away_s: (ready - killed) / 1e9,
      usual_statements: usual,
      statements: counter.read() - stopped,
      ...result,
      ...(Object.keys(counters).length > 0 ? { counters } : {}),
    };
  } finally {
    await (again ?? server).stop();
  }
}

export async function restart(context) {
  const all = [];
  for (let round = 0; round < context.rounds; round++) {
    const row = {
      asked: await restartOnce(context, "SIGTERM"),
      killed: await restartOnce(context, "SIGKILL"),
    };
    process.stderr.write(`  live restart ${JSON.stringify(row)}\n`);
    all.push(row);
  }
  const worst = (field) =>
    Math.max(...["asked", "killed"].map((name) => median(all.map((row) => field(row[name])))));
  save("live_restart", {
    about: `${restartCount} clients whose server is started again, asked to stop or killed, and who return as the protocol says. Statements: SQL statements of the new server until all are live, beside what their first coming has cost.`,
    rounds: all,
    summary: summarise(all.map((row) => strip(row))),
    goals: [
      goal(
        "live.restart.time",
        "<=",
        10,
        worst((one) => one.seconds),
        "s until all are live",
      ),
      goal(
        "live.restart.reads",
        "<=",
        2,
        worst((one) => one.statements / one.usual_statements),
        "× the statements of a first coming",
      ),
    ],
  });
}

const strip = (row) =>
  Object.fromEntries(Object.entries(row).map(([name, { counters: _, ...rest }]) => [name, rest]));

async function dropOnce(context, { dialect, start }) {
  const { server, plan } = await start(context);
  try {
    const crowd = await startCrowd({ dialect, server, count: DROPS_COUNT, plan, proxy: true });
    const result = await crowd.ask(`drops ${DROPS_RATE} ${dropSeconds}`);
    await crowd.stop();
    return result;
  } finally {
    await server.stop();
  }
}

export async function drops(context) {
  const contenders = {
    ours: {
      dialect: "tims",
      start: async () => {
        const { server } = await startFresh(context);
        return { server, plan: await planHall(context, server) };
      },
    },
    ws: { dialect: "plain", start: async () => ({ server: await startWs() }) },
    socketio: { dialect: "socketio", start: async () => ({ server: await startSocketIo() }) },
    socketio_recovery: {
      dialect: "socketio",
      start: async () => ({ server: await startSocketIo({ recover: true }) }),
    },
  };
  const row = {};
  for (const [name, contender] of Object.entries(contenders)) {
    row[name] = await dropOnce(context, contender);
    process.stderr.write(`  live drops ${name} ${JSON.stringify(row[name])}\n`);
  }
  save("live_drops", {
    about: `${DROPS_COUNT} clients, ${DROPS_RATE} changes a second for ${dropSeconds} s, all connections lost and none possible for 2 s of every 10. All return by the same rule; part: of all changes that have reached all clients in the end.`,
    rounds: [row],
    summary: summarise([row]),
    goals: [goal("live.drops.delivered", ">=", 1, row.ours.part, "of all changes delivered")],
  });
}
