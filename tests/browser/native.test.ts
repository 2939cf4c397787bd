// The app in a native shell, as far as a phone is not needed for it: see device.ts for what is real here and what is not.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import type { Locator, Page } from "playwright-core";
import { keptIn, messageOn } from "../browser.ts";
import { type Client, signedIn } from "../client.ts";
import { Device, Emulator, type Kind, pluginHeaders } from "../device.ts";
import { makeFolder, password, removeFolder, root, type Server, sql, startServer, until } from "../server.ts";

const HOST = "chat.example.org";
const SCHEME = "timsstack";

let server: Server;
let other: Client; // somebody else, by a program
let chat: string;
let shells: string; // a folder
let emulator: Emulator;
let device: Device;

before(async () => {
  server = await startServer({ env: { CORS_ORIGINS: "https://localhost,capacitor://localhost" } });
  chat = sql(server, "select id from chat where title = 'Welcome'");
  other = await signedIn(server, "testUser0");
  shells = makeFolder();
  const { writeShell } = await import(join(root, "front/scripts/native/shell.mjs"));
  const config = { api: server.url, hosts: [HOST], scheme: SCHEME };
  const from = join(root, "front/dist/app");
  writeShell(from, join(shells, "release"), config);
  const developers = { ...config, development: true, apis: { "The other": "http://127.0.0.1:9" } };
  writeShell(from, join(shells, "development"), developers);
  emulator = await Emulator.open();
});
afterEach(async () => {
  await device?.close();
});
after(async () => {
  await emulator?.close();
  await server?.stop();
  server?.remove();
  rmSync(join(shells, "release"), { recursive: true, force: true });
  removeFolder(shells);
});

const openDevice = async (kind: Kind = "android", shell = "release"): Promise<Device> => {
  device = await Device.open(emulator, join(shells, shell), kind);
  return device;
};

const signInLink = (page: Page): Locator => page.getByRole("link", { name: /sign in/i }).first();

async function signIn(page: Page): Promise<void> {
  await signInLink(page).click();
  await page.getByLabel("Name", { exact: false }).first().fill("demo");
  await page.getByLabel("Password", { exact: false }).first().fill(password);
  await page.getByRole("button", { name: /sign in/i }).click();
  await page.waitForURL((url) => url.pathname !== "/login"); // to the chats, or back to where one was asked
}

// Signed in, with the chat on the screen.
async function inChat(kind: Kind = "android"): Promise<Page> {
  const page = await (await openDevice(kind)).start();
  await signIn(page);
  await page.locator(`a[href="/chat/${chat}"]`).first().click();
  await page.locator("[data-message]").first().waitFor();
  return page;
}

// By a link that is on the screen: the bar's or the dock's.
const visit = (page: Page, path: string): Promise<void> =>
  page.locator(`a[href="${path}"]:visible`).first().click();

const say = async (text: string): Promise<void> => {
  const answer = await other.post("/api/messages/", { chat, text });
  assert.equal(answer.status, 201, answer.body);
};

interface Secret {
  token: string;
  refresh_ms: number;
}

const secret = (): Secret => JSON.parse([...device.keychain.values()][0] ?? "null");

const statusOf = async (token: string): Promise<number> =>
  (await fetch(`${server.url}/api/chats/`, { headers: { authorization: `Bearer ${token}` } })).status;

test("signing in keeps a token in the keychain, and nowhere else; no cookie is sent or kept", async () => {
  const page = await inChat();
  assert.equal(device.keychain.size, 1);
  const { token, refresh_ms } = secret();
  assert.equal(await statusOf(token), 200);
  assert.ok(refresh_ms > Date.now() + 86_400_000);
  const stored = device.callsOf("SecureStorage", "internalSetItem")[0];
  assert.equal(stored?.options.access, 3); // afterFirstUnlockThisDeviceOnly
  assert.equal(stored?.options.sync, false);
  assert.deepEqual(await device.context.cookies(), []);
  const toBackend = device.requests.filter(({ url }) => url.startsWith(server.url));
  assert.ok(toBackend.length > 3);
  for (const { url, headers } of toBackend) assert.equal(headers.cookie, undefined, url);
  const later = toBackend.filter(({ method, url }) => method === "GET" && url.includes("/page-data")).at(-1);
  assert.equal(later?.headers.authorization, `Bearer ${token}`);
  const storage = await page.evaluate(() =>
    JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
  );
  assert.ok(!(storage + (await keptIn(page))).includes(token));
  assert.ok(device.sent.some((frame) => frame.includes('"hello"') && frame.includes(token)));
  assert.deepEqual(device.complaints, []);
});

