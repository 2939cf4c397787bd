// proxy.mjs: ours and nginx as a reverse proxy before the same upstream: small answers, and one long stream.
// PROXY_BYTES is the stream's length.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { startLimit, startOurs } from "./contenders.mjs";
import { goal, median, ratio, save, summarise } from "./goals.mjs";
import { startNginx } from "./nginx.mjs";
import {
  cpuMicroseconds,
  freePort,
  memoryKilobytes,
  pause,
  processTree,
  runLoad,
  startProcess,
} from "./process.mjs";

const node = join(import.meta.dirname, "../node_modules/.bin/node");
const peers = join(import.meta.dirname, "peers");

// With what ours does, too: kept connections, an access log, the headers that tell who asks, answers not kept on disk.
function startNginxProxy(folder, upstream, probe) {
  const http = (
    port,
  ) => `upstream behind { server ${new URL(upstream).host}; keepalive 64; keepalive_requests 10000000; }
  server {
    listen 127.0.0.1:${port};
    location /behind/ {
      proxy_pass http://behind/; proxy_http_version 1.1; proxy_max_temp_file_size 0;
      proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Request-Id $request_id;
    }
  }`;
  return startNginx(folder, http, `behind/${probe}`);
}

const contenders = (folder, data, upstream, probe) => ({
  nginx: () => startNginxProxy(folder, upstream, probe),
  ours: () => startOurs({ folder, database: data.file, env: { PROXY_BEHIND: `${upstream}/` } }),
});

async function small({ folder, data, rounds, seconds }) {
  const all = [];
  const upstream = await startLimit("json");
  for (let round = 0; round < rounds; round++) {
    const row = {};
    for (const [name, start] of Object.entries(contenders(folder, data, upstream.url, "json"))) {
      const server = await start();
      const url = `${server.url}/behind/json`;
      const text = await (await fetch(url)).text();
      if (!text.includes("Hello, World!")) throw new Error(`${url}: ${text}`);
      await runLoad({ url, server, seconds: 1 });
      row[name] = await runLoad({ url, server, seconds });
      process.stderr.write(
        `  proxy ${name} ${Math.round(row[name].per_second)}/s ${row[name].cpu_us.toFixed(1)} µs\n`,
      );
      await server.stop();
    }
    all.push(row);
  }
  await upstream.stop();
  return all;
}

// Resident memory of the whole tree, in KB.
const resident = (pid) => processTree(pid).reduce((sum, one) => sum + memoryKilobytes(one).rss, 0);

function read(url) {
  const child = spawn("taskset", ["-c", "1", node, join(peers, "reader.mjs"), url], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (bytes) => {
    text += bytes;
  });
  return new Promise((resolve) => child.on("close", () => resolve(text.trim())));
}

async function long(context, bytes) {
  const port = await freePort();
  const upstream = await startProcess({
    command: node,
    args: [join(peers, "stream.mjs"), String(port)],
    readyText: "ready",
    cpu: "1",
  });
  const result = {};
  const all = contenders(context.folder, context.data, `http://127.0.0.1:${port}`, "1");
  for (const [name, start] of Object.entries(all)) {
    const server = await start();
    await read(`${server.url}/behind/20000000`);
    const first = resident(server.pid);
    const cpu = cpuMicroseconds(server.pid);
    const started = performance.now();
    let most = first;
    let samples = 0;
    let done = false;
    const reading = read(`${server.url}/behind/${bytes}`).finally(() => {
      done = true;
    });
    while (!done) {
      most = Math.max(most, resident(server.pid));
      samples++;
      await pause(50);
    }
    const got = await reading;
    if (got !== String(bytes)) throw new Error(`${name}: ${got} of ${bytes} bytes`);
    result[name] = {
      megabytes_s: bytes / 1e3 / (performance.now() - started),
      cpu_ms_per_gb: ((cpuMicroseconds(server.pid) - cpu) / 1e3 / bytes) * 1e9,
      growth_kb: most - first,
      samples,
    };
    process.stderr.write(`  proxy stream ${name} ${JSON.stringify(result[name])}\n`);
    await server.stop();
  }
  await upstream.stop();
  return result;
}

export async function proxy(context) {
  const bytes = Number(process.env.PROXY_BYTES ?? 1e9);
  const rounds = await small(context);
  const stream = await long(context, bytes);
  save("proxy", {
    about: `A small JSON answer of a bare upstream, kept-alive connections, access log on; and a stream of ${bytes} bytes.`,
    rounds,
    summary: { ...summarise(rounds), stream_nginx: stream.nginx, stream_ours: stream.ours },
    goals: [
      goal("proxy.small.nginx", ">=", 0.6, ratio(rounds, "nginx", "ours", "cpu_us"), "× nginx per CPU"),
      goal("proxy.stream.memory", "<=", 8, median([stream.ours.growth_kb]) / 1024, "MB more in memory"),
    ],
  });
}
