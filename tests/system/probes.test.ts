// What a cluster asks a process: whether it lives, and whether it may be sent requests.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Postgres } from "../postgres.ts";
import { makeFolder, removeFolder, run, startServer, until } from "../server.ts";

const status = async (url: string) => (await fetch(url)).status;

test("who lost the database is alive and not ready, and ready again with it", async () => {
  const postgres = await Postgres.open();
  const folder = makeFolder();
  const env = { DATABASE_URL: postgres.createDatabase("probes") };
  try {
    run(folder, ["migrate"], env);
    const server = await startServer({ folder, env });
    try {
      assert.equal(await status(`${server.url}/readyz`), 200);
      await postgres.stop("immediate");
      await until("not to be ready", async () => (await status(`${server.url}/readyz`)) === 503);
      assert.equal(await status(`${server.url}/healthz`), 200);
      await postgres.start();
      await until("to be ready again", async () => (await status(`${server.url}/readyz`)) === 200);
    } finally {
      await server.kill();
    }
  } finally {
    removeFolder(folder);
    await postgres.remove();
  }
});
