/* The tabs of one person in one browser share one socket.
 *
 * Whoever holds the lock leads: it has the real socket (hub.ts) and writes the cache. The others reach it over a
 * BroadcastChannel, each through a socket that looks like any other to its LiveConnection. When the leader goes, the
 * browser hands its lock to the next; all come back and resume from their positions, so nothing is missing. The
 * person is part of the names of lock and channel: two people's tabs do not hear each other.
 *
 * A tab whose leader does not answer in two seconds (frozen, say) takes a socket of its own, and writes the cache itself
 * until it hears of a leader again. A lock of each tab's own tells the leader when that tab has gone, however it went. */

import type { SocketLike } from "../connection";
import type { CacheChanges } from "./cache";
import { Hub, type Told } from "./hub";

/** What of the Web Locks API is used. */
export interface Locks {
  request(name: string, options: { signal?: AbortSignal }, work: () => Promise<void>): Promise<unknown>;
}
export interface Channel {
  postMessage(message: unknown): void;
  close(): void;
  onmessage: ((event: { data: unknown }) => void) | null;
}
export interface TabsPlatform {
  locks: Locks;
  channel: (name: string) => Channel;
}

/** The browser's; null where tabs cannot find each other. */
export function browserTabs(): TabsPlatform | null {
  try {
    const locks = globalThis.document && (globalThis.navigator?.locks as unknown as Locks | undefined);
    if (!locks || typeof BroadcastChannel === "undefined") return null;
    return { locks, channel: (name) => new BroadcastChannel(name) as unknown as Channel };
  } catch {
    return null; // switched off by the browser
  }
}

export interface TabsEvents {
  /** This tab writes the cache from now on. */
  onLead(): void;
  /** Another one does, or the one that does is silent, or speaks again: what it may not have got is handed over again. */
  onLeader(): void;
  onSave(changes: CacheChanges): void;
  /** What that tab had on its way is this one's to send. */
  onTabGone(tab: string): void;
  /** Somebody has signed in or out in another tab. */
  onSession(): void;
}

type Message =
  | { k: "lead" }
  | { k: "attach"; from: string }
  | { k: "up"; from: string; text: string }
  | { k: "detach"; from: string; code?: number }
  | { k: "told"; to: string | null; told: Told }
  | { k: "save"; changes: CacheChanges }
  | { k: "session" };

const LEADER_MS = 2_000;
const LEADER_CHANGED = JSON.stringify({ t: "bye", reason: "leader", retry_ms: 0 });

/** A passage to the leader's socket, or, where nobody leads, to one of its own. */
class TabSocket implements SocketLike {
  readyState = 0;
  idBase = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onerror: (() => void) | null = null;
  private own: SocketLike | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly tabs: Tabs,
    private readonly makeOwn: () => SocketLike,
  ) {
    this.timer = setTimeout(() => this.goAlone(), LEADER_MS);
  }

  private goAlone(): void {
    this.tabs.goAlone(this);
    let own: SocketLike;
    try {
      own = this.makeOwn();
    } catch {
      this.ended(1006);
      return;
    }
    this.own = own;
    own.onopen = () => this.told({ base: 0 });
    own.onmessage = ({ data }) => this.told({ text: String(data) });
    own.onclose = ({ code }) => this.told({ code });
    own.onerror = () => undefined; // a close follows
  }

  /** Nobody has let it in yet. */
  get waits(): boolean {
    return this.readyState === 0 && !this.own;
  }

  fromHub(told: Told): void {
    if (!this.own) this.told(told);
  }

  private told(told: Told): void {
    if (this.readyState > 1) return;
    if ("wait" in told) clearTimeout(this.timer);
    else if ("base" in told) {
      if (this.readyState === 1) return;
      clearTimeout(this.timer);
      this.readyState = 1;
      this.idBase = told.base;
      this.onopen?.();
    } else if ("code" in told) this.ended(told.code);
    else if (this.readyState === 1) this.onmessage?.({ data: told.text });
  }

  private ended(code: number): void {
    clearTimeout(this.timer);
    this.readyState = 3;
    this.tabs.detach(this); // the leader may have let it in meanwhile
    this.onclose?.({ code });
  }

  /** Another tab leads now. Who is attached comes back through it; who waits is let in by it. */
  leaderChanged(): void {
    if (this.own || this.readyState !== 1) return;
    this.told({ text: LEADER_CHANGED });
    this.told({ code: 1001 });
  }

  send(text: string): void {
    if (this.own) this.own.send(text);
    else if (this.readyState === 1) this.tabs.up(this, text);
  }

  close(code?: number): void {
    clearTimeout(this.timer);
    this.readyState = 3;
    this.own?.close(code);
    this.tabs.detach(this, code);
  }
}

