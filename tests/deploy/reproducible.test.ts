// The same sources give the same bytes, whatever folder they are built in.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { program, root } from "../server.ts";

// A few rooms are enough: all are built with the same flags. Without ccache, which would hand the second the first's objects.
const rooms = ["base", "json"];

function build(name: string): { remove: () => void; sums: string[] } {
  const folder = mkdtempSync(join(tmpdir(), `tims-${name}-`));
  const place = join(folder, name);
  const files = execFileSync(
    "git",
    ["ls-files", "-z", "stack", "back", "bench", "tests", "cmake", "CMakeLists.txt"],
    {
      cwd: root,
      encoding: "utf8",
    },
  );
  for (const file of files.split("\0").filter(Boolean)) cpSync(join(root, file), join(place, file));
  const options = ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DCCACHE=CCACHE-NOTFOUND"];
  execFileSync("cmake", ["-S", place, "-B", join(place, "out"), ...options], { stdio: "pipe" });
  execFileSync("cmake", ["--build", join(place, "out"), "--target", ...rooms], { stdio: "pipe" });
  const sums = rooms.map((room) => {
    const bytes = readFileSync(join(place, "out", `libtims_${room}.a`));
    assert.ok(bytes.length > 10_000);
    assert.ok(!bytes.includes(folder), "no path of the machine it was built on");
    return createHash("sha256").update(bytes).digest("hex");
  });
  return { remove: () => rmSync(folder, { recursive: true }), sums };
}

test("two folders, one result", () => {
  const one = build("one");
  const other = build("quite-another-folder");
  one.remove();
  other.remove();
  assert.deepEqual(other.sums, one.sums);
});

test("the program names no folder of the machine it was built on", () => {
  assert.ok(!readFileSync(program).includes(root));
});
