// client.mjs: a list of 1,000 rows in a real browser while its backend changes it a hundred times a second: how long
// frames take, and how long it takes from a tx to the screen. Page: packages/client/example/bench.html.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";
import { build } from "vite";
import { goal, median, save } from "./goals.mjs";

const ROWS = 1_000;
const RATE = 100;
const example = join(import.meta.dirname, "../packages/client/example");
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css" };

async function serve(folder) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, "http://x").pathname);
    try {
      const body = await readFile(join(folder, path));
      response.setHeader("Content-Type", types[extname(path)] ?? "application/octet-stream").end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

async function measure(browser, url, seconds) {
  const page = await browser.newPage({ viewport: { width: 390, height: 844 } });
  try {
    await page.goto(`${url}/bench.html?rows=${ROWS}&rate=${RATE}`);
    await page.waitForFunction(() => window.bench?.ready, undefined, { timeout: 30_000 });
    await page.evaluate(() => window.bench.run(1)); // what is hot is compiled
    return await page.evaluate((length) => window.bench.run(length), seconds);
  } finally {
    await page.close();
  }
}

export async function client({ folder, rounds, seconds }) {
  const outDir = join(folder, "example");
  await build({ configFile: join(example, "vite.config.ts"), logLevel: "error", build: { outDir } });
  const server = await serve(outDir);
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu"],
  });
  const all = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const ours = await measure(browser, `http://127.0.0.1:${server.address().port}`, seconds);
      process.stderr.write(
        `  client ${ours.changes} changes, frame ${ours.frame_max_ms.toFixed(1)} ms at most, shown after ${ours.shown_p99_ms.toFixed(1)} ms (p99)\n`,
      );
      all.push({ ours });
    }
  } finally {
    await browser.close();
    server.close();
  }
  const worst = (field) => Math.max(...all.map(({ ours }) => ours[field]));
  save("client", {
    about: `A list of ${ROWS} rows on the screen, not windowed, under ${RATE} changes a second (three of four write a row again, the others let one in and one out), in Chromium: frames, and the time from the tx to the frame that shows it.`,
    rounds: all,
    goals: [
      goal("client.frame", "<=", 50, worst("frame_max_ms"), "ms, the longest frame of all rounds"),
      goal(
        "client.shown",
        "<=",
        50,
        median(all.map(({ ours }) => ours.shown_p99_ms)),
        "ms from tx to screen, p99",
      ),
    ],
  });
}