export class Tabs {
  private hub: Hub | null = null;
  private socket: TabSocket | null = null;
  private readonly channel: Channel;
  /** The leader has not answered, and was not heard of since: nothing is left to it. */
  private isSilent = false;
  private readonly watched = new Set<string>();
  private readonly leaving = new AbortController();
  /** Its own lock is held: from then on who watches it does not take it for gone. */
  private readonly isThere: Promise<void>;
  private release: () => void = () => undefined;
  /** Resolves when this tab closes: its locks are held until then. */
  private readonly stay = new Promise<void>((resolve) => {
    this.release = resolve;
  });

  constructor(
    private readonly name: string,
    private readonly tab: string,
    private readonly platform: TabsPlatform,
    private readonly makeSocket: () => SocketLike,
    private readonly events: TabsEvents,
  ) {
    this.channel = platform.channel(name);
    this.channel.onmessage = ({ data }) => this.receive(data as Message);
    this.isThere = new Promise((resolve) => this.hold(`${name} ${tab}`, resolve));
    this.hold(name, () => this.lead());
  }

  /** Holds a lock until this tab closes; `then` when it has it. */
  private hold(lock: string, then: () => void): void {
    const { signal } = this.leaving;
    const work = async () => {
      if (signal.aborted) return;
      then();
      await this.stay;
    };
    this.platform.locks.request(lock, { signal }, work).catch(() => undefined); // aborted: we leave
  }

  private post(message: Message): void {
    if (!this.leaving.signal.aborted) this.channel.postMessage(message);
  }

  // --- every tab -----------------------------------------------------------------------------------------------

  open(): SocketLike {
    const socket = new TabSocket(this, this.makeSocket);
    this.socket = socket;
    void this.attach();
    return socket;
  }

  private async attach(): Promise<void> {
    await this.isThere; // and the socket's handlers are set by then
    if (!this.socket?.waits) return;
    if (this.hub) this.hub.attach(this.tab);
    else this.post({ k: "attach", from: this.tab });
  }

  up(socket: TabSocket, text: string): void {
    if (socket !== this.socket) return;
    if (this.hub) this.hub.up(this.tab, text);
    else this.post({ k: "up", from: this.tab, text });
  }

  detach(socket: TabSocket, code?: number): void {
    if (socket !== this.socket) return;
    this.socket = null;
    if (this.hub) this.hub.detach(this.tab, code);
    else this.post({ k: "detach", from: this.tab, code });
  }

  goAlone(socket: TabSocket): void {
    this.detach(socket);
    this.isSilent = true;
    this.events.onLeader();
  }

  /** Hands changes of the cache to the tab that writes it. False: that is this one, or the other is silent. */
  save(changes: CacheChanges): boolean {
    if (this.hub || this.isSilent) return false;
    this.post({ k: "save", changes });
    return true;
  }

  /** Another person is here, or nobody: the other tabs shall ask. */
  sessionChanged(): void {
    this.post({ k: "session" });
  }

  close(): void {
    this.socket = null;
    this.hub?.close();
    this.hub = null;
    this.leaving.abort();
    this.release();
    this.channel.close();
  }

  // --- the one that leads --------------------------------------------------------------------------------------

  private lead(): void {
    this.hub = new Hub(this.makeSocket, (tab, told) => this.tell(tab, told));
    this.post({ k: "lead" });
    this.events.onLead();
    this.follow();
  }

  private follow(): void {
    this.socket?.leaderChanged();
    void this.attach();
  }

  private tell(tab: string | null, told: Told): void {
    if (tab !== this.tab) this.post({ k: "told", to: tab, told });
    if (tab === null || tab === this.tab) this.socket?.fromHub(told);
  }

  /** Once the other tab has gone: its part of the socket is let go of, its writes are taken over. */
  watch(tab: string): void {
    if (tab === this.tab || this.watched.has(tab)) return;
    this.watched.add(tab);
    const { signal } = this.leaving;
    const gone = async () => {
      this.watched.delete(tab);
      if (signal.aborted) return;
      this.hub?.detach(tab);
      this.events.onTabGone(tab);
    };
    this.platform.locks.request(`${this.name} ${tab}`, { signal }, gone).catch(() => undefined);
  }

  private receive(message: Message): void {
    if (this.leaving.signal.aborted) return;
    switch (message.k) {
      case "lead":
        this.isSilent = false;
        this.follow();
        this.events.onLeader();
        break;
      case "told":
        if (this.hub) break; // a former leader's last word
        if (this.isSilent) {
          this.isSilent = false;
          this.events.onLeader();
        }
        if (message.to === null || message.to === this.tab) this.socket?.fromHub(message.told);
        break;
      case "session":
        this.events.onSession();
        break;
      default:
        if (this.hub) this.receiveAsLeader(this.hub, message);
    }
  }

  private receiveAsLeader(hub: Hub, message: Message): void {
    switch (message.k) {
      case "attach":
        this.watch(message.from);
        hub.attach(message.from);
        break;
      case "up":
        hub.up(message.from, message.text);
        break;
      case "detach":
        hub.detach(message.from, message.code);
        break;
      case "save":
        this.events.onSave(message.changes);
        break;
    }
  }
}
