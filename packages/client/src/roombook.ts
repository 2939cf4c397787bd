/* The book of rooms, on the connection's side. A room is joined again on every new socket; the answer tells the number by
 * which the backend speaks of it from then on. What is published too fast is held back here already: of one kind the
 * newest counts. */

import { type BackoffOptions, backoffMs } from "./backoff";
import type { Frame } from "./frames";
import type { JoinOptions, RoomEvents } from "./rooms";
import { type Link, problemOfFrame, UNAVAILABLE_ATTEMPT } from "./subscriptions";
import type { Problem } from "./types";

/** The backend tells what was said four times a second; more often than that nobody hears. */
const PUBLISH_MS = 250;
/** The same again sooner than that is no news. */
const RENEW_MS = 2_000;
/** Refusals of one message (unauthorized, too_large, invalid, throttled): who is in the room stays in it. */
const OF_A_MESSAGE: ReadonlySet<number> = new Set([401, 413, 422, 429]);
/** What was last published of a kind, and what waits for the end of the pause after it. */
interface Spoken {
  text: string;
  at_ms: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  waits: { data: unknown } | undefined;
}

interface Room {
  id: number;
  url: string;
  options: JoinOptions;
  /** Asked for on this socket. */
  joined: boolean;
  /** The backend's; null until it has answered. */
  number: number | null;
  spoken: Map<string, Spoken>;
}

export class Rooms {
  private readonly byUrl = new Map<string, Room>();

  constructor(
    private readonly link: Link,
    private readonly events: RoomEvents,
    private readonly backoff: BackoffOptions | undefined,
  ) {}

  /** Again with other options: the room is left and joined anew. */
  join(url: string, options: JoinOptions = {}): void {
    const held = this.byUrl.get(url);
    if (held && JSON.stringify(held.options) === JSON.stringify(options)) return;
    if (held?.joined) this.link.send({ t: "leave", join: held.id });
    const spoken = held?.spoken ?? new Map();
    const room: Room = { id: 0, url, options, joined: false, number: null, spoken };
    this.byUrl.set(url, room);
    if (this.link.welcomed) this.enter(room);
  }

  leave(url: string): void {
    const room = this.byUrl.get(url);
    if (!room) return;
    this.byUrl.delete(url);
    this.hush(room);
    if (room.joined) this.link.send({ t: "leave", join: room.id });
  }

  /**
   * At once, or at the end of the pause after the last one of its kind; in between the newest replaces the others.
   * May be called at every key stroke.
   */
  publish(url: string, kind: string, data: unknown): void {
    const room = this.byUrl.get(url);
    if (!room || room.number === null) return; // what is said in passing is not kept for later
    const text = JSON.stringify(data);
    const last = room.spoken.get(kind);
    if (last?.timer !== undefined) {
      last.waits = last.text === text ? undefined : { data };
      return;
    }
    if (last?.text === text && Date.now() - last.at_ms < RENEW_MS) return;
    this.link.send({ t: "publish", join: room.id, kind, data });
    const spoken: Spoken = { text, at_ms: Date.now(), timer: undefined, waits: undefined };
    spoken.timer = setTimeout(() => {
      spoken.timer = undefined;
      if (spoken.waits) this.publish(url, kind, spoken.waits.data);
    }, PUBLISH_MS);
    room.spoken.set(kind, spoken);
  }

  begin(): void {
    for (const room of this.byUrl.values()) this.enter(room);
  }

  lose(): void {
    for (const room of this.byUrl.values()) {
      room.joined = false;
      room.number = null;
      this.hush(room);
    }
  }

  private hush(room: Room): void {
    for (const { timer } of room.spoken.values()) clearTimeout(timer);
    room.spoken.clear();
  }

  private enter(room: Room): void {
    room.id = this.link.nextId();
    room.joined = true;
    room.number = null;
    this.link.send({ t: "join", id: room.id, url: room.url, ...room.options });
  }

  receive(frame: Frame & { t: "presence" | "said" | "error" }): void {
    if (frame.t === "error") {
      const room = this.ofJoin(frame.join);
      if (room && !(room.number !== null && OF_A_MESSAGE.has(frame.status)))
        this.refused(room, problemOfFrame(frame));
      return;
    }
    if (frame.t === "presence" && frame.join !== undefined) {
      const room = this.ofJoin(frame.join);
      if (!room) return; // left while this was on its way
      room.number = frame.room;
      this.told(room.url, frame);
      return;
    }
    for (const { url, number } of this.byUrl.values()) if (number === frame.room) this.told(url, frame);
  }

  private ofJoin(join: number | undefined): Room | undefined {
    return [...this.byUrl.values()].find(({ id, joined }) => joined && id === join);
  }

  private told(url: string, frame: Frame & { t: "presence" | "said" }): void {
    if (frame.t === "said") {
      this.events.onSaid({ url, items: frame.items, at_ms: Date.now() });
      return;
    }
    const { count, partial, users, joined, left } = frame;
    this.events.onPresence({ url, count, partial, users, joined, left });
  }

  private refused(room: Room, problem: Problem): void {
    const { url } = room;
    room.joined = false;
    room.number = null;
    this.hush(room);
    if (problem.status === 503) {
      const isStill = () => this.byUrl.get(url) === room && !room.joined && this.link.welcomed;
      setTimeout(() => isStill() && this.enter(room), backoffMs(UNAVAILABLE_ATTEMPT, this.backoff));
      return;
    }
    this.byUrl.delete(url);
    this.events.onRoomError({ url, problem });
  }
}
