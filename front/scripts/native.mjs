// Makes the native projects front/android and front/ios from Capacitor's templates, app.config.json and the export
// (dist/app). Offline: all of it comes from the pinned npm packages. The same sources make the same files.
//
//   node scripts/native.mjs                   for the stores
//   DEVELOPMENT=true node scripts/native.mjs  for developers: another backend, and a menu to choose it
//
// They are made, not written: whoever changes them changes app.config.json or this script. What Capacitor's templates
// bring (a Gradle wrapper, Java and Swift files) so stays out of the repository.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { writeAndroid } from "./native/android.mjs";
import { capacitorConfig, front, readConfig, shellConfig } from "./native/config.mjs";
import { writeIos } from "./native/ios.mjs";
import { writeShell } from "./native/shell.mjs";

const development = process.env.DEVELOPMENT === "true";
const command = join(
  dirname(createRequire(import.meta.url).resolve("@capacitor/cli/package.json")),
  "bin/capacitor",
);

function capacitor(...words) {
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [command, ...words], {
    cwd: front,
    encoding: "utf8",
    env: { ...process.env, CAPACITOR_TELEMETRY: "0", CI: "1" }, // nobody is asked anything
  });
  if (status !== 0) throw new Error(`capacitor ${words.join(" ")}:\n${error ?? ""}${stdout}${stderr}`);
}

const config = readConfig();
if (!existsSync(join(front, "dist/app/index.html")))
  throw new Error("There is no export (front/dist/app): run tools/build-front first.");
writeShell(join(front, "dist/app"), join(front, "dist/native"), shellConfig(config, development));
writeFileSync(
  join(front, "capacitor.config.json"),
  `${JSON.stringify(capacitorConfig(config, development), null, 2)}\n`,
);
for (const platform of ["android", "ios"]) {
  rmSync(join(front, platform), { recursive: true, force: true });
  capacitor("add", platform);
}
await writeAndroid(join(front, "android"), config, join(front, "google-services.json"));
await writeIos(join(front, "ios"), config, development);
capacitor("sync");
console.log(`front/android and front/ios are ready${development ? ", for developers" : ""}.`);
