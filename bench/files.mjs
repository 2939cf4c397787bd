// files.mjs: static files of 1 KB and 100 KB beside nginx.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startOurs } from "./contenders.mjs";
import { goal, ratio, save, summarise } from "./goals.mjs";
import { startNginxFiles } from "./nginx.mjs";
import { runLoad } from "./process.mjs";

export async function files({ folder, data, rounds, seconds }) {
  const front = join(folder, "front");
  const www = join(folder, "www/_next");
  for (const base of [
    join(front, "dist/server/static"),
    join(front, "dist/app/_next/static"),
    join(front, "public"),
    join(www, "static"),
  ])
    mkdirSync(base, { recursive: true });
  const body = (size) => `// ${"x".repeat(size - 4)}\n`;
  for (const base of [join(front, "dist/server/static"), join(www, "static")]) {
    writeFileSync(join(base, "1k.js"), body(1024));
    writeFileSync(join(base, "100k.js"), body(100 * 1024));
  }
  const all = [];
  for (let round = 0; round < rounds; round++) {
    const row = {};
    for (const [name, start] of Object.entries({
      nginx: () => startNginxFiles(folder, join(folder, "www"), "_next/static/1k.js"),
      ours: () => startOurs({ folder, database: data.file, env: { FRONT_DIRECTORY: front } }),
    })) {
      const server = await start();
      for (const size of ["1k", "100k"]) {
        const url = `${server.url}/_next/static/${size}.js`;
        const text = await (await fetch(url)).text();
        if (text.length !== (size === "1k" ? 1024 : 102400) - 0)
          throw new Error(`${url}: ${text.length} bytes`);
        await runLoad({ url, server, seconds: 1 });
        row[`${name}_${size}`] = await runLoad({ url, server, seconds });
        process.stderr.write(
          `  static ${name} ${size} ${Math.round(row[`${name}_${size}`].per_second)}/s ${row[`${name}_${size}`].cpu_us.toFixed(1)} µs\n`,
        );
      }
      await server.stop();
    }
    all.push(row);
  }
  save("static", {
    about: "Files of 1 KB and 100 KB, kept-alive connections, access log on.",
    rounds: all,
    summary: summarise(all),
    goals: [
      goal(
        "static.100k.nginx",
        ">=",
        0.9,
        ratio(all, "nginx_100k", "ours_100k", "cpu_us"),
        "× nginx per CPU",
      ),
      goal("static.1k.nginx", ">=", 0.9, ratio(all, "nginx_1k", "ours_1k", "cpu_us"), "× nginx per CPU"),
    ],
  });
}
