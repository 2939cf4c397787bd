/* What differs between a browser and a device, as an app sees it. Nothing here throws: what is not there says so by
 * `available`, and what did not work by its result. */

import type { ShellConfig, Transport } from "./transport";

/** Ends what was begun. */
export type Leave = () => void;

export interface Platform extends Transport {
  kind: "web" | "android" | "ios";
  config: ShellConfig;
  share: {
    available: boolean;
    /** False: the person thought better of it, or it cannot be. */
    share(what: { title?: string; text?: string; url?: string }): Promise<boolean>;
  };
  clipboard: { available: boolean; write(text: string): Promise<boolean> };
  haptics: { available: boolean; play(kind: "tap" | "success" | "warning"): void };
  keyboard: {
    available: boolean;
    /** Pixels at the bottom that it covers and that the page has not given way to. */
    onChange(listener: (insetPx: number) => void): Leave;
    hide(): void;
  };
  statusBar: {
    available: boolean;
    /** Its signs in a colour that is seen on the page's own: `colour` is what the page has there. */
    follow(theme: { dark: boolean; colour: string }): void;
  };
  back: {
    available: boolean;
    /** The device's own way back. The listener named last is asked first; true: it was for that one. Else the history
     * goes back, and at its beginning the app is left. */
    onBack(listener: () => boolean): Leave;
  };
  network: { online(): boolean; onChange(listener: (online: boolean) => void): Leave };
  lifecycle: { onPause(listener: () => void): Leave; onResume(listener: () => void): Leave };
  links: {
    available: boolean;
    /** A path of the app that a link from outside, or a notification, leads to; also the one it was started by. */
    onOpen(listener: (path: string) => void): Leave;
  };
  notifications: {
    available: boolean;
    state(): Promise<PermissionState>;
    /** Asks the person; best after they have pressed something that says what for. */
    ask(): Promise<PermissionState>;
    /** False: not allowed. A later one with the same tag takes its place. */
    show(what: { title: string; body?: string; path?: string; tag?: string }): Promise<boolean>;
  };
  push: {
    available: boolean;
    state(): Promise<PermissionState>;
    /** The person is asked, if need be. null: refused, or the service does not answer. */
    register(): Promise<PushAddress | null>;
  };
}

export type PermissionState = "granted" | "denied" | "prompt";

/** As POST /api/push/devices/ takes it. */
export interface PushAddress {
  platform: "fcm" | "apns";
  token: string;
}
