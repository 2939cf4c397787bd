/* The hub: the one real socket that the tabs of a person share, in the tab that leads them.
 *
 * Every tab speaks the whole protocol through a socket of its own that is only a passage (tabs.ts); here their frames
 * join. Nothing is rewritten: a tab takes its ids from a range of its own, so an answer says by its id whose it is, and
 * what names nobody (tx, pong, bye, welcome, and what is told to a room) is for all. The first tab's hello goes to the backend, the others are
 * answered with the welcome that it got. A number is not given twice in one socket's life, so that a late answer
 * cannot meet another tab's question. */

import type { SocketLike } from "../connection";
import { CLOSE_TIMEOUT } from "../frames";

const RANGE = 2 ** 20;
const TABS_MAX = 2 ** 31 / RANGE - 1;

/** What a tab is told: somebody is here, wait · it is in, with its range · a frame · its socket is closed. */
export type Told = { wait: true } | { base: number } | { text: string } | { code: number };

interface Tab {
  number: number;
  isTold: boolean;
  /** What it has open, by id, and how that is ended. */
  open: Map<number, "unsub" | "leave">;
}

interface Peeked {
  t?: unknown;
  id?: unknown;
  sub?: unknown;
  join?: unknown;
  position?: unknown;
}

function peek(text: string): Peeked {
  try {
    return (JSON.parse(text) ?? {}) as Peeked;
  } catch {
    return {};
  }
}

export class Hub {
  private socket: SocketLike | null = null;
  private isGreeted = false;
  private welcome: (Peeked & Record<string, unknown>) | null = null;
  private readonly tabs = new Map<string, Tab>();
  private lastNumber = -1;

  constructor(
    private readonly make: () => SocketLike,
    /** To one tab, or (null) to all that are attached. */
    private readonly tell: (tab: string | null, told: Told) => void,
  ) {}

  attach(name: string): void {
    if (this.tabs.has(name)) return; // asked twice: the leader changed while it asked
    if (this.lastNumber >= TABS_MAX - 1) this.end(1001); // the next socket counts anew
    const tab: Tab = { number: ++this.lastNumber, isTold: false, open: new Map() };
    this.tabs.set(name, tab);
    if (this.socket?.readyState === 1) this.admit(name, tab);
    else this.tell(name, { wait: true });
    if (!this.socket) this.open();
  }

  private admit(name: string, tab: Tab): void {
    tab.isTold = true;
    this.tell(name, { base: tab.number * RANGE });
  }

  private open(): void {
    let socket: SocketLike;
    try {
      socket = this.make();
    } catch {
      this.end(1006);
      return;
    }
    this.socket = socket;
    socket.onopen = () => {
      for (const [name, tab] of this.tabs) if (!tab.isTold) this.admit(name, tab);
    };
    socket.onmessage = ({ data }) => {
      if (this.socket === socket) this.down(String(data));
    };
    socket.onclose = ({ code }) => {
      if (this.socket === socket) this.end(code);
    };
    socket.onerror = () => undefined; // a close follows
  }

  /** The socket is gone, for all. */
  private end(code: number): void {
    const socket = this.socket;
    this.socket = null;
    this.isGreeted = false;
    this.welcome = null;
    this.lastNumber = -1;
    const hadTabs = this.tabs.size > 0;
    this.tabs.clear();
    if (socket && socket.readyState < 2) socket.close(1000);
    if (hadTabs) this.tell(null, { code });
  }

  close(): void {
    this.end(1001);
  }

  /** From a tab to the backend. */
  up(name: string, text: string): void {
    const tab = this.tabs.get(name);
    if (!tab || !this.socket) return;
    const { t, id, sub, join } = peek(text);
    if (t === "hello") {
      if (this.welcome) this.tell(name, { text: JSON.stringify(this.welcome) });
      if (this.isGreeted) return; // the welcome is on its way
      this.isGreeted = true;
    }
    if (t === "sub") tab.open.set(Number(id), "unsub");
    else if (t === "join") tab.open.set(Number(id), "leave");
    else if (t === "unsub") tab.open.delete(Number(sub));
    else if (t === "leave") tab.open.delete(Number(join));
    this.socket.send(text);
  }

  /** From the backend to whom it concerns. */
  private down(text: string): void {
    const frame = peek(text);
    const about = frame.sub ?? frame.join;
    if (typeof about === "number") {
      const number = Math.floor(about / RANGE);
      for (const [name, tab] of this.tabs) {
        if (tab.number !== number) continue;
        if (frame.t === "error" && tab.open.get(about) === "unsub") tab.open.delete(about);
        this.tell(name, { text });
      }
      return;
    }
    if (frame.t === "welcome") this.welcome = { ...frame };
    // Who comes later is told where the stream is by then.
    else if (this.welcome && typeof frame.position === "number") this.welcome.position = frame.position;
    this.tell(null, { text });
  }

  /** A tab is gone, or leaves its socket. Silence that it has found means the same for all. */
  detach(name: string, code?: number): void {
    const tab = this.tabs.get(name);
    if (!tab) return;
    this.tabs.delete(name);
    if (this.tabs.size === 0 || code === CLOSE_TIMEOUT) {
      this.end(1006);
      return;
    }
    for (const [id, t] of tab.open)
      this.socket?.send(JSON.stringify(t === "unsub" ? { t, sub: id } : { t, join: id }));
  }
}
