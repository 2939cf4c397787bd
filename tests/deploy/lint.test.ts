// lint.test.ts: Dockerfiles and YAML, and the scripts that run in containers, by linters of others. tools/lint checks all scripts.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { validate } from "dockerfile-utils";
import { root } from "../server.ts";

const folder = join(root, "docker");
const dockerfiles = readdirSync(folder).filter((name) => name.endsWith(".Dockerfile"));

test("the Dockerfiles have no finding", () => {
  assert.ok(dockerfiles.length >= 5, dockerfiles.join());
  for (const name of dockerfiles) {
    const findings = validate(readFileSync(join(folder, name), "utf8"));
    assert.deepEqual(
      findings.map(({ message, range }) => `${name}:${range.start.line + 1}: ${String(message)}`),
      [],
    );
  }
});

test("the linter finds what is wrong", () => {
  const [finding] = validate("FROM debian\nCOPPY a b\n");
  assert.match(String(finding?.message), /COPPY/);
});

for (const name of dockerfiles)
  test(`${name} ends without root, pulls no frontend, takes no secret and pins no registry`, () => {
    const text = readFileSync(join(folder, name), "utf8");
    assert.doesNotMatch(text, /^#\s*syntax=/m);
    assert.doesNotMatch(text, /--mount=type=secret|ARG .*(TOKEN|PASSWORD|SECRET)/i);
    for (const [, base] of text.matchAll(/^FROM (\S+)/gm)) assert.doesNotMatch(base as string, /\./);
    if (name === "android.Dockerfile") return; // a tool, run in a shell
    assert.match(text, /^USER (\d+:\d+)\n(?![\s\S]*^USER root)/m);
  });

test("all YAML is well written", () => {
  const files = execFileSync(
    "git",
    ["ls-files", "--cached", "--others", "--exclude-standard", "*.yaml", "*.yml"],
    {
      cwd: root,
      encoding: "utf8",
    },
  )
    .split("\n")
    .filter((name) => name !== "" && !name.startsWith("helm/templates/")); // templates of YAML
  assert.ok(files.includes("compose.yaml") && files.includes("helm/values.yaml"), files.join());
  const { status, stdout } = spawnSync("yamllint", ["--strict", "--format", "parsable", ...files], {
    cwd: root,
    encoding: "utf8",
  });
  assert.equal(status, 0, stdout);
});

test("shellcheck has nothing to say of the scripts that run in containers", () => {
  const scripts = ["helm/files/backup.sh", "helm/files/restore.sh", "docker/backend_dev.sh"];
  const { status, stdout } = spawnSync("shellcheck", scripts, { cwd: root, encoding: "utf8" });
  assert.equal(status, 0, stdout);
});
