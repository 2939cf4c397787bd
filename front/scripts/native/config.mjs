// What the native shells are made of: app.config.json, checked, as a release or for developers.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

export const front = dirname(dirname(import.meta.dirname));

const RULES = [
  ["id", /^[a-z][a-z0-9]*(\.[a-z][a-z0-9]*)+$/, "lower-case words with dots, as org.example.app"],
  ["name", /^[^"<>\\\n]{1,30}$/, "1 to 30 characters"],
  ["scheme", /^[a-z][a-z0-9.-]*$/, "lower-case letters, digits, dots"],
  ["native.version", /^\d+\.\d+\.\d+$/, "three numbers, as 1.0.0"],
  ["native.build", /^[1-9]\d*$/, "a number that grows with every release"],
  ["native.api", /^https:\/\/[a-z0-9.-]+(:\d+)?$/, "https://host, without a slash at the end"],
  ["native.development.api", /^https?:\/\/[a-z0-9.-]+(:\d+)?$/, "http://host:port"],
];

const valueAt = (config, path) => path.split(".").reduce((value, name) => value?.[name], config);

/** Throws with every setting that is wrong. */
export function checkConfig(config) {
  const wrong = RULES.filter(([path, rule]) => !rule.test(String(valueAt(config, path) ?? ""))).map(
    ([path, , says]) => `${path}: ${says}`,
  );
  for (const host of config.native?.hosts ?? [])
    if (!/^[a-z0-9.-]+$/.test(host)) wrong.push(`native.hosts: "${host}" is no host`);
  if (wrong.length > 0) throw new Error(`app.config.json:\n  ${wrong.join("\n  ")}`);
  return config;
}

export function readConfig(file = join(front, "app.config.json")) {
  return checkConfig(JSON.parse(readFileSync(file, "utf8")));
}

/** `timsApp` of the pages: see packages/client/src/platform/transport.ts. */
export function shellConfig({ native, scheme }, development) {
  const { api, hosts } = native;
  return development
    ? { api: native.development.api, apis: native.development.apis, development: true, hosts, scheme }
    : { api, hosts, scheme };
}

export function capacitorConfig({ id, name, colours }, development) {
  return {
    appId: id,
    appName: name,
    webDir: "dist/native",
    backgroundColor: colours.light,
    // A backend on the developer's machine has no certificate, and a page by https may not ask one without.
    server: development ? { androidScheme: "http", cleartext: true } : { androidScheme: "https" },
    android: { webContentsDebuggingEnabled: development },
    ios: { contentInset: "never", webContentsDebuggingEnabled: development },
    plugins: {
      Keyboard: { resize: "none" }, // iOS: the page gives way by --keyboard-inset
      PushNotifications: { presentationOptions: [] }, // who has the app open sees the message itself
    },
  };
}