test("what others write arrives, what is written here is written", async () => {
  const page = await inChat();
  await say("to the phone");
  await messageOn(page, "to the phone").waitFor();
  await page.getByLabel("Message", { exact: true }).fill("from the phone");
  await page.getByRole("button", { name: "Send" }).click();
  await messageOn(page, "from the phone").waitFor();
  await until(
    "the row",
    () => sql(server, "select count(*) from message where text = 'from the phone'") === "1",
  );
  assert.deepEqual(device.complaints, []);
});

test("an app that is started again is signed in, and without a server shows what was there", async () => {
  await say("before the flight");
  await messageOn(await inChat(), "before the flight").waitFor();
  const { port } = server;
  await until("the cache", async () => (await keptIn(device.page)).includes("before the flight"));
  const again = await device.start(`${SCHEME}://chat/${chat}`);
  await messageOn(again, "before the flight").waitFor();
  await server.stop();
  const begun = performance.now();
  const offline = await device.start(`${SCHEME}://chat/${chat}`);
  await messageOn(offline, "before the flight").waitFor();
  console.info(`offline start to the last message: ${Math.round(performance.now() - begun)} ms`);
  assert.ok(secret().token); // nobody was signed out by that
  server = await startServer({
    folder: server.folder,
    env: { PORT: String(port), CORS_ORIGINS: "https://localhost,capacitor://localhost" },
  });
  await say("after the flight");
  await messageOn(offline, "after the flight").waitFor();
});

test("the back button closes a dialog, then goes back, and at the beginning leaves the app", async () => {
  const page = await inChat();
  await page
    .getByRole("button", { name: /people|members/i })
    .first()
    .click();
  await page.locator("dialog[open]").waitFor();
  await device.pressBack();
  await page.locator("dialog[open]").waitFor({ state: "detached" });
  assert.equal(new URL(page.url()).pathname, `/chat/${chat}`);
  await device.pressBack();
  await page.waitForURL("https://localhost/chats");
  assert.deepEqual(device.callsOf("App", "minimizeApp"), []);
  for (let i = 0; i < 5 && device.callsOf("App", "minimizeApp").length === 0; i++) {
    const path = page.url();
    await device.pressBack();
    await until("a way back", () => page.url() !== path || device.callsOf("App", "minimizeApp").length > 0);
  }
  assert.equal(device.callsOf("App", "minimizeApp").length, 1);
  assert.equal(device.callsOf("App", "exitApp").length, 0);
});

test("links lead to their page: by scheme or host, at the start or later; others do not", async () => {
  const page = await inChat();
  // The address changes before the page does, and a link that comes in between would take the place of that address.
  const atChats = async () => {
    await page.waitForURL("https://localhost/chats");
    await page.locator("[data-message]").first().waitFor({ state: "detached" });
  };
  await visit(page, "/chats");
  await atChats();
  for (const link of [`https://${HOST}/chat/${chat}`, `${SCHEME}://chat/${chat}`]) {
    await device.emit("App", "appUrlOpen", { url: link });
    await page.waitForURL(`https://localhost/chat/${chat}`);
    await page.locator("[data-message]").first().waitFor();
    await page.evaluate(() => history.back());
    await atChats();
  }
  for (const link of [
    "https://evil.example/settings",
    "javascript:alert(1)",
    `${SCHEME}:////evil.example/`,
    "nonsense",
  ])
    await device.emit("App", "appUrlOpen", { url: link });
  await device.emit("PushNotifications", "pushNotificationActionPerformed", {
    notification: { data: { path: "//evil.example/" } },
  });
  await device.emit("App", "appUrlOpen", { url: `https://${HOST}/profile` }); // the first that leads anywhere
  await page.waitForURL("https://localhost/profile");
  const started = await device.start(`https://${HOST}/chat/${chat}`);
  await started.waitForURL(`https://localhost/chat/${chat}`);
  await started.locator("[data-message]").first().waitFor();
  await started.reload(); // as a WebView whose process was killed: index.html stands for every path
  await started.locator("[data-message]").first().waitFor();
  assert.equal(new URL(started.url()).pathname, `/chat/${chat}`);
});

test("an old token is renewed at the start; the one before it ends; signing out ends the last", async () => {
  await inChat();
  const first = secret();
  for (const [key, value] of device.keychain)
    device.keychain.set(key, value.replace(String(first.refresh_ms), "1"));
  const page = await device.start();
  await until("a fresh token", () => secret().token !== first.token);
  const second = secret();
  assert.ok(second.refresh_ms > Date.now());
  await until("the old token to end", async () => (await statusOf(first.token)) === 401);
  assert.equal(await statusOf(second.token), 200);
  await visit(page, "/profile");
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await signInLink(page).waitFor();
  assert.equal(device.keychain.size, 0);
  assert.equal(await statusOf(second.token), 401);
  assert.deepEqual(
    device.complaints.filter((line) => !/401/.test(line)),
    [],
  );
});

