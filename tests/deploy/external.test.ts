// external.test.ts: a database elsewhere, as the backup's pod reaches it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "../server.ts";
import { chart, render, workloads } from "./helm.ts";

function backupVariables(parameters: string): Record<string, string | undefined> {
  const database = { kind: "external", external: { host: "db.internal", parameters } };
  const values = { database, secrets: { existing: "mine" }, backup: { enabled: true } };
  const found = workloads(render({ name: parameters, values })).find(({ labels }) =>
    Object.values(labels).includes("backup"),
  );
  const variables = found?.spec.containers[0]?.env ?? [];
  return Object.fromEntries(variables.map(({ name, value }) => [name, value]));
}

test("a backup never goes without TLS where the program may not", () => {
  const rows: [string, string | undefined][] = [
    ["sslmode=require", "require"],
    ["prepared=off&sslmode=verify-full&sslrootcert=/etc/ca.pem", "require"],
    ["sslmode=verify-ca", "require"],
    ["sslmode=prefer", undefined],
    ["", undefined],
  ];
  for (const [parameters, expected] of rows)
    assert.equal(backupVariables(parameters).PGSSLMODE, expected, parameters);
});

// libpq of Debian 12 knows no sslrootcert=system.
test("the authorities that the example names are in the backend's image", () => {
  const example = readFileSync(join(chart, "production-values.example.yaml"), "utf8");
  assert.match(example, /sslrootcert=\/etc\/ssl\/certs\/ca-certificates\.crt /);
  const image = readFileSync(join(root, "docker/backend.Dockerfile"), "utf8").split("\nFROM ").at(-1) ?? "";
  assert.match(image, /apt-get install [^\n]*\bca-certificates\b/);
});
