// The Makefile's targets for containers, clusters and phones: that they are there, what they say when something is
// missing, and what they ask of programs that cannot run here (microk8s, snap, adb, a registry): for these a program of
// the name writes down how it was called. Docker and Helm run for real in images, compose and chart.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { root } from "../server.ts";
import { chart, helmProgram } from "./helm.ts";

const targets =
  `full_build start_all stop_all backend_build backend_run frontend_build frontend_run start_redis
  start_postgres backend_migrate full_build_deploy microk8s_setup microk8s_status microk8s_attach_backend helm_install
  helm_update helm_uninstall helm_dry_install helm_install_prod helm_install_prod_dry full_build_prod push_prod
  authorize_github_push android_full_build_export android_build_install capacitor_init`.split(/\s+/);

let folder: string; // a copy of the two files, so that nothing real is built or asked
let programs: string; // the only folder where programs are looked for
before(() => {
  folder = mkdtempSync(join(tmpdir(), "tims-make-"));
  programs = join(folder, "programs");
  for (const name of ["programs", "tools", "helm", "docker"]) mkdirSync(join(folder, name));
  copyFileSync(join(root, "Makefile"), join(folder, "Makefile"));
  copyFileSync(join(root, "tools/deploy"), join(folder, "tools/deploy"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const basics = ["bash", "sh", "env", "dirname", "make", "sed", "awk", "id", "cat", "mkdir", "cp"];

interface Outcome {
  status: number | null;
  output: string;
  calls: string[];
}

// Runs a target where only the named programs exist beside the shell's own.
function make(words: string[], ...present: string[]): Outcome {
  rmSync(programs, { recursive: true, force: true });
  mkdirSync(programs);
  const record = join(folder, "calls");
  rmSync(record, { force: true });
  for (const name of basics) {
    const path = spawnSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).stdout.trim();
    writeFileSync(join(programs, name), `#!/bin/sh\nexec ${path} "$@"\n`, { mode: 0o755 });
  }
  for (const name of present) {
    const text = `#!/bin/sh\necho "${name} $*" >>${record}\ncase "$*" in *--password-stdin*) cat >>${record} ;; esac\n`;
    writeFileSync(join(programs, name), text, { mode: 0o755 });
  }
  const { status, stdout, stderr } = spawnSync("make", ["--no-print-directory", ...words], {
    cwd: folder,
    encoding: "utf8",
    env: { PATH: programs, HOME: folder },
  });
  return {
    status,
    output: stdout + stderr,
    calls: existsSync(record) ? readFileSync(record, "utf8").trim().split("\n") : [],
  };
}

// What it says apart from make's own last line.
function complaint({ status, output }: Outcome): string {
  assert.notEqual(status, 0, output);
  const lines = output.trim().split("\n");
  assert.match(lines.pop() ?? "", /^make: \*\*\* /);
  assert.equal(lines.length, 1, output);
  return lines[0] ?? "";
}

test("make help has a sentence for every target, and no target is without", () => {
  const { output, status } = make(["help"]);
  assert.equal(status, 0, output);
  const told = new Map([...output.matchAll(/^ {2}([a-z0-9_]+) +(\S.*)$/gm)].map((one) => [one[1], one[2]]));
  for (const name of targets) assert.ok(told.has(name), name);
  const written = [...readFileSync(join(root, "Makefile"), "utf8").matchAll(/^([a-z][a-z0-9_]*):/gm)];
  assert.deepEqual(
    written.map((one) => one[1]).filter((name) => !told.has(name)),
    [],
  );
  for (const [name, sentence] of told) assert.ok((sentence ?? "").length >= 9, name);
});

test("a missing program is one line that says where to get it", () => {
  const missing: [RegExp, string[]][] = [
    [
      /docker is missing: apt-get install/,
      "backend_run start_all stop_all start_redis backend_migrate".split(" "),
    ],
    [/microk8s is missing: make microk8s_setup/, ["microk8s_status"]],
    [/snap is missing: apt-get install snapd/, ["microk8s_setup"]],
    [/kubectl is missing: /, ["microk8s_attach_backend"]],
    [
      /helm is missing: .*make microk8s_setup/,
      ["helm_install", "helm_update", "helm_uninstall", "helm_dry_install"],
    ],
    [/adb is missing: apt-get install adb/, ["android_build_install"]],
  ];
  for (const [sentence, names] of missing)
    for (const name of names) {
      const line = complaint(make([name]));
      assert.match(line, sentence);
      assert.ok(line.startsWith(`${name}: `), line);
    }
});

test("a missing variable, file or a wrong mode is one line, and nothing was done", () => {
  const rows: [string[], RegExp][] = [
    [["push_prod"], /push_prod: GIT_USER is missing: make push_prod GIT_USER=your-name/],
    [
      ["authorize_github_push", "GIT_USER=ada"],
      /gha_token is missing: make authorize_github_push gha_token=/,
    ],
    [["authorize_github_push", "gha_token=t"], /GIT_USER is missing/],
    [
      ["helm_install_prod"],
      /helm\/production-values.yaml is missing: copy helm\/production-values.example.yaml/,
    ],
    [["helm_install_prod_dry"], /helm\/production-values.yaml is missing/],
    [["full_build", "MODE=staging"], /MODE is dev or prod, not "staging"/],
  ];
  for (const [words, sentence] of rows) {
    const outcome = make(words, "docker", "microk8s");
    assert.match(complaint(outcome), sentence);
    assert.deepEqual(outcome.calls, []);
  }
});

test("a token for the registry is in no argument and in no output", () => {
  const { calls, output, status } = make(
    ["authorize_github_push", "gha_token=s3cret", "GIT_USER=ada"],
    "docker",
  );
  assert.equal(status, 0, output);
  assert.deepEqual(calls, ["docker login ghcr.io --username ada --password-stdin", "s3cret"]);
  assert.doesNotMatch(output, /s3cret/);
});

test("images are built and pushed under the name that mode, registry, user and tag give", () => {
  const prod = make(["full_build_prod", "GIT_USER=ada", "TAG=1.2"], "docker");
  assert.equal(prod.status, 0, prod.output);
  const tags = (calls: string[]) => calls.map((call) => /--tag (\S+)/.exec(call)?.[1]);
  assert.deepEqual(tags(prod.calls), [
    "ghcr.io/ada/tims-stack-backend:1.2",
    "ghcr.io/ada/tims-stack-frontend:1.2",
    "ghcr.io/ada/tims-stack-docs:1.2",
  ]);
  const pushed = make(["push_prod", "GIT_USER=ada", "TAG=1.2"], "docker").calls;
  assert.deepEqual(
    pushed.map((call) => call.replace("docker push ", "")),
    tags(prod.calls),
  );
  const dev = make(["full_build_deploy"], "docker").calls;
  assert.deepEqual(tags(dev.slice(0, 3)), [
    "localhost:32000/local/tims-stack-backend-dev:dev",
    "localhost:32000/local/tims-stack-frontend-dev:dev",
    "localhost:32000/local/tims-stack-docs:dev",
  ]);
  assert.deepEqual(
    dev.slice(3).map((call) => call.replace("docker push ", "")),
    tags(dev.slice(0, 3)),
  );
});

test("an account's capitals are none in the names of its images, and a sign-in keeps them", () => {
  const { calls } = make(["push_prod", "GIT_USER=Ada", "TAG=1.2"], "docker");
  assert.equal(calls[0], "docker push ghcr.io/ada/tims-stack-backend:1.2");
  const signedIn = make(["authorize_github_push", "gha_token=t", "GIT_USER=Ada"], "docker").calls;
  assert.equal(signedIn[0], "docker login ghcr.io --username Ada --password-stdin");
});

// The real Helm: a tag or a name of digits alone would be a number, which the schema refuses.
test("a tag and an account of digits alone stay texts", () => {
  cpSync(chart, join(folder, "helm"), { recursive: true });
  copyFileSync(join(chart, "production-values.example.yaml"), join(folder, "helm/production-values.yaml"));
  rmSync(programs, { recursive: true, force: true });
  mkdirSync(programs);
  writeFileSync(join(programs, "id"), "#!/bin/sh\necho 1000\n", { mode: 0o755 }); // its pods run as you, never as root
  for (const target of ["helm_dry_install", "helm_install_prod_dry"]) {
    const { status, stdout, stderr } = spawnSync(
      "make",
      ["--no-print-directory", target, "GIT_USER=42", "TAG=20261127"],
      {
        cwd: folder,
        encoding: "utf8",
        env: { PATH: `${programs}:${dirname(helmProgram)}:/usr/bin:/bin`, HOME: folder },
      },
    );
    assert.equal(status, 0, stderr);
    assert.match(stdout, /\/42\/tims-stack-backend(-dev)?:20261127"?$/m);
  }
});

test("containers: which files, which services", () => {
  const dev = "docker compose --file compose.yaml --file compose.dev.yaml";
  const rows: [string[], string][] = [
    [["start_all"], `${dev} up --detach --wait`],
    [["stop_all"], `${dev} down`],
    [["backend_run"], `${dev} up --detach --wait backend`],
    [["frontend_run"], `${dev} up --detach --wait frontend`],
    [["start_redis"], `${dev} up --detach --wait redis`],
    [["start_postgres"], `${dev} up --detach --wait postgres`],
    [["backend_migrate"], `${dev} run --rm backend migrate`],
    [["start_all", "MODE=prod"], "docker compose --file compose.yaml up --detach --wait"],
  ];
  for (const [words, call] of rows) {
    const { calls, output, status } = make(words, "docker");
    assert.equal(status, 0, output);
    assert.deepEqual(calls, ["docker compose version", call]);
  }
});

test("clusters: microk8s's own helm and kubectl where it is, else those of the path", () => {
  const one = (words: string[], ...present: string[]) => {
    const { calls, output, status } = make(words, ...present);
    assert.equal(status, 0, output);
    return calls;
  };
  assert.match(
    one(["helm_install", "GIT_USER=ada"], "microk8s")[0] ?? "",
    /^microk8s helm3 install tims-stack helm --wait --values helm\/values.yaml --set-string images.registry=localhost:32000,images.owner=ada,images.tag=dev /,
  );
  assert.match(one(["helm_update"], "helm")[0] ?? "", /^helm upgrade tims-stack helm --wait /);
  assert.deepEqual(one(["helm_uninstall"], "helm"), ["helm uninstall tims-stack"]);
  assert.match(one(["helm_dry_install"], "helm")[0] ?? "", /^helm template tims-stack helm /);
  assert.deepEqual(one(["microk8s_attach_backend"], "microk8s"), [
    "microk8s kubectl exec --stdin --tty deployment/tims-stack-backend -- bash",
  ]);
  assert.deepEqual(one(["microk8s_attach_backend", "MODE=prod"], "kubectl"), [
    "kubectl logs --follow --tail 100 deployment/tims-stack-backend",
  ]);
  writeFileSync(join(folder, "helm/production-values.yaml"), "");
  assert.deepEqual(one(["helm_install_prod"], "helm"), [
    "helm upgrade --install tims-stack helm --wait --values helm/production-values.yaml",
  ]);
  assert.deepEqual(one(["helm_install_prod", "GIT_USER=Ada", "TAG=1.2"], "helm"), [
    "helm upgrade --install tims-stack helm --wait --values helm/production-values.yaml --set-string images.owner=ada --set-string images.tag=1.2",
  ]);
  const setup = one(["microk8s_setup"], "snap", "microk8s");
  assert.deepEqual(setup.slice(0, 2), ["microk8s status --wait-ready", "microk8s enable dns"]);
  assert.ok(setup.includes("microk8s enable registry") && setup.includes("microk8s enable cert-manager"));
});

// Gradle asks Google's repository, which cannot be had here; all that comes before it is real.
test("an APK: the projects are made, then Gradle's container gets them", async () => {
  const bin = join(folder, "android");
  const record = join(folder, "android-calls");
  mkdirSync(bin);
  const apk = join(root, "front/android/app/build/outputs/apk/debug");
  const text = `#!/bin/sh\necho "$*" >>${record}\n[ "$1" = build ] && exit\nmkdir -p ${apk}\necho apk >${apk}/app-debug.apk\n`;
  writeFileSync(join(bin, "docker"), text, { mode: 0o755 });
  const { status, stdout, stderr } = spawnSync(
    "make",
    ["--no-print-directory", "android_full_build_export"],
    {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, PATH: `${bin}:${process.env.PATH}`, TAG: "t" },
    },
  );
  assert.equal(status, 0, stdout + stderr);
  const [build, run] = readFileSync(record, "utf8").trim().split("\n");
  assert.equal(
    build,
    "build --file docker/android.Dockerfile --tag localhost:32000/local/tims-stack-android:t docker",
  );
  assert.match(run ?? "", new RegExp(`--volume ${root}:/app .*tims-stack-android:t$`));
  for (const path of ["gradlew", "app/build.gradle", "app/src/main/assets/public/index.html"])
    assert.ok(existsSync(join(root, "front/android", path)), path);
  // What Gradle includes lies below the folder that its container sees.
  const settings = readFileSync(join(root, "front/android/capacitor.settings.gradle"), "utf8");
  const included = [...settings.matchAll(/new File\('([^']+)'\)/g)].map((one) =>
    join(root, "front/android", one[1] ?? ""),
  );
  assert.ok(included.length > 5, settings);
  for (const path of included) assert.ok(existsSync(path) && path.startsWith(root), path);
  assert.equal(readFileSync(join(root, "build/android/app-debug.apk"), "utf8"), "apk\n");
  rmSync(join(root, "build/android"), { recursive: true, force: true });
});