test("a token that was ended elsewhere leads to nobody's app, and what was shown is gone from the device", async () => {
  await say("for some eyes only");
  const page = await inChat();
  await messageOn(page, "for some eyes only").waitFor();
  await until("the cache", async () => (await keptIn(page)).includes("for some eyes only"));
  sql(
    server,
    `delete from auth_session where device and "user" = (select id from "user" where username = 'demo')`,
  );
  await page.locator("[data-message]").first().waitFor({ state: "detached" });
  await until("an empty keychain", () => device.keychain.size === 0);
  await until("an empty cache", async () => !(await keptIn(page)).includes("for some eyes only"));
});

test("a keychain that cannot be read asks to sign in, and works again", async () => {
  await inChat();
  device.keychainIsBroken = true;
  const page = await device.start();
  await until("the keychain to be asked", () => device.complaints.some((line) => line.includes("keychain")));
  device.keychainIsBroken = false;
  await signIn(page);
  assert.equal(await statusOf(secret().token), 200);
});

test("coming back to the app asks the socket at once, and leaves one that is dead", async () => {
  const page = await inChat();
  const count = (frames: string[], kind: string) =>
    frames.filter((frame) => frame.includes(`"${kind}"`)).length;
  const [pings, pongs] = [count(device.sent, "ping"), count(device.received, "pong")];
  await device.emit("App", "pause");
  await device.emit("App", "resume");
  await until("an answer", () => count(device.received, "pong") > pongs, 5_000); // the heartbeat is 15 s
  assert.ok(count(device.sent, "ping") > pings);
  const greetings = count(device.sent, "hello");
  server.process.kill("SIGSTOP"); // the network swallows everything
  const goesOn = setTimeout(() => server.process.kill("SIGCONT"), 5_000);
  try {
    await device.emit("App", "resume");
    await until("another greeting", () => count(device.sent, "hello") > greetings, 25_000);
  } finally {
    clearTimeout(goesOn);
    server.process.kill("SIGCONT");
  }
  await say("heard again");
  await messageOn(page, "heard again").waitFor();
});

for (const [kind, platform, address] of [
  ["android", "fcm", "fcm-token_1:abc"],
  ["ios", "apns", "ab".repeat(32)],
] as const)
  test(`${kind}: pushes are asked for, told to the backend at each start, and a tap leads to its page`, async () => {
    const page = await inChat(kind);
    const rows = () =>
      sql(
        server,
        `select count(*) from tims_push_device d join "user" u on u.id = d."user"
         where u.username = 'demo' and d.platform = '${platform}' and d.token = '${address}'`,
      );
    assert.deepEqual(device.callsOf("PushNotifications", "requestPermissions"), []); // not before somebody wants it
    await page.evaluate(() => history.back());
    await visit(page, "/settings");
    await page.getByRole("button", { name: "Tell me" }).click();
    await until("a registration", () => device.callsOf("PushNotifications", "register").length > 0);
    await device.emit("PushNotifications", "registration", { value: address });
    await page.getByText("You are told of new messages").waitFor();
    assert.equal(rows(), "1");
    const again = await device.start();
    await until("the next registration", () => device.callsOf("PushNotifications", "register").length > 1);
    await device.emit("PushNotifications", "registration", { value: address });
    await device.emit("PushNotifications", "pushNotificationActionPerformed", {
      notification: { data: { path: `/chat/${chat}` } },
    });
    await again.waitForURL(`https://localhost/chat/${chat}`);
    assert.equal(rows(), "1");
    await again.locator("[data-message]").first().waitFor();
    await again.evaluate(() => history.back());
    await visit(again, "/profile");
    await again.getByRole("button", { name: "Sign out", exact: true }).click();
    await until("the device to be forgotten", () => rows() === "0");
    await signInLink(again).waitFor();
  });

test("a refused push is said, and changes nothing", async () => {
  const page = await inChat();
  device.answer = "denied";
  await page.evaluate(() => history.back());
  await visit(page, "/settings");
  await page.getByRole("button", { name: "Tell me" }).click();
  await page.getByText("This device does not allow it").waitFor();
  assert.deepEqual(device.callsOf("PushNotifications", "register"), []);
});

