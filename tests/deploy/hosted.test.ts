// Files for services that others run: GitHub's workflows (against GitHub's own schema) and Bunnyshell's templates. What
// they name exists here: Dockerfiles, make targets, settings, values of the chart.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { environment, program, root } from "../server.ts";
import { helmProgram } from "./helm.ts";

const read = (path: string) => readFileSync(join(root, path), "utf8");
const workflows = readdirSync(join(root, ".github/workflows")).map((name) => `.github/workflows/${name}`);
const templates = ["compose", "helm"].map((name) => `.bunnyshell/templates/${name}`);

interface Component {
  kind: string;
  name: string;
  dockerfile?: string;
  gitApplicationPath?: string;
  dependsOn?: string[];
  deploy?: string[];
  dockerCompose?: {
    build?: { context: string; dockerfile: string };
    environment?: Record<string, string>;
    command?: string[];
  };
}

const componentsOf = (template: string) =>
  (parse(read(`${template}/bunnyshell.yaml`), { merge: true }) as { components: Component[] }).components;

function validate(path: string) {
  return spawnSync(join(root, "node_modules/.bin/action-validator"), [path], { encoding: "utf8" });
}

test("workflows are what GitHub takes", () => {
  assert.ok(workflows.length >= 3);
  for (const path of workflows) {
    const { status, stdout, stderr } = validate(join(root, path));
    assert.equal(status, 0, `${path}: ${stdout}${stderr}`);
  }
  const folder = mkdtempSync(join(tmpdir(), "tims-workflow-"));
  const wrong = join(folder, "wrong.yml");
  writeFileSync(wrong, read(workflows[0] as string).replace("runs-on:", "runs-in:"));
  assert.notEqual(validate(wrong).status, 0, "and what it does not take is found");
  rmSync(folder, { recursive: true });
});

test("workflows run targets that exist, and know no secret but GitHub's own", () => {
  const targets = new Set([...read("Makefile").matchAll(/^([a-z][a-z0-9_]*):/gm)].map((one) => one[1]));
  for (const path of workflows) {
    const text = read(path);
    for (const [, target] of text.matchAll(/run: make ([a-z_]+)/g))
      assert.ok(targets.has(target), `${path}: ${target}`);
    for (const [, secret] of text.matchAll(/secrets\.(\w+)/g)) assert.equal(secret, "GITHUB_TOKEN", path);
  }
  const { jobs } = parse(read(".github/workflows/images.yml"));
  for (const name of jobs.image.strategy.matrix.name)
    assert.ok(existsSync(join(root, `docker/${name}.Dockerfile`)), name);
});

test("previews build from Dockerfiles that exist, and depend on components that exist", () => {
  for (const template of templates) {
    const components = componentsOf(template);
    const names = components.map((one) => one.name);
    assert.equal(new Set(names).size, names.length);
    let files = 0;
    for (const { name, dockerfile, dockerCompose, dependsOn, gitApplicationPath } of components) {
      const file = dockerfile ?? dockerCompose?.build?.dockerfile;
      if (file !== undefined) {
        files++;
        assert.ok(existsSync(join(root, file)), file);
      }
      if (gitApplicationPath !== undefined) assert.ok(existsSync(join(root, gitApplicationPath)));
      for (const other of dependsOn ?? []) assert.ok(names.includes(other), `${name} needs ${other}`);
    }
    assert.ok(files >= 3);
  }
});

test("what a preview sets is a setting, what it runs is a command", () => {
  const folder = mkdtempSync(join(tmpdir(), "tims-preview-"));
  const known = spawnSync(program, ["check", "--settings"], {
    cwd: folder,
    env: environment(folder),
    encoding: "utf8",
  }).stdout;
  const help = spawnSync(program, ["--help"], { encoding: "utf8" }).stdout;
  const backends = componentsOf(templates[0] as string).filter((one) =>
    one.dockerCompose?.build?.dockerfile.endsWith("backend.Dockerfile"),
  );
  assert.deepEqual(backends.map((one) => one.name).sort(), ["backend", "migrate", "worker"]);
  for (const { dockerCompose } of backends) {
    for (const name of Object.keys(dockerCompose?.environment ?? {}))
      assert.match(known, new RegExp(`\\b${name}\\b`));
    for (const command of dockerCompose?.command ?? [])
      assert.match(help, new RegExp(`^ {2}${command} `, "m"));
  }
  rmSync(folder, { recursive: true });
});

test("the values of the chart's preview are those that the chart takes", () => {
  const chart = componentsOf(templates[1] as string).find((one) => one.kind === "Helm");
  const script = chart?.deploy?.[0] ?? "";
  const folder = mkdtempSync(join(tmpdir(), "tims-preview-"));
  // As the runner does it, with the words filled in that Bunnyshell fills in.
  const filled = script
    .replaceAll(/{{ components\.([a-z-]+)\.image }}/g, "registry.example/$1:1")
    .replaceAll("{{ env.base_domain }}", "x.example");
  assert.doesNotMatch(filled, /{{/);
  assert.equal(spawnSync("bash", ["-euc", filled], { cwd: folder }).status, 0);
  const helm = spawnSync(
    helmProgram,
    ["template", "tims-stack", join(root, "helm"), "--values", join(folder, "preview.yaml")],
    { encoding: "utf8" },
  );
  assert.equal(helm.status, 0, helm.stderr);
  for (const image of ["backend", "frontend", "docs"])
    assert.match(helm.stdout, new RegExp(`registry.example/${image}-image:1`));
  assert.match(helm.stdout, /chat-x\.example/);
  rmSync(folder, { recursive: true });
});
