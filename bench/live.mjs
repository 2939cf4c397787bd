// live.mjs: changes on their way to many sockets: the machine's limit, ours (durable, logged, access checked, positions),
// ws, socket.io and Django Channels, connected once a round and put through the same phases.
import { startChannels, startLimit, startSocketIo, startWs } from "./contenders.mjs";
import { measure, planChats, planHall, startFresh, startMeasuredCrowd } from "./crowd.mjs";
import { goal, median, ratio, save, summarise } from "./goals.mjs";
import { cpuMicroseconds, memoryKilobytes } from "./process.mjs";

const MANY = 32; // outstanding changes: so many that they meet in one step
const FEW_RATE = 50; // changes a second, each for one socket of a thousand
const sizes = (process.env.LIVE_SOCKETS ?? "1000,10000").split(",").map(Number);
const idleSeconds = Number(process.env.IDLE_SECONDS ?? 30);

const contenders = {
  limit: { dialect: "plain", start: async () => ({ server: await startLimit("fanout") }) },
  ours: {
    dialect: "tims",
    start: async (context) => {
      const { server } = await startFresh(context);
      return { server, plan: await planHall(context, server) };
    },
  },
  ws: { dialect: "plain", start: async () => ({ server: await startWs() }) },
  socketio: { dialect: "socketio", start: async () => ({ server: await startSocketIo() }) },
  channels: { dialect: "plain", start: async () => ({ server: await startChannels() }) },
};

function tell(name, one) {
  const field = (label, number) => (number === undefined ? "" : ` ${label} ${number.toPrecision(3)}`);
  process.stderr.write(
    `  live ${name}${field("/s", one.per_second)}${field("µs", one.cpu_us)}${field("p99 ms", one.p99_ms)}${field("KB", one.kb_per_socket)}\n`,
  );
}

// One contender's rows of a round: `half` is what rate its half load is, or none.
async function runContender(name, context, size, half) {
  const { dialect, start } = contenders[name];
  const { server, plan } = await start(context);
  try {
    const crowd = await startMeasuredCrowd({ dialect, server, count: size, plan });
    const { seconds } = context;
    const single = await measure(crowd, server, `closed 0 ${seconds}`);
    if (single.per_second > 1.02 * single.frames_per_second)
      throw new Error(`${name}: changes that were to travel alone have met in a frame`);
    const rows = {
      [name]: { ...single, kb_per_socket: crowd.kb_per_socket },
      [`${name}_together`]: await measure(crowd, server, `closed ${MANY} ${seconds}`),
    };
    const rate = name === "limit" ? single.per_second / size / 2 : half;
    if (rate) rows[`${name}_half`] = await measure(crowd, server, `open ${rate} ${seconds}`);
    await crowd.stop();
    for (const [row, one] of Object.entries(rows)) tell(`${size} ${row}`, one);
    return { rows, rate };
  } finally {
    await server.stop();
  }
}

// Channels takes minutes to send one change to ten thousand sockets: it is measured with a thousand.
const CHANNELS_MAX = 1000;

