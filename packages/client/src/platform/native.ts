/* The platform, as a device has it: Capacitor's plugins behind the same words. Loaded on devices only, by import(). */

import { KeychainAccess, SecureStorage } from "@aparajita/capacitor-secure-storage";
import { App } from "@capacitor/app";
import { Clipboard } from "@capacitor/clipboard";
import { Capacitor, type PluginListenerHandle, SystemBars, SystemBarsStyle } from "@capacitor/core";
import { Haptics, ImpactStyle, NotificationType } from "@capacitor/haptics";
import { Keyboard } from "@capacitor/keyboard";
import { LocalNotifications } from "@capacitor/local-notifications";
import { Network } from "@capacitor/network";
import { PushNotifications } from "@capacitor/push-notifications";
import { Share } from "@capacitor/share";
import { API_KEY } from "./keys";
import { pathOfLink, safePath } from "./links";
import { type Keychain, openTokens } from "./tokens";
import { shellConfig, type Transport } from "./transport";
import type { Leave, PermissionState, Platform, PushAddress } from "./types";
import { onVisualInset, went } from "./web";

const TOKEN = "token";
/** The service that gives out addresses for pushes may not be there at all. */
const REGISTER_MS = 20_000;

/** Not in a backup, not on another device; readable while the phone is locked, once it has been unlocked. */
const keychain: Keychain = {
  async read() {
    try {
      return await SecureStorage.getItem(TOKEN);
    } catch (error) {
      await SecureStorage.removeItem(TOKEN).catch(() => undefined); // its key is another device's, or gone
      throw error;
    }
  },
  async write(value) {
    await SecureStorage.setDefaultKeychainAccess(KeychainAccess.afterFirstUnlockThisDeviceOnly);
    await (value === null ? SecureStorage.removeItem(TOKEN) : SecureStorage.setItem(TOKEN, value));
  },
};

/** Where the developers' menu has kept its choice. */
function chosenApi(): string | null {
  try {
    return shellConfig().development ? localStorage.getItem(API_KEY) : null;
  } catch {
    return null; // no storage, no choice
  }
}

/** What only the device knows of the way to the backend. */
export async function openTransport(transport: Transport): Promise<void> {
  transport.apiBase = chosenApi() ?? transport.apiBase;
  transport.token = await openTokens(keychain);
}

/** A plugin's listener comes and goes by promises; ours at once. */
function until(adding: Promise<PluginListenerHandle>): Leave {
  void adding.catch(() => undefined);
  return () => void adding.then((handle) => handle.remove()).catch(() => undefined);
}

const together =
  (...all: Leave[]): Leave =>
  () => {
    for (const leave of all) leave();
  };

const stateFrom = (state: string): PermissionState =>
  state === "granted" || state === "denied" ? state : "prompt";

async function stateBy(work: Promise<{ display?: string; receive?: string }>): Promise<PermissionState> {
  try {
    const { display, receive } = await work;
    return stateFrom(display ?? receive ?? "denied");
  } catch {
    return "denied";
  }
}

// --- back --------------------------------------------------------------------------------------------------------

function makeBack(): Platform["back"] {
  const listeners: (() => boolean)[] = [];
  void App.addListener("backButton", ({ canGoBack }) => {
    if ([...listeners].reverse().some((listener) => listener())) return;
    if (canGoBack) globalThis.history.back();
    else void went(() => App.minimizeApp()); // as the system's own apps do: coming back finds it as it was
  });
  return {
    available: Capacitor.getPlatform() === "android",
    onBack(listener) {
      listeners.push(listener);
      return () => {
        listeners.splice(listeners.indexOf(listener), 1);
      };
    },
  };
}

// --- links -------------------------------------------------------------------------------------------------------

/** What started the app is told to the first who listens. */
function onOpen(listener: (path: string) => void): Leave {
  const config = shellConfig();
  const open = (path: string | null) => path !== null && listener(path);
  return together(
    until(App.addListener("appUrlOpen", ({ url }) => open(pathOfLink(url, config)))),
    until(
      LocalNotifications.addListener("localNotificationActionPerformed", ({ notification }) =>
        open(safePath(notification.extra?.path)),
      ),
    ),
    until(
      PushNotifications.addListener("pushNotificationActionPerformed", ({ notification }) =>
        open(safePath(notification.data?.path)),
      ),
    ),
  );
}

