// choices.ts: what people may choose of the chart, at its extremes.
import type { Choice } from "./helm.ts";

export const PRODUCTION = "production-values.example.yaml";
export const everything = {
  backend: { autoscaling: { enabled: true, connections: 5000 }, nodeSelector: { disk: "fast" } },
  redis: { persistent: true, storageClass: "fast" },
  database: { storageClass: "fast" },
  networkPolicies: { ingressNamespaces: ["ingress"], monitoringNamespaces: ["monitoring"] },
  images: { pullSecret: { registry: "ghcr.io", username: "somebody", token: "a-token-that-is-secret" } },
  monitoring: { serviceMonitor: true, labels: { release: "prometheus" } },
  settings: { CACHE_BYTES: 1000000, ACCESS_LOG: false, PUSH_FCM_ACCOUNT: "/files/firebase.json" },
  settingsSecret: "more-settings",
  settingsFiles: "my-files",
  worker: { tolerations: [{ key: "jobs", operator: "Exists", effect: "NoSchedule" }] },
};
const elsewhere = {
  database: { kind: "external", external: { host: "db.internal", parameters: "sslmode=require" } },
  redis: { kind: "external", external: { host: "cache.internal", user: "chat", database: 3 } },
  secrets: { existing: "my-secrets" },
  images: { pullSecret: { existing: "my-registry" } },
  ingress: { tls: { clusterIssuer: "", secret: "my-certificate" } },
  backup: { existingClaim: "my-backups" },
};
const least = {
  worker: { enabled: false },
  frontend: { enabled: false },
  docs: { enabled: false },
  ingress: { enabled: false, tls: { enabled: false } },
  networkPolicies: { enabled: false },
  disruptionBudget: { enabled: false },
  backup: { enabled: false },
};
export const choices: Choice[] = [
  { name: "development" },
  { name: "development with backups", values: { backup: { enabled: true } } },
  { name: "production", files: [PRODUCTION] },
  { name: "one pod with SQLite", files: [PRODUCTION, "sqlite-values.example.yaml"] },
  { name: "everything", files: [PRODUCTION], values: everything },
  { name: "databases elsewhere", files: [PRODUCTION], values: elsewhere },
  { name: "as little as can be", files: [PRODUCTION], values: least },
];
