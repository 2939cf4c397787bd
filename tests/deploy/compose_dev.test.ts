// compose_dev.test.ts: what a developer has, by Compose: back/ and front/ of a folder are mounted, and what is saved there is
// what the open page and the API say.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it, test } from "node:test";
import { alive, type Visit, visit } from "../browser.ts";
import { freePort, root, until } from "../server.ts";
import { Engine, owner, registry, revision, tag } from "./engine.ts";
import { launchQuietly, type QuietBrowser } from "./quiet.ts";

function tests(engine: Engine): void {
  describe("compose for developers", () => {
    const folder = mkdtempSync(join(tmpdir(), "tims-dev-"));
    const settings: Record<string, string> = {
      REGISTRY: registry,
      GIT_USER: owner,
      TAG: tag,
      REVISION: revision,
      DEVELOPER: "1000:1000",
    };
    const files = ["compose.yaml", "compose.dev.yaml"].flatMap((name) => ["-f", join(root, name)]);
    const compose = (...words: string[]) =>
      engine.compose(settings, ...files, "--project-directory", folder, ...words);
    let url: string;
    let quiet: QuietBrowser;
    let guest: Visit;

    // Saves a file with other words; the milliseconds until `condition` says that they have arrived.
    const save = async (name: string, from: string, to: string, condition: () => Promise<boolean>) => {
      const path = join(folder, name);
      const text = readFileSync(path, "utf8");
      assert.ok(text.includes(from), `${name} does not say ${from}`);
      writeFileSync(path, text.replace(from, to));
      const saved = Date.now();
      await until(`${to} of ${name}`, condition);
      return Date.now() - saved;
    };

    before(async () => {
      const sources = execFileSync("git", ["ls-files", "-z", "back", "front"], {
        cwd: root,
        maxBuffer: 1 << 26,
      });
      execFileSync("tar", ["-cf", join(folder, "sources.tar"), "--null", "-T", "-"], {
        cwd: root,
        input: sources,
      });
      execFileSync("tar", ["-xf", "sources.tar"], { cwd: folder });
      execFileSync("chown", ["-R", "1000:1000", folder]);
      engine.build("docs", "backend-dev", "frontend-dev");
      const port = await freePort();
      settings.PORT = `127.0.0.1:${port}`;
      url = `http://127.0.0.1:${port}`;
      compose("up", "-d", "--wait", "--no-build");
      quiet = await launchQuietly([port]);
      guest = await visit(quiet.browser);
    });

    after(async () => {
      await quiet?.close();
      compose("down", "-v");
      await engine.stop();
      rmSync(folder, { recursive: true });
    });

    it("a saved C source answers, and no request is refused meanwhile", async (context) => {
      const elapsed = await save("back/main.c", "A chat: the demo", "A saved chat: the demo", async () =>
        (await (await fetch(`${url}/api/schema.json`)).text()).includes("A saved chat"),
      );
      context.diagnostic(`from save to answer: ${elapsed} ms`);
    });

    it("the public folder of the front end is there, which is in another container", async () => {
      for (const path of ["/theme.js", "/robots.txt"])
        assert.equal((await fetch(url + path)).status, 200, path);
      assert.equal((await fetch(`${url}/nothing.js`)).status, 404);
    });

    it("a saved page shows on the screen that is open, which is not loaded anew", async (context) => {
      const { page } = guest;
      await until("Next to have compiled it", async () => (await fetch(`${url}/login`)).ok, 300_000);
      await page.goto(`${url}/login`);
      await alive(page);
      await page.evaluate(() => Object.assign(window, { stayed: true }));
      const elapsed = await save(
        "front/pages/login.tsx",
        'return <SignForm kind="login" />;',
        'return <><SignForm kind="login" /><p>Saved meanwhile</p></>;',
        () => page.getByText("Saved meanwhile").isVisible(),
      );
      assert.equal(await page.evaluate(() => "stayed" in window), true);
      context.diagnostic(`from save to screen: ${elapsed} ms`);
    });

    it("a build that fails leaves the old program answering, until it is mended", async () => {
      const path = join(folder, "back/main.c");
      const good = readFileSync(path, "utf8");
      writeFileSync(path, `${good}\nthis is no C;\n`);
      await until("the compiler's word", () => /this is no C|error:/.test(compose("logs", "backend")));
      assert.equal((await fetch(`${url}/healthz`)).status, 200);
      writeFileSync(path, good.replace("A saved chat", "A mended chat"));
      await until("the mended program", async () =>
        (await (await fetch(`${url}/api/schema.json`)).text()).includes("A mended chat"),
      );
    });
  });
}

const engine = await Engine.start();
if (typeof engine === "string") test("compose for developers", { skip: engine }, () => undefined);
else tests(engine);
