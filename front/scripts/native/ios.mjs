// front/ios: what app.config.json says, in Apple's words.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeIosIcons } from "../icons.mjs";
import { editFile, escapeXml } from "./edit.mjs";

/** A property list's value. */
function plist(value, indent = "\t") {
  if (typeof value === "boolean") return `${indent}<${value}/>`;
  if (typeof value === "string") return `${indent}<string>${escapeXml(value)}</string>`;
  const inner = `${indent}\t`;
  const parts = Array.isArray(value)
    ? value.map((one) => plist(one, inner))
    : Object.entries(value).map(([key, one]) => `${inner}<key>${escapeXml(key)}</key>\n${plist(one, inner)}`);
  const tag = Array.isArray(value) ? "array" : "dict";
  return `${indent}<${tag}>\n${parts.join("\n")}\n${indent}</${tag}>`;
}

const entries = (values) =>
  Object.entries(values)
    .map(([key, value]) => `\t<key>${key}</key>\n${plist(value)}\n`)
    .join("");

const PUSH = `
    func application(_ application: UIApplication, didRegisterForRemoteNotificationsWithDeviceToken deviceToken: Data) {
        NotificationCenter.default.post(name: .capacitorDidRegisterForRemoteNotifications, object: deviceToken)
    }

    func application(_ application: UIApplication, didFailToRegisterForRemoteNotificationsWithError error: Error) {
        NotificationCenter.default.post(name: .capacitorDidFailToRegisterForRemoteNotifications, object: error)
    }
`;

function entitlements({ native }, development) {
  const values = {
    "aps-environment": development ? "development" : "production",
    ...(native.hosts.length > 0
      ? { "com.apple.developer.associated-domains": native.hosts.map((host) => `applinks:${host}`) }
      : {}),
  };
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
${plist(values, "")}
</plist>
`;
}

export async function writeIos(folder, config, development) {
  const { native } = config;
  const app = join(folder, "App/App");
  editFile(join(app, "Info.plist"), [
    [
      /<\/dict>\s*<\/plist>/,
      `${entries({
        CFBundleURLTypes: [{ CFBundleURLName: config.id, CFBundleURLSchemes: [config.scheme] }],
        ITSAppUsesNonExemptEncryption: false, // nothing but TLS
        ...native.ios.usage,
        ...(development ? { NSAppTransportSecurity: { NSAllowsLocalNetworking: true } } : {}),
      })}</dict>\n</plist>`,
    ],
  ]);
  writeFileSync(join(app, "App.entitlements"), entitlements(config, development));
  const team = native.ios.team ? `\n\t\t\t\tDEVELOPMENT_TEAM = ${native.ios.team};` : "";
  editFile(join(folder, "App/App.xcodeproj/project.pbxproj"), [
    [
      /CODE_SIGN_STYLE = Automatic;/g,
      `CODE_SIGN_ENTITLEMENTS = App/App.entitlements;\n\t\t\t\tCODE_SIGN_STYLE = Automatic;${team}`,
    ],
    [/CURRENT_PROJECT_VERSION = 1;/g, `CURRENT_PROJECT_VERSION = ${native.build};`],
    [/MARKETING_VERSION = 1\.0;/g, `MARKETING_VERSION = ${native.version};`],
  ]);
  editFile(join(app, "AppDelegate.swift"), [[/(\n\s+func applicationWillResignActive)/, `${PUSH}$1`]]);
  await writeIosIcons(join(app, "Assets.xcassets"));
}