test("the bar above wears the theme, the system's or the chosen one", async () => {
  const page = await (await openDevice()).start();
  const style = () => device.callsOf("SystemBars", "setStyle").at(-1)?.options.style;
  await until("a light bar", () => style() === "LIGHT");
  await page.emulateMedia({ colorScheme: "dark" });
  await until("a dark bar", () => style() === "DARK");
  await visit(page, "/settings");
  await page.locator('input[name="theme"][value="light"]').check({ force: true });
  await until("a light bar", () => style() === "LIGHT");
});

test("ios: the page gives way to the keyboard", async () => {
  const page = await inChat("ios");
  const box = async () => (await page.getByLabel("Message", { exact: true }).boundingBox()) ?? assert.fail();
  const before = await box();
  await device.emit("Keyboard", "keyboardWillShow", { keyboardHeight: 300 });
  await until("the field above it", async () => Math.abs((await box()).y - (before.y - 300)) < 2);
  await device.emit("Keyboard", "keyboardWillHide");
  await until("the field back", async () => Math.abs((await box()).y - before.y) < 2);
});

test("developers may choose another backend; others have no such menu", async () => {
  const page = await (await openDevice("android", "development")).start();
  await signIn(page);
  await visit(page, "/settings");
  await page.getByRole("button", { name: "The other" }).click();
  await page.waitForURL("https://localhost/");
  await until("a call to the other", () =>
    device.requests.some(({ url }) => url.startsWith("http://127.0.0.1:9/")),
  );
  assert.equal(device.keychain.size, 0); // the token was the first one's
  await visit(page, "/settings");
  await page.getByLabel("Backend").fill(server.url);
  await page.getByRole("button", { name: "Use it" }).click();
  await page.waitForURL("https://localhost/");
  await signIn(page);
  await device.close();
  const release = await (await openDevice()).start();
  await visit(release, "/settings");
  await release.getByRole("heading", { name: "Settings" }).waitFor();
  await until("the platform", () => device.callsOf("App", "addListener").length > 0);
  assert.equal(await release.getByText("For developers").count(), 0);
});

test("a browser loads nothing of what only devices need", async () => {
  const page = await (await openDevice()).start();
  await until("the platform", () => device.callsOf("App", "addListener").length > 0);
  const scripts = () => device.requests.filter(({ url }) => url.endsWith(".js")).map(({ url }) => url);
  const native = scripts();
  // The same files without a bridge.
  const browser = await device.context.newPage();
  const loaded: string[] = [];
  browser.on("request", (request) => loaded.push(request.url()));
  await browser.addInitScript({ content: "delete window.Capacitor; delete window.androidBridge;" });
  // A platform that is attached listens to the keyboard: by then it has loaded what it needs.
  await browser.addInitScript(() => {
    const listen = visualViewport?.addEventListener as EventTarget["addEventListener"];
    Object.assign(visualViewport as VisualViewport, {
      addEventListener(...words: Parameters<typeof listen>) {
        Object.assign(window, { isAttached: true });
        return listen.apply(this, words);
      },
    });
  });
  await browser.goto("https://localhost/");
  await browser.waitForFunction(() => "isAttached" in window);
  const knowsPlugins = (url: string) =>
    page.evaluate(async (address) => (await (await fetch(address)).text()).includes("SecureStorage"), url);
  const web = loaded.filter((url) => url.endsWith(".js"));
  assert.ok(web.length > 3);
  for (const url of web) assert.ok(!(await knowsPlugins(url)), url);
  const found = await Promise.all(native.filter((url) => !web.includes(url)).map(knowsPlugins));
  assert.ok(found.includes(true), "the plugins come in a chunk of their own");
});

test("what the app calls is there on both systems", () => {
  // Called by packages/client/src/platform/native.ts.
  const called: Record<string, string[]> = {
    App: ["addListener", "minimizeApp"],
    Clipboard: ["write"],
    Haptics: ["impact", "notification"],
    Keyboard: ["addListener", "hide"],
    LocalNotifications: ["addListener", "checkPermissions", "requestPermissions", "schedule"],
    Network: ["addListener", "getStatus"],
    PushNotifications: ["addListener", "checkPermissions", "register", "requestPermissions"],
    SecureStorage: ["internalGetItem", "internalRemoveItem", "internalSetItem"],
    Share: ["share"],
    SystemBars: ["setStyle"],
  };
  for (const kind of ["android", "ios"] as const) {
    const headers = pluginHeaders(kind);
    for (const [plugin, methods] of Object.entries(called)) {
      const known = headers.find(({ name }) => name === plugin)?.methods.map(({ name }) => name) ?? [];
      for (const method of methods) assert.ok(known.includes(method), `${kind}: ${plugin}.${method}`);
    }
  }
});
