// The API's document is a good one: what linters say of it. Their rules are in tests/redocly.yaml and tests/spectral.yaml.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { makeFolder, removeFolder, root, run } from "../server.ts";

let folder = "";
let file = "";
before(() => {
  folder = makeFolder();
  file = join(folder, "openapi.json");
  writeFileSync(file, run(folder, ["openapi"]));
});
after(() => removeFolder(folder));

interface Said {
  code: number;
  output: string;
}

function lint(program: string, args: string[]): Promise<Said> {
  const env = {
    PATH: `${join(root, "node_modules/.bin")}:${process.env.PATH}`,
    HOME: folder,
    REDOCLY_TELEMETRY: "off",
    REDOCLY_SUPPRESS_UPDATE_NOTICE: "true",
    NO_COLOR: "1",
  };
  return new Promise((resolve) =>
    execFile(
      join(root, "node_modules/.bin", program),
      args,
      { cwd: folder, env, maxBuffer: 1 << 26 },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr }),
    ),
  );
}

const redocly = (path: string) =>
  lint("redocly", ["lint", path, "--config", join(root, "tests/redocly.yaml"), "--format", "stylish"]);
const spectral = (path: string) =>
  lint("spectral", [
    "lint",
    path,
    "--ruleset",
    join(root, "tests/spectral.yaml"),
    "--fail-severity",
    "error",
  ]);

function spoiled(): string {
  const path = join(folder, "spoiled.json");
  const api = JSON.parse(run(folder, ["openapi"]));
  api.paths["/api/chats/"].get.responses["200"] = { content: 1 };
  writeFileSync(path, JSON.stringify(api));
  return path;
}

test("Redocly's recommended rules find no error", async () => {
  const { code, output } = await redocly(file);
  assert.equal(code, 0, output);
  assert.match(output, /valid/);
});

test("Spectral's rules find no error", async () => {
  const { code, output } = await spectral(file);
  assert.equal(code, 0, output);
});

test("both find one in a document that has one", async () => {
  const path = spoiled();
  assert.notEqual((await redocly(path)).code, 0);
  assert.notEqual((await spectral(path)).code, 0);
});
