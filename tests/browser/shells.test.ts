// What `make native` makes: the same from the same, and what app.config.json says is in it. Building it takes a Mac or
// Android's tools.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { root } from "../server.ts";

const front = join(root, "front");
const config = JSON.parse(readFileSync(join(front, "app.config.json"), "utf8"));
const read = (path: string): string => readFileSync(join(front, path), "utf8");

const make = (DEVELOPMENT = ""): string =>
  execFileSync(process.execPath, [join(front, "scripts/native.mjs")], {
    env: { ...process.env, DEVELOPMENT },
    encoding: "utf8",
  });

// Name → hash of all that was made.
function made(): Map<string, string> {
  const hashes = new Map<string, string>();
  for (const folder of ["android", "ios"])
    for (const entry of readdirSync(join(front, folder), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile()) hashes.set(path, createHash("sha256").update(readFileSync(path)).digest("hex"));
    }
  return hashes;
}

let first: Map<string, string>;
before(() => {
  make();
  first = made();
});

test("the same sources make the same projects", () => {
  make();
  assert.deepEqual(made(), first);
  assert.ok(first.size > 100);
});

test("both carry the pages, for every address, and nothing that only a web server needs", () => {
  for (const folder of ["android/app/src/main/assets/public", "ios/App/App/public"]) {
    const names = readdirSync(join(front, folder), { recursive: true }).map(String);
    for (const name of ["index.html", "chats.html", "chat/[chat].html", "app.js", "icon.svg"])
      assert.ok(names.includes(name), `${folder}/${name}`);
    assert.deepEqual(
      names.filter((name) => /\.(br|gz)$|worker\.js$|webmanifest$/.test(name)),
      [],
    );
    assert.ok(names.some((name) => /^_next\/static\/.*\.js$/.test(name)));
    const html = read(`${folder}/chat/[chat].html`);
    assert.match(html, /<head[^>]*><script src="\/app\.js"><\/script>/); // before all others
    const shell = JSON.parse(/= (.*);/.exec(read(`${folder}/app.js`))?.[1] ?? "");
    assert.deepEqual(shell, { api: config.native.api, hosts: config.native.hosts, scheme: config.scheme });
  }
});

