// device.ts: a phone's part of a native shell, around Debian's Chromium: the exported app is served as Capacitor serves
// it, from https://localhost, with Capacitor's own bridge script in the page. What lies behind that bridge (Java, Swift)
// is played here: it gets the bridge's messages and sends its answers. So the app's code, Capacitor's core and the
// plugins' JavaScript run as on a phone. What plugins there are and what they can do is read from their native sources.
//
// Not to be had here: the origin capacitor://localhost of iOS (Chromium knows no such scheme), and a real WebView.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server as HttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { leave, PATIENCE_MS } from "./browser.ts";
import { root } from "./server.ts";

const ORIGIN = "https://localhost";
const plugins = join(root, "node_modules");

// --- what is on a phone, by its sources ---------------------------------------------------------------------------

interface Header {
  name: string;
  methods: { name: string; rtype?: string }[];
}

function sourcesBelow(folder: string, ending: RegExp): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"));
}

// Of every plugin: Plugin.java.
const INHERITED = ["checkPermissions", "requestPermissions", "removeAllListeners"];
const LISTENERS = [{ name: "addListener" }, { name: "removeListener" }];

function androidHeaders(folder: string): Header[] {
  return sourcesBelow(folder, /\.(java|kt)$/).flatMap((source) => {
    const plugin = /@CapacitorPlugin\b(?:\([^"]*name\s*=\s*"(\w+)")?[\s\S]*?class (\w+)/.exec(source);
    const name = plugin?.[1] ?? plugin?.[2];
    if (!name) return [];
    const own = [
      ...source.matchAll(
        /@PluginMethod[^\n]*\n(?:\s*@[^\n]*\n)*\s*(?:public void|(?:override )?fun) (\w+)\(/g,
      ),
    ].map((found) => found[1] as string);
    const methods = [...new Set([...own, ...INHERITED])].map((method) => ({
      name: method,
      rtype: "promise",
    }));
    return [{ name, methods: [...LISTENERS, ...methods] }];
  });
}

// In Swift, or in Objective-C's macros.
function iosHeaders(folder: string): Header[] {
  return sourcesBelow(folder, /\.(swift|m)$/).flatMap((source) => {
    const name = /(?:jsName = |CAP_PLUGIN\(\w+, )"(\w+)"/.exec(source)?.[1];
    if (!name) return [];
    const method = /(?:CAPPluginMethod\(name: "|\.init\(#selector\(|CAP_PLUGIN_METHOD\()(\w+)/g;
    const own = [...source.matchAll(method)].map((found) => found[1] as string);
    const methods = [...new Set([...own, ...INHERITED])].map((one) => ({ name: one, rtype: "promise" }));
    const listeners = LISTENERS.map((one) => ({ ...one, rtype: "callback" }));
    return [{ name, methods: [...listeners, ...methods] }];
  });
}

export type Kind = "android" | "ios";

// As the native side tells them to the page: those in front/package.json, and the core's own.
export function pluginHeaders(kind: Kind): Header[] {
  const { dependencies } = JSON.parse(readFileSync(join(root, "front/package.json"), "utf8"));
  const names = Object.keys(dependencies).filter(
    (name) =>
      existsSync(join(plugins, name, kind, "src/main")) || existsSync(join(plugins, name, kind, "Sources")),
  );
  const read = kind === "android" ? androidHeaders : iosHeaders;
  const own = names
    .filter((name) => !/^@capacitor\/(android|ios)$/.test(name))
    .flatMap((name) => read(join(plugins, name, kind)));
  const core =
    kind === "android"
      ? read(join(plugins, "@capacitor/android/capacitor/src/main/java/com/getcapacitor/plugin"))
      : read(join(plugins, "@capacitor/ios/Capacitor/Capacitor/Plugins"));
  return [...core, ...own];
}

// --- serving the app ----------------------------------------------------------------------------------------------

const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".json": "application/json",
};

// WebViewLocalServer.java: a file, else index.html unless the last part of the path has a dot.
function fileOf(folder: string, path: string): string | null {
  const file = join(folder, path);
  if (file.startsWith(folder) && existsSync(file) && statSync(file).isFile()) return file;
  return path.split("/").at(-1)?.includes(".") ? null : join(folder, "index.html");
}

function certificate(): { key: string; cert: string } {
  const folder = mkdtempSync(join(tmpdir(), "tims-shell-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -keyout ${key} -out ${cert}`;
  execFileSync("openssl", words.split(" "), { stdio: "ignore" });
  const read = { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  rmSync(folder, { recursive: true });
  return read;
}

// --- the phone ----------------------------------------------------------------------------------------------------

export interface Call {
  plugin: string;
  method: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into any call
  options: any;
}

interface Message {
  callbackId: string;
  pluginId: string;
  methodName: string;
  options: Record<string, unknown> & {
    eventName?: string;
    callbackId?: string;
    prefixedKey?: string;
    data?: string;
  };
}

// A browser whose https://localhost is the app of the device that was opened last.
export class Emulator {
  readonly browser: Browser;
  private readonly server: HttpsServer;
  private folder = "";

  private constructor(browser: Browser, server: HttpsServer) {
    this.browser = browser;
    this.server = server;
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      const path = decodeURIComponent(new URL(request.url ?? "/", ORIGIN).pathname);
      const file = fileOf(this.folder, path);
      if (!file) {
        response.writeHead(404).end();
        return;
      }
      response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" });
      response.end(readFileSync(file));
    });
  }

  static async open(): Promise<Emulator> {
    const server = createServer(certificate());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", `--host-resolver-rules=MAP localhost:443 127.0.0.1:${port}`],
    });
    return new Emulator(browser, server);
  }

  // A context of its own, where the app is what `folder` holds.
  install(folder: string): Promise<BrowserContext> {
    this.folder = folder;
    return this.browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: 390, height: 844 },
      hasTouch: true,
      isMobile: true,
    });
  }

  async close(): Promise<void> {
    await this.browser.close();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

// One app on one phone: its keychain and its storage outlive its starts.
export class Device {
  readonly calls: Call[] = [];
  readonly keychain = new Map<string, string>();
  // The keystore has lost its keys, or a backup came without them.
  keychainIsBroken = false;
  permission: "prompt" | "granted" | "denied" = "prompt";
  // What the person answers.
  answer: "granted" | "denied" = "granted";
  readonly complaints: string[] = [];
  // Frames that went to the backend, of all sockets.
  readonly sent: string[] = [];
  readonly received: string[] = [];
  readonly requests: { method: string; url: string; headers: Record<string, string> }[] = [];
  page!: Page;
  private readonly listeners = new Map<string, string[]>();
  private readonly retained = new Map<string, unknown>();

  readonly kind: Kind;
  readonly context: BrowserContext;

  private constructor(kind: Kind, context: BrowserContext) {
    this.kind = kind;
    this.context = context;
  }

  // `folder`: what `make native` puts into the projects.
  static async open(emulator: Emulator, folder: string, kind: Kind = "android"): Promise<Device> {
    const context = await emulator.install(folder);
    context.setDefaultTimeout(PATIENCE_MS);
    const device = new Device(kind, context);
    await context.exposeBinding("toNativeSide", (_source, text: string) => device.receive(JSON.parse(text)));
    await context.addInitScript({ content: device.bridge() });
    return device;
  }

  // What the native side puts into each page, in its order.
  private bridge(): string {
    const ends =
      this.kind === "android"
        ? "window.androidBridge = { postMessage: (text) => toNativeSide(text).then((reply) => reply && window.androidBridge.onmessage({ data: reply })) };"
        : "window.webkit = { messageHandlers: { bridge: { postMessage: (data) => toNativeSide(JSON.stringify(data)).then((reply) => reply && window.Capacitor.fromNative(JSON.parse(reply))) } } };";
    const file = this.kind === "android" ? "android/capacitor/src/main" : "ios/Capacitor/Capacitor";
    const script = readFileSync(join(plugins, "@capacitor", file, "assets/native-bridge.js"), "utf8");
    return `window.WEBVIEW_SERVER_URL = "${ORIGIN}"; ${ends}\n${script}\nwindow.Capacitor.PluginHeaders = ${JSON.stringify(pluginHeaders(this.kind))};`;
  }

  // Starts the app, as a tap on its icon does; ends it first, if it runs. `link`: it is started by that.
  async start(link?: string): Promise<Page> {
    await this.page?.close();
    this.listeners.clear();
    this.retained.clear();
    if (link) this.retained.set("App appUrlOpen", { url: link });
    this.page = await this.context.newPage();
    this.page.on("console", (message) => {
      if (!["error", "warning"].includes(message.type())) return;
      // A page that is left while its socket opens: nobody has done anything wrong.
      if (/closed before the connection is established/.test(message.text())) return;
      this.complaints.push(message.text());
    });
    this.page.on("pageerror", (error) => this.complaints.push(String(error)));
    this.page.on("request", (request) =>
      this.requests.push({ method: request.method(), url: request.url(), headers: request.headers() }),
    );
    this.page.on("websocket", (socket) => {
      socket.on("framesent", ({ payload }) => this.sent.push(String(payload)));
      socket.on("framereceived", ({ payload }) => this.received.push(String(payload)));
    });
    await this.page.goto(`${ORIGIN}/`);
    return this.page;
  }

  async close(): Promise<void> {
    await leave(this.context);
  }

  // --- the native side ----------------------------------------------------------------------------------------------

  callsOf(plugin: string, method: string): Call[] {
    return this.calls.filter((call) => call.plugin === plugin && call.method === method);
  }

  // A plugin's notifyListeners.
  async emit(plugin: string, event: string, data: unknown = {}): Promise<void> {
    const key = `${plugin} ${event}`;
    const ids = this.listeners.get(key) ?? [];
    if (ids.length === 0) this.retained.set(key, data);
    for (const id of ids) await this.reply(this.result(id, plugin, "addListener", data, true));
  }

  // The button of Android: the WebView says whether it could go back.
  async pressBack(): Promise<void> {
    const session = await this.context.newCDPSession(this.page);
    const { currentIndex } = await session.send("Page.getNavigationHistory");
    await session.detach();
    await this.emit("App", "backButton", { canGoBack: currentIndex > 1 }); // the first is about:blank
  }

  private result(
    callbackId: string,
    pluginId: string,
    methodName: string,
    data: unknown,
    save = false,
  ): string {
    return JSON.stringify({ callbackId, pluginId, methodName, success: true, save, data });
  }

  private failure({ callbackId, pluginId, methodName }: Message, message: string): string {
    return JSON.stringify({
      callbackId,
      pluginId,
      methodName,
      success: false,
      save: false,
      error: { message },
    });
  }

  private reply(text: string): Promise<void> {
    return this.page.evaluate((reply) => {
      // biome-ignore lint/suspicious/noExplicitAny: the bridge has put itself on the window
      (window as any).Capacitor.fromNative(JSON.parse(reply));
    }, text);
  }

  private receive(message: Message): string | null {
    const { pluginId: plugin, methodName: method, options, callbackId } = message;
    if (plugin === "Console") return null;
    this.calls.push({ plugin, method, options });
    const known = pluginHeaders(this.kind).find(({ name }) => name === plugin);
    if (!known?.methods.some(({ name }) => name === method))
      return this.failure(message, `no ${plugin}.${method}`);
    if (method === "addListener") return this.addListener(plugin, String(options.eventName), callbackId);
    if (method === "removeListener") {
      const key = `${plugin} ${options.eventName}`;
      this.listeners.set(
        key,
        (this.listeners.get(key) ?? []).filter((id) => id !== options.callbackId),
      );
      return null;
    }
    if (plugin === "SecureStorage") return this.storeSecret(message);
    return this.result(callbackId, plugin, method, this.answerOf(plugin, method));
  }

  private addListener(plugin: string, event: string, id: string): string | null {
    const key = `${plugin} ${event}`;
    this.listeners.set(key, [...(this.listeners.get(key) ?? []), id]);
    if (!this.retained.has(key)) return null;
    const data = this.retained.get(key);
    this.retained.delete(key);
    return this.result(id, plugin, "addListener", data, true);
  }

  private storeSecret(message: Message): string {
    const { pluginId, methodName, options, callbackId } = message;
    const key = options.prefixedKey ?? "";
    if (this.keychainIsBroken && methodName === "internalGetItem")
      return this.failure(message, "the key is gone");
    if (methodName === "internalSetItem") this.keychain.set(key, options.data ?? "");
    const answers: Record<string, unknown> = {
      internalGetItem: { data: this.keychain.get(key) ?? null },
      internalSetItem: {},
      internalRemoveItem: { success: this.keychain.has(key) },
    };
    if (methodName === "internalRemoveItem") this.keychain.delete(key);
    return this.result(callbackId, pluginId, methodName, answers[methodName] ?? {});
  }

  private answerOf(plugin: string, method: string): unknown {
    if (method === "requestPermissions" && this.permission === "prompt") this.permission = this.answer;
    if (/^(check|request)Permissions$/.test(method)) {
      const permission = this.permission;
      return plugin === "PushNotifications" ? { receive: permission } : { display: permission };
    }
    if (plugin === "Network" && method === "getStatus") return { connected: true, connectionType: "wifi" };
    return {};
  }
}