// --- keyboard ----------------------------------------------------------------------------------------------------

/** On iOS the page keeps its size and the plugin knows the height before the keyboard moves; Android resizes the page. */
function onInset(listener: (insetPx: number) => void): Leave {
  if (Capacitor.getPlatform() !== "ios") return onVisualInset(listener);
  return together(
    until(
      Keyboard.addListener("keyboardWillShow", ({ keyboardHeight }) => listener(Math.round(keyboardHeight))),
    ),
    until(Keyboard.addListener("keyboardWillHide", () => listener(0))),
  );
}

// --- notifications -----------------------------------------------------------------------------------------------

/** The plugin wants a number of 31 bits. */
function numberOf(tag: string | undefined): number {
  if (tag === undefined) return Math.floor(Math.random() * 0x7fffffff);
  let hash = 0;
  for (const character of tag) hash = (Math.imul(hash, 31) + (character.codePointAt(0) ?? 0)) & 0x7fffffff;
  return hash;
}

const notifications: Platform["notifications"] = {
  available: true,
  state: () => stateBy(LocalNotifications.checkPermissions()),
  ask: () => stateBy(LocalNotifications.requestPermissions()),
  async show({ title, body = "", path, tag }) {
    if ((await notifications.state()) !== "granted") return false;
    const notification = { id: numberOf(tag), title, body, extra: { path } };
    return went(() => LocalNotifications.schedule({ notifications: [notification] }));
  },
};

async function registerForPush(): Promise<PushAddress | null> {
  if ((await stateBy(PushNotifications.requestPermissions())) !== "granted") return null;
  const platform = Capacitor.getPlatform() === "ios" ? "apns" : "fcm";
  const leaves: Leave[] = [];
  try {
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => resolve(null), REGISTER_MS);
      leaves.push(
        () => clearTimeout(timer),
        until(
          PushNotifications.addListener("registration", ({ value }) => resolve({ platform, token: value })),
        ),
        until(PushNotifications.addListener("registrationError", () => resolve(null))),
      );
      PushNotifications.register().catch(reject);
    });
  } catch {
    return null;
  } finally {
    together(...leaves)();
  }
}

// --- all of it ---------------------------------------------------------------------------------------------------

const IMPACT = { success: NotificationType.Success, warning: NotificationType.Warning };

export function nativePlatform(transport: Transport): Platform {
  let online = true;
  void Network.getStatus().then(
    ({ connected }) => {
      online = connected;
    },
    () => undefined,
  );
  return {
    ...transport,
    kind: Capacitor.getPlatform() === "ios" ? "ios" : "android",
    config: shellConfig(),
    share: { available: true, share: (what) => went(() => Share.share(what)) },
    clipboard: { available: true, write: (text) => went(() => Clipboard.write({ string: text })) },
    haptics: {
      available: true,
      play: (kind) =>
        void went(() =>
          kind === "tap"
            ? Haptics.impact({ style: ImpactStyle.Light })
            : Haptics.notification({ type: IMPACT[kind] }),
        ),
    },
    keyboard: { available: true, onChange: onInset, hide: () => void went(() => Keyboard.hide()) },
    statusBar: {
      available: true,
      follow: ({ dark }) =>
        void went(() => SystemBars.setStyle({ style: dark ? SystemBarsStyle.Dark : SystemBarsStyle.Light })),
    },
    back: makeBack(),
    network: {
      online: () => online,
      onChange: (listener) =>
        until(
          Network.addListener("networkStatusChange", ({ connected }) => {
            online = connected;
            listener(connected);
          }),
        ),
    },
    lifecycle: {
      onPause: (listener) => until(App.addListener("pause", listener)),
      onResume: (listener) => until(App.addListener("resume", listener)),
    },
    links: { available: true, onOpen },
    notifications,
    push: {
      available: true,
      state: () => stateBy(PushNotifications.checkPermissions()),
      register: registerForPush,
    },
  };
}
