// images.test.ts: every image, built by a real engine from a clean context: who it runs as, how much it adds to its base, what
// its layers hold, and that it starts with nothing it may write to.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it, test } from "node:test";
import { root, until } from "../server.ts";
import { Engine, type ImageName, images, nameOf, revision } from "./engine.ts";

const MB = 1_000_000;
const ADDED_BYTES_MAX: Partial<Record<ImageName, number>> = {
  backend: 60 * MB,
  frontend: 60 * MB,
  docs: 60 * MB,
};
const users: Record<ImageName, string> = {
  backend: "10001:10001",
  frontend: "1000:1000",
  docs: "10001:10001",
  "backend-dev": "10001:10001",
  "frontend-dev": "1000:1000",
};
// What nobody wants to publish: keys, and files of this machine that lie in the folder that images are built from.
const SECRET = "tims-secret-that-no-layer-may-hold";
const baits = [".env", "front/.env.local", "back/data/bait.sqlite3", "front/google-services.json"];

function tests(engine: Engine): void {
  describe("images", () => {
    const laid: string[] = [];

    before(() => {
      for (const bait of baits) {
        const path = join(root, bait);
        const free = !existsSync(path) || readFileSync(path, "utf8") === SECRET; // of tests that were ended by force
        if (!free || !existsSync(dirname(path))) continue;
        writeFileSync(path, SECRET);
        laid.push(path);
      }
      assert.ok(laid.length > 0, "no bait could be laid");
    });

    after(async () => {
      for (const path of laid) rmSync(path);
      await engine.stop();
    });

    for (const image of images)
      it(`${image} is built`, () => {
        engine.build(image);
        const { Config } = engine.inspect(nameOf(image));
        assert.equal(Config.User, users[image]);
        assert.equal(Config.Labels?.["org.opencontainers.image.revision"], revision);
        assert.equal(Config.Labels?.["org.opencontainers.image.title"], `tims-stack-${image}`);
      });

    for (const [image, most] of Object.entries(ADDED_BYTES_MAX) as [ImageName, number][])
      it(`${image} adds at most ${most / MB} MB to its base`, (context) => {
        const base = image === "backend" ? "debian:bookworm-slim" : "node:24-bookworm-slim";
        const added = engine.inspect(nameOf(image)).Size - engine.inspect(base).Size;
        context.diagnostic(`${image}: ${(added / MB).toFixed(1)} MB above its base`);
        assert.ok(added <= most, `${added} bytes above ${base}`);
      });

    for (const image of images)
      it(`no layer of ${image} holds a secret`, () => {
        const folder = mkdtempSync(join(tmpdir(), "tims-layers-"));
        try {
          const archive = join(folder, "image.tar");
          engine.docker("save", "-o", archive, nameOf(image));
          execFileSync("tar", ["-xf", archive, "-C", folder]);
          rmSync(archive);
          const base = new Set(
            ["debian:bookworm-slim", "node:24-bookworm-slim"].flatMap(
              (name) => engine.inspect(name).RootFS.Layers,
            ),
          );
          const [manifest] = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
          const config = readFileSync(join(folder, manifest.Config), "utf8");
          assert.doesNotMatch(config, /password|token|_SECRET/i);
          const digests = JSON.parse(config).rootfs.diff_ids as string[];
          const own = (manifest.Layers as string[]).filter((_, index) => !base.has(digests[index] as string));
          assert.ok(own.length > 0);
          for (const layer of own) {
            const names = execFileSync("tar", ["-tf", join(folder, layer)], {
              encoding: "utf8",
              maxBuffer: 1 << 27,
            });
            const keys = names
              .split("\n")
              .filter((name) =>
                /(^|\/)(\.env[^/]*|\.npmrc|id_rsa|[^/]*\.(p8|p12|pfx|sqlite3))$|(^|\/)\.git\//.test(name),
              )
              .filter((name) => !/^(usr\/|app\/(\.npmrc|node_modules\/))/.test(name)); // packages' own; npm's settings, without a token
            assert.deepEqual(keys, [], `${image}: ${layer}`);
            assert.equal(grepCount(join(folder, layer)), 0, `${image}: ${layer} holds a secret`);
          }
        } finally {
          rmSync(folder, { recursive: true, force: true });
        }
      });

    it("the backend answers with a root that nobody can write to", async () => {
      const strict = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
      engine.docker("run", "--rm", ...strict, "-v", "probe:/data", nameOf("backend"), "migrate");
      const id = engine.docker("run", "-d", ...strict, "-v", "probe:/data", nameOf("backend"));
      const { IPAddress } = engine.inspect(id).NetworkSettings;
      await answers(engine, id, `http://${IPAddress}:8000/readyz`);
      const alive = await fetch(`http://${IPAddress}:8000/healthz`);
      assert.equal(alive.status, 200);
      assert.match(await (await fetch(`http://${IPAddress}:8000/login`)).text(), /<html/);
      assert.equal(
        (await fetch(`http://${IPAddress}:8000/docs/`)).status,
        404,
        "no PROXY_DOCS, no such path",
      );
      assert.equal(engine.docker("exec", id, "/app/chat", "health"), "HTTP/1.1 200 OK");
      engine.docker("stop", id);
      assert.equal(engine.inspect(id).State.ExitCode, 0);
    });

    it("a worker is the backend's image with another command", async () => {
      const strict = ["--read-only", "--cap-drop", "ALL", "-v", "probe:/data"];
      const id = engine.docker("run", "-d", ...strict, nameOf("backend"), "worker");
      await until("the worker", () => /worker/i.test(logs(engine, id)));
      assert.ok(engine.inspect(id).State.Running, logs(engine, id));
      engine.docker("stop", id);
      assert.equal(engine.inspect(id).State.ExitCode, 0);
    });

    it("health says so when nobody answers", () => {
      assert.throws(() => engine.docker("run", "--rm", nameOf("backend"), "health"), { status: 1 });
    });

    for (const [image, path] of [
      ["frontend", ":3000/healthz"],
      ["docs", ":8080/index.html"],
    ] as const)
      it(`${image} answers with a root that nobody can write to`, async () => {
        const id = engine.docker("run", "-d", "--read-only", "--cap-drop", "ALL", nameOf(image));
        await answers(engine, id, `http://${engine.inspect(id).NetworkSettings.IPAddress}${path}`);
        engine.docker("stop", id);
        assert.equal(engine.inspect(id).State.ExitCode, 0);
      });

    it("a developer's backend runs what is saved, on the same socket", async () => {
      const folder = mkdtempSync(join(tmpdir(), "tims-back-"));
      try {
        execFileSync("cp", ["-a", `${join(root, "back")}/.`, folder]);
        execFileSync("chown", ["-R", "1000:1000", folder]);
        const id = engine.docker(
          ...["run", "-d", "--user", "1000:1000", "-v", `${folder}:/app/back`],
          nameOf("backend-dev"),
        );
        const url = `http://${engine.inspect(id).NetworkSettings.IPAddress}:8000`;
        await answers(engine, id, `${url}/healthz`);
        const main = join(folder, "main.c");
        writeFileSync(main, readFileSync(main, "utf8").replace("A chat: the demo", "A saved chat: the demo"));
        const saved = Date.now();
        let refused = 0;
        await until("the new program", async () => {
          try {
            return (await (await fetch(`${url}/api/schema.json`)).text()).includes("A saved chat");
          } catch {
            refused++;
            return false;
          }
        });
        console.log(`# from save to answer: ${Date.now() - saved} ms`);
        assert.equal(refused, 0);
        engine.docker("stop", id);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  });
}

function logs(engine: Engine, id: string): string {
  const { stdout, stderr } = spawnSync("/usr/bin/docker", ["logs", id], {
    env: engine.environment,
    encoding: "utf8",
  });
  return stdout + stderr;
}

async function answers(engine: Engine, id: string, url: string): Promise<void> {
  await until(`${url} to answer`, async () => {
    if (!engine.inspect(id).State.Running) throw new Error(`it has ended: ${logs(engine, id)}`);
    try {
      return (await fetch(url)).ok;
    } catch {
      return false;
    }
  });
}

function grepCount(file: string): number {
  const pattern = `${SECRET}|BEGIN (RSA |EC |OPENSSH )?PRIVATE KEY-----\\s*M|//registry[^ ]*:_authToken`;
  try {
    return Number(execFileSync("grep", ["-acE", pattern, file], { encoding: "utf8" }));
  } catch {
    return 0; // grep's status when there is none
  }
}

const engine = await Engine.start();
if (typeof engine === "string") test("images", { skip: engine }, () => undefined);
else tests(engine);
