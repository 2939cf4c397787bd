// The other architecture: cross-compiled against Debian's arm64 packages, and the unit tests of the ground floors run under
// qemu-user, fibers and their switch in assembly among them.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it, test } from "node:test";
import { root } from "../server.ts";

const rooms = ["base", "json", "proto", "crypto", "loop"];
const programs = rooms.flatMap((room) =>
  readdirSync(join(root, "stack", room))
    .filter((name) => name.endsWith("_test.c"))
    .map((name) => name.slice(0, -2)),
);

describe("arm64", () => {
  before(() => {
    execFileSync(join(root, "tools/build-arm64"), programs, { stdio: "inherit" });
  });

  test("what is built is for arm64", () => {
    const header = readFileSync(join(root, "build/arm64/tests/fiber_test")).subarray(0, 20);
    assert.equal(header.toString("latin1", 1, 4), "ELF");
    assert.equal(header.readUInt16LE(18), 183, "EM_AARCH64");
  });

  for (const name of programs)
    it(`${name} under qemu`, () => {
      const { status, stdout, stderr } = spawnSync(
        "qemu-aarch64",
        ["-L", join(root, "build/arm64-sysroot"), join(root, "build/arm64/tests", name)],
        {
          encoding: "utf8",
          timeout: 300_000,
          env: { ...process.env, CMOCKA_MESSAGE_OUTPUT: "STDOUT" }, // `make test` may have asked for another
        },
      );
      assert.equal(status, 0, stdout + stderr);
      assert.match(stdout + stderr, /\[ {2}PASSED {2}\] [1-9]/);
    });
});