async function runSize(context, size) {
  const all = [];
  const hasChannels = size <= CHANNELS_MAX;
  const names = Object.keys(contenders).filter((name) => name !== "channels" || hasChannels);
  for (let round = 0; round < context.rounds; round++) {
    const row = {};
    let half;
    for (const name of names) {
      const { rows, rate } = await runContender(name, context, size, name === "ours" ? half : undefined);
      if (name === "limit") half = rate;
      Object.assign(row, rows);
    }
    all.push(row);
  }
  const over = (one, other, field = "per_second") => ratio(all, one, other, field);
  const id = (text) => `live.${size}.${text}`;
  save(`live_${size}`, {
    about: `One change of a row of 203 bytes to ${size} sockets, deliveries a second. Plain: the next change is made when the last has reached its first client, so that each is a step and a frame of its own; together: ${MANY} outstanding; half: half of what the limit did, at fixed times, latency from when a change was due, commit_… from when it was committed. Ours: durable, change log, membership rule, positions.`,
    rounds: all,
    summary: summarise(all),
    goals: [
      goal(id("limit"), ">=", 0.9, over("ours", "limit"), "× limit, a frame for each change, per second"),
      goal(
        id("limit.cpu"),
        ">=",
        0.9,
        over("limit", "ours", "cpu_us"),
        "× limit, a frame for each change, per CPU",
      ),
      goal(
        id("together"),
        ">=",
        3,
        over("ours_together", "limit_together"),
        "× limit, changes that travel together",
      ),
      goal(id("ws"), ">=", 1, over("ours", "ws"), "× ws, deliveries per second"),
      goal(id("socketio"), ">=", 1, over("ours", "socketio"), "× socket.io, deliveries per second"),
      ...(hasChannels
        ? [
            goal(
              id("channels"),
              ">=",
              15,
              over("ours_together", "channels_together"),
              "× Channels, deliveries per second",
            ),
          ]
        : []),
      goal(
        id("half.p50"),
        "<=",
        1.2,
        over("ours_half", "limit_half", "commit_p50_ms"),
        "× limit, commit to client",
      ),
      goal(
        id("half.p99"),
        "<=",
        1.2,
        over("ours_half", "limit_half", "commit_p99_ms"),
        "× limit, commit to client",
      ),
    ],
  });
}

export async function fanout(context) {
  for (const size of sizes) await runSize(context, size);
}

// A change for a thousandth of all sockets, each of which has a topic of its own.
export async function few(context) {
  const size = sizes.at(-1);
  const all = [];
  for (let round = 0; round < context.rounds; round++) {
    const { server } = await startFresh(context);
    try {
      const plan = await planChats(context, server, size);
      const crowd = await startMeasuredCrowd({ dialect: "tims", server, count: size, plan });
      const ours = await measure(crowd, server, `open ${FEW_RATE} ${context.seconds}`);
      await crowd.stop();
      tell("few", ours);
      all.push({ ours });
    } finally {
      await server.stop();
    }
  }
  const of = (field) => median(all.map(({ ours }) => ours[field]));
  save("live_few", {
    about: `${FEW_RATE} changes a second, each for a few of ${size} sockets that are in chats of five; commit_… counts from the commit.`,
    rounds: all,
    summary: summarise(all),
    goals: [
      goal("live.few.p50", "<=", 1, of("commit_p50_ms"), "ms from commit to client"),
      goal("live.few.p99", "<=", 5, of("commit_p99_ms"), "ms from commit to client"),
    ],
  });
}

// What a connection costs that has a subscription and nothing to do.
export async function idle(context) {
  const size = sizes.at(-1);
  const { server } = await startFresh(context);
  try {
    const plan = await planHall(context, server);
    const before = memoryKilobytes(server.pid).pss;
    const crowd = await startMeasuredCrowd({ dialect: "tims", server, count: size, plan });
    const used = cpuMicroseconds(server.pid);
    await crowd.ask(`idle ${idleSeconds} 0`);
    const cpu = (cpuMicroseconds(server.pid) - used) / size / idleSeconds;
    const kilobytes = (memoryKilobytes(server.pid).pss - before) / size;
    await crowd.stop();
    const ours = { kb_per_socket: kilobytes, cpu_us_per_second: cpu };
    process.stderr.write(`  live idle ${JSON.stringify(ours)}\n`);
    save("live_idle", {
      about: `${size} connections with a subscription each, nothing changes for ${idleSeconds} s: growth of the server's PSS, and its CPU, heartbeats and looking for foreign writers included.`,
      rounds: [{ ours }],
      summary: summarise([{ ours }]),
      goals: [
        goal("live.idle.memory", "<=", 6, kilobytes, "KB a connection"),
        goal("live.idle.cpu", "<=", 1.5, cpu, "µs of CPU a connection and second"),
      ],
    });
  } finally {
    await server.stop();
  }
}
