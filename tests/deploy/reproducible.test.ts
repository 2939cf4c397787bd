// The same sources give the same bytes, whatever folder they are built in.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { program, root } from "../server.ts";

// Without ccache, which would hand the second the first's objects.
function build(name: string): { remove: () => void; sum: string } {
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
  execFileSync("cmake", ["--build", join(place, "out"), "--target", "chat"], { stdio: "pipe" });
  const bytes = readFileSync(join(place, "out/chat"));
  assert.ok(!bytes.includes(folder), "no path of the machine it was built on");
  return {
    remove: () => rmSync(folder, { recursive: true }),
    sum: createHash("sha256").update(bytes).digest("hex"),
  };
}

test("two folders, one result", () => {
  const one = build("one");
  const other = build("quite-another-folder");
  one.remove();
  other.remove();
  assert.equal(other.sum, one.sum);
});

test("the program names no folder of the machine it was built on", () => {
  assert.ok(!readFileSync(program).includes(root));
});
