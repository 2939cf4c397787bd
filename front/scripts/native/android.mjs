// front/android: what app.config.json says, in Android's words.
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { writeAndroidIcons } from "../icons.mjs";
import { editFile, escapeXml } from "./edit.mjs";

const view = (data, verify) => `
            <intent-filter${verify ? ' android:autoVerify="true"' : ""}>
                <action android:name="android.intent.action.VIEW" />
                <category android:name="android.intent.category.DEFAULT" />
                <category android:name="android.intent.category.BROWSABLE" />
${data.map((one) => `                <data ${one} />`).join("\n")}
            </intent-filter>
`;

/** Links of the app's scheme, and of its hosts once those vouch for the app. */
function linkFilters({ scheme, native }) {
  const hosts = native.hosts.map((host) => `android:host="${escapeXml(host)}"`);
  const ofHosts = hosts.length > 0 ? view(['android:scheme="https"', ...hosts], true) : "";
  return view([`android:scheme="${escapeXml(scheme)}"`], false) + ofHosts;
}

function permissions({ permissions: wanted, withoutPermissions: unwanted }) {
  const line = (name, more = "") =>
    `    <uses-permission android:name="android.permission.${name}"${more} />`;
  return [
    ...wanted.map((name) => line(name)),
    ...unwanted.map((name) => line(name, ' tools:node="remove"')), // some plugin asks for it
  ].join("\n");
}

export async function writeAndroid(folder, config, services) {
  const { native, colours } = config;
  const main = join(folder, "app/src/main");
  editFile(join(main, "AndroidManifest.xml"), [
    [
      'xmlns:android="http://schemas.android.com/apk/res/android"',
      'xmlns:android="http://schemas.android.com/apk/res/android"\n    xmlns:tools="http://schemas.android.com/tools"',
    ],
    // The token's key never leaves the device, so a copy of it elsewhere is of no use.
    ['android:allowBackup="true"', 'android:allowBackup="false"'],
    [
      'android:exported="true">',
      'android:exported="true"\n            android:windowSoftInputMode="adjustResize">',
    ],
    [/(category\.LAUNCHER" \/>\s*<\/intent-filter>\n)/, `$1${linkFilters(config)}`],
    ['    <uses-permission android:name="android.permission.INTERNET" />', permissions(native.android)],
  ]);
  editFile(join(folder, "app/build.gradle"), [
    ["versionCode 1", `versionCode ${native.build}`],
    ['versionName "1.0"', `versionName "${native.version}"`],
  ]);
  editFile(join(main, "res/values/strings.xml"), [
    [/(custom_url_scheme">)[^<]*/, `$1${escapeXml(config.scheme)}`],
  ]);
  editFile(join(main, "res/values/ic_launcher_background.xml"), [["#FFFFFF", colours.icon]]);
  await writeAndroidIcons(join(main, "res"));
  if (existsSync(services)) copyFileSync(services, join(folder, "app/google-services.json"));
}
