/* Who is in which rooms: components join and leave, the connection is in a room as long as one of them is. */

import type { LiveConnection } from "./connection";
import type { JoinOptions } from "./rooms";
import { actions, type TimsStore } from "./store";
import { canonicalUrl } from "./url";

/** As long a room is stayed in, so that a page which is built anew is not seen to leave. */
const LINGER_MS = 1_000;

export interface JoinsHost {
  readonly store: TimsStore;
  readonly connection: LiveConnection | null;
  /** Once the connection is there and may be opened. */
  whenReady(work: (connection: LiveConnection) => void): void;
}

/** Of all that have joined one room: seen as soon as one of them is, with the state that the last one gave. */
function joinOf(joined: readonly JoinOptions[]): JoinOptions {
  const state = joined.findLast((options) => options.state)?.state;
  const isSeen = joined.some(({ present }) => present !== false);
  return { ...(isSeen ? {} : { present: false }), ...(state ? { state } : {}) };
}

export class Joins {
  /** What those who have joined a room ask for. */
  private readonly rooms = new Map<string, JoinOptions[]>();

  constructor(private readonly host: JoinsHost) {}

  /** Is at a detail until the returned function is called: seen there when one of those who have joined wants to be. */
  join(rawUrl: string, options: JoinOptions): () => void {
    const url = canonicalUrl(rawUrl);
    this.rooms.set(url, [...(this.rooms.get(url) ?? []), options]);
    this.enter(url);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      setTimeout(() => this.leave(url, options), LINGER_MS);
    };
  }

  /** For another person: every room is entered again. */
  again(): void {
    for (const url of this.rooms.keys()) this.enter(url);
  }

  private enter(url: string): void {
    this.host.store.dispatch(actions.roomJoined(url));
    this.host.whenReady((connection) => {
      const joined = this.rooms.get(url);
      if (!joined) return;
      connection.start();
      connection.rooms.join(url, joinOf(joined));
    });
  }

  private leave(url: string, options: JoinOptions): void {
    const left = (this.rooms.get(url) ?? []).filter((other) => other !== options);
    const { connection, store } = this.host;
    if (left.length > 0) {
      this.rooms.set(url, left);
      connection?.rooms.join(url, joinOf(left));
      return;
    }
    this.rooms.delete(url);
    connection?.rooms.leave(url);
    store.dispatch(actions.roomLeft(url));
  }
}
