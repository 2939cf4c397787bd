// quiet.ts: a browser in a network of its own, where no container's interface comes or goes: Chromium breaks off every request
// when one does. What it may reach of this machine is named, and stands there under the same address.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { CHROMIUM } from "../browser.ts";

const INSIDE = `
const net = require("node:net");
const [path, port] = process.argv.slice(1);
net.createServer((from) => {
  const to = net.connect(path);
  from.pipe(to).pipe(from);
  for (const [one, other] of [[from, to], [to, from]]) one.on("error", () => other.destroy());
}).listen(Number(port), "127.0.0.1", () => console.log("ready"));
`;

export interface QuietBrowser {
  browser: Browser;
  close: () => Promise<void>;
}

export async function launchQuietly(ports: number[]): Promise<QuietBrowser> {
  const name = `tims-quiet-${process.pid}`;
  const folder = mkdtempSync(join(tmpdir(), "tims-quiet-"));
  const ip = (...words: string[]) => execFileSync("ip", words, { stdio: ["ignore", "ignore", "pipe"] });
  ip("netns", "add", name);
  const inside = (...words: string[]) => ip("-n", name, ...words);
  inside("link", "set", "lo", "up");
  inside("link", "add", "outside", "type", "veth", "peer", "name", "inside"); // else it calls itself offline
  inside("address", "add", "192.0.2.1/24", "dev", "outside");
  inside("link", "set", "outside", "up");
  inside("link", "set", "inside", "up");
  const relays: ChildProcess[] = [];
  const doors: Server[] = [];
  for (const port of ports) {
    const path = join(folder, String(port));
    const door = createServer((from) => {
      const to = connect(port, "127.0.0.1");
      from.pipe(to).pipe(from);
      from.on("error", () => to.destroy());
      to.on("error", () => from.destroy());
    });
    await new Promise<void>((resolve) => door.listen(path, resolve));
    doors.push(door);
    const words = ["netns", "exec", name, process.execPath, "-e", INSIDE, path, String(port)];
    const relay = spawn("setpriv", ["--pdeathsig", "KILL", "ip", ...words], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve, reject) => {
      relay.stdout?.once("data", resolve);
      relay.once("exit", () => reject(new Error("the relay has ended")));
    });
    relays.push(relay);
  }
  const program = join(folder, "chromium");
  writeFileSync(program, `#!/bin/sh\nexec ip netns exec ${name} ${CHROMIUM.executablePath} "$@"\n`, {
    mode: 0o755,
  });
  const browser = await chromium.launch({ ...CHROMIUM, executablePath: program });
  return {
    browser,
    close: async () => {
      await browser.close();
      for (const relay of relays) relay.kill("SIGKILL");
      for (const door of doors) door.close();
      ip("netns", "delete", name);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