test("Android: id, version, links, permissions, no backup", () => {
  const manifest = read("android/app/src/main/AndroidManifest.xml");
  execFileSync("xmllint", ["--noout", join(front, "android/app/src/main/AndroidManifest.xml")]);
  const has = (text: string) => assert.ok(manifest.includes(text), text);
  has(`<data android:scheme="${config.scheme}" />`);
  has('<intent-filter android:autoVerify="true">');
  for (const host of config.native.hosts) has(`<data android:host="${host}" />`);
  has('android:allowBackup="false"');
  for (const name of config.native.android.permissions) has(`android:name="android.permission.${name}" />`);
  for (const name of config.native.android.withoutPermissions)
    has(`android:name="android.permission.${name}" tools:node="remove" />`);
  const gradle = read("android/app/build.gradle");
  assert.ok(gradle.includes(`applicationId "${config.id}"`));
  assert.ok(gradle.includes(`versionName "${config.native.version}"`));
  assert.ok(gradle.includes(`versionCode ${config.native.build}\n`));
  assert.match(read("android/app/src/main/res/values/strings.xml"), /name="app_name">Tim\\'s Stack</);
  assert.ok(read("android/app/src/main/res/values/ic_launcher_background.xml").includes(config.colours.icon));
  const capacitor = JSON.parse(read("android/app/src/main/assets/capacitor.config.json"));
  assert.equal(capacitor.server.androidScheme, "https");
  assert.equal(capacitor.server.cleartext, undefined);
  assert.equal(capacitor.android.webContentsDebuggingEnabled, false);
});

test("iOS: id, version, links, what the person is asked, pushes", () => {
  for (const file of ["Info.plist", "App.entitlements"])
    execFileSync("xmllint", ["--noout", "--nonet", join(front, "ios/App/App", file)]);
  const info = read("ios/App/App/Info.plist");
  assert.match(
    info,
    new RegExp(`<key>CFBundleURLSchemes</key>\\s*<array>\\s*<string>${config.scheme}</string>`),
  );
  for (const [key, text] of Object.entries(config.native.ios.usage))
    assert.match(info, new RegExp(`<key>${key}</key>\\s*<string>${text}</string>`));
  assert.ok(!info.includes("NSAppTransportSecurity"));
  const rights = read("ios/App/App/App.entitlements");
  assert.match(rights, /<key>aps-environment<\/key>\s*<string>production</);
  for (const host of config.native.hosts) assert.ok(rights.includes(`<string>applinks:${host}</string>`));
  const project = read("ios/App/App.xcodeproj/project.pbxproj");
  for (const line of [
    "CODE_SIGN_ENTITLEMENTS = App/App.entitlements;",
    `PRODUCT_BUNDLE_IDENTIFIER = ${config.id};`,
    `MARKETING_VERSION = ${config.native.version};`,
    `CURRENT_PROJECT_VERSION = ${config.native.build};`,
  ])
    assert.equal(project.split(line).length - 1, 2, line); // for debugging and for release
  assert.ok(read("ios/App/App/AppDelegate.swift").includes("capacitorDidRegisterForRemoteNotifications"));
});

test("every plugin is in both, by its npm package", () => {
  const { dependencies } = JSON.parse(read("package.json"));
  const names = Object.keys(dependencies).filter(
    (name) => /capacitor/.test(name) && !/^@capacitor\/(core|android|ios)$/.test(name),
  );
  assert.ok(names.length >= 9);
  for (const name of names) {
    assert.ok(read("android/capacitor.settings.gradle").includes(`node_modules/${name}/android'`), name);
    assert.ok(read("ios/App/CapApp-SPM/Package.swift").includes(`node_modules/${name}"`), name);
    assert.ok(existsSync(join(root, "node_modules", name, "Package.swift")), name);
  }
});

test("for developers: another backend and a menu, HTTP allowed", () => {
  try {
    make("true");
    const shell = JSON.parse(/= (.*);/.exec(read("android/app/src/main/assets/public/app.js"))?.[1] ?? "");
    assert.equal(shell.development, true);
    assert.equal(shell.api, config.native.development.api);
    const capacitor = JSON.parse(read("android/app/src/main/assets/capacitor.config.json"));
    assert.deepEqual(capacitor.server, { androidScheme: "http", cleartext: true });
    assert.match(read("ios/App/App/Info.plist"), /<key>NSAllowsLocalNetworking<\/key>\s*<true\/>/);
    assert.match(read("ios/App/App/App.entitlements"), /<string>development</);
  } finally {
    make();
  }
});

test("a config that is wrong is refused, with everything that is wrong", async () => {
  const { checkConfig } = await import(join(front, "scripts/native/config.mjs"));
  checkConfig(config);
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ id: "Org.Example" }, /id: lower-case/],
    [{ id: "example" }, /id: /],
    [{ scheme: "a b" }, /scheme: /],
    [{ name: '"' }, /name: /],
    [{ native: undefined }, /native\.version[\s\S]*native\.api/],
    [{ native: { ...config.native, api: "http://chat.example.org" } }, /native\.api: https/],
    [{ native: { ...config.native, api: "https://chat.example.org/" } }, /native\.api: /],
    [{ native: { ...config.native, build: 0 } }, /native\.build: /],
    [{ native: { ...config.native, version: "1.0" } }, /native\.version: /],
    [{ native: { ...config.native, hosts: ["https://x"] } }, /native\.hosts: "https:\/\/x"/],
  ];
  for (const [change, says] of cases) assert.throws(() => checkConfig({ ...config, ...change }), says);
});
