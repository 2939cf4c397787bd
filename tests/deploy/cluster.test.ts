// Whether the chart was tried on a real cluster is said in every log: that takes programs which are built once, for a quarter
// of an hour, and is a target of its own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isBuilt, programs } from "./cluster/cluster.ts";

test("the chart on a cluster: `make test_cluster` runs it", (t) => {
  const built = isBuilt() ? "Kubernetes is built" : "Kubernetes has not been built here";
  t.diagnostic(`${built}; the tests on a cluster were NOT run here: make test_cluster runs them`);
  assert.match(programs, /kubernetes-1\.20\.2\/bin$/, "its programs have a place outside of the repository");
});
