// compose.test.ts: compose.yaml as it stands, brought up by Compose: two people in two browsers on two backends, one of which is
// killed, then the front end, then everything goes.
import assert from "node:assert/strict";
import { after, before, describe, it, test } from "node:test";
import { alive, leave, messageOn, signIn, type Visit, visit } from "../browser.ts";
import { signedIn } from "../client.ts";
import { freePort, type Server, until } from "../server.ts";
import { Engine, owner, registry, revision, tag } from "./engine.ts";
import { launchQuietly, type QuietBrowser } from "./quiet.ts";

function tests(engine: Engine): void {
  describe("compose", () => {
    let first: Server;
    let second: Server;
    let quiet: QuietBrowser;
    let demo: Visit;
    let other: Visit;
    let chat: string;
    const settings: Record<string, string> = {
      REGISTRY: registry,
      GIT_USER: owner,
      TAG: tag,
      REVISION: revision,
    };
    const compose = (...words: string[]) => engine.compose(settings, ...words);
    const backends = () => compose("ps", "-q", "backend").split("\n");
    const urls = () =>
      [1, 2].map((index) => `http://${compose("port", "--index", `${index}`, "backend", "8000")}`);

    before(async () => {
      engine.build("backend", "frontend", "docs");
      const port = await twoPorts();
      settings.PORT = `127.0.0.1:${port}-${port + 1}`;
      compose("up", "-d", "--wait", "--no-build", "--scale", "backend=2");
      [first, second] = urls().map((url) => ({ url }) as Server) as [Server, Server];
      compose("run", "--rm", "-T", "backend", "demo");
      quiet = await launchQuietly([port, port + 1]);
      demo = await visit(quiet.browser);
      other = await visit(quiet.browser);
    });

    after(async () => {
      await quiet?.close();
      compose("down", "-v");
      await engine.stop();
    });

    const say = async (from: Visit, to: Visit, text: string) => {
      await from.page.getByLabel("Message", { exact: true }).fill(text);
      await from.page.keyboard.press("Enter");
      await messageOn(to.page, text).waitFor();
    };

    it("two people chat, each at another backend", async () => {
      await signIn(demo.page, first, "demo");
      await signIn(other.page, second, "testUser0");
      const { json } = await (await signedIn(first, "demo")).get("/api/chats/");
      chat = json.rows.find(({ title }: { title: string }) => title === "Welcome").id;
      await demo.page.goto(`${first.url}/chat/${chat}`);
      await other.page.goto(`${second.url}/chat/${chat}`);
      await Promise.all([alive(demo.page), alive(other.page)]);
      await say(demo, other, "Across two containers");
      await say(other, demo, "And back");
      assert.deepEqual([...demo.complaints, ...other.complaints], []);
    });

    it("pages come from the render server", async () => {
      const html = await (await fetch(`${first.url}/login`)).text();
      assert.match(html, /name="csrf_token"[^>]*value="[^"]+"/);
    });

    it("the documentation is there for staff alone", async () => {
      const stranger = await visit(quiet.browser);
      await stranger.page.goto(`${first.url}/docs/`);
      assert.match(stranger.page.url(), /\/login\?next=/);
      await signIn(stranger.page, first, "demo");
      await stranger.page.goto(`${first.url}/docs/`);
      assert.match(await stranger.page.title(), /Tim's Stack/);
      await leave(stranger.context);
      assert.equal((await (await signedIn(first, "testUser0")).get("/docs/")).status, 403);
    });

    it("a backend is killed: those at the other one go on, and it comes back", async () => {
      const id = backends().find((one) => one !== "") as string;
      const at = urls().indexOf(portOf(engine, id));
      const { Pid } = engine.inspect(id).State;
      process.kill(Pid, "SIGKILL"); // as the kernel would, out of memory
      const [here, there] = at === 0 ? [demo, other] : [other, demo];
      const text = there.page.getByLabel("Message", { exact: true });
      await text.fill("Still here");
      await there.page.keyboard.press("Enter");
      await messageOn(here.page, "Still here").waitFor(); // once its backend is back
      await say(here, there, "Back again");
      assert.notEqual(engine.inspect(id).State.Pid, Pid);
    });

    it("the front end is killed: pages are still served, and it comes back", async () => {
      const id = compose("ps", "-q", "frontend");
      const { Pid } = engine.inspect(id).State;
      process.kill(Pid, "SIGKILL");
      await demo.page.reload();
      await alive(demo.page);
      await say(demo, other, "Without a render server");
      await until("the front end", () => {
        const { State } = engine.inspect(id);
        return State.Running && State.Pid !== Pid;
      });
      await until("rendered pages", async () =>
        /name="csrf_token"[^>]*value="[^"]+"/.test(await (await fetch(`${first.url}/login`)).text()),
      );
    });

    it("the worker, which is a container of its own, runs what a backend was asked for", async () => {
      const client = await signedIn(first, "demo");
      const started = await client.post(`/api/chats/${chat}/export/`);
      assert.equal(started.status, 202, started.body);
      const job = await until("the export", async () => {
        const { json } = await client.get(`/api/tasks/${started.json.id}/`);
        return json.state === "done" && json;
      });
      assert.match(JSON.stringify(job), /Across two containers/);
    });

    it("down leaves nothing", () => {
      compose("down", "-v");
      assert.equal(engine.docker("ps", "-aq"), "");
      assert.equal(engine.docker("volume", "ls", "-q", "--filter", "label=com.docker.compose.project"), "");
    });
  });
}

function portOf(engine: Engine, id: string): string {
  return `http://${engine.docker("port", id, "8000").split("\n")[0]}`;
}

// Two free ports side by side.
async function twoPorts(): Promise<number> {
  for (;;) {
    const port = await freePort();
    const free = await fetch(`http://127.0.0.1:${port + 1}`).then(
      () => false,
      () => true,
    );
    if (free && port < 65_000) return port;
  }
}

const engine = await Engine.start();
if (typeof engine === "string") test("compose", { skip: engine }, () => undefined);
else tests(engine);
