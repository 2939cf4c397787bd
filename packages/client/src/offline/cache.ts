/* The cache: what the store holds survives a restart, documents with their positions and writes with their keys.
 *
 * It watches the store and writes what has changed, at most twice a second; a row that left, and a write that was
 * made, at once. It is never in the way: whatever fails here, the live path goes on, and what cannot be trusted (torn,
 * of another schema, of another person) is dropped whole.
 *
 *   "user"      who it belongs to, for starting without a server
 *   "g:<path>"  a page's own data   {at_ms, page}
 *   "d:<url>"   a document          {tag, at_ms, document}
 *   "p:<url>"   its position "tag epoch-number at_ms", when nothing else has changed since; void when the tag is
 *               another's
 *   "m:<key>"   a write             {tab, mutation}
 *
 * What has changed together is written together: one transaction, with the owner asked in it. */

import type { DocumentState } from "../documents";
import { newId } from "../id";
import { compareRows, parseOrder } from "../order";
import { formatPosition, parsePosition } from "../position";
import type { LiveState, PageState } from "../store";
import type { Mutation, User } from "../types";
import type { CacheStorage, Kept } from "./storage";

/** Another number: what older versions kept is dropped. */
const SCHEMA = 2;
const SAVE_MS = 500;
const DOCUMENTS_MAX = 200;
const PAGES_MAX = 50;
/** A position that is only confirmed again is written this seldom: it says how old the rows are, not what they are. */
const CONFIRM_MS = 60_000;
const BYTES_MAX = 8 * 1024 * 1024;

export interface KeptWrite {
  /** The tab that made it. */
  tab: string;
  mutation: Mutation;
}
export interface Contents {
  user: User | null;
  documents: DocumentState[];
  pages: PageState[];
  writes: KeptWrite[];
}
interface Found {
  kept: Kept;
  contents: Contents;
}
/** The writes of somebody whose session has ended: they wait for the same person. */
export interface Aside {
  aside: User;
  writes: number;
}
export interface CacheChanges {
  puts: Map<string, string>;
  gone: string[];
}
export interface CacheOptions {
  storage: CacheStorage;
  tab: string;
  state: () => LiveState;
  /** Writes through the tab that may: see tabs.ts. Default: this one may. */
  forward?: (changes: CacheChanges) => boolean;
  documentsMax?: number;
  bytesMax?: number;
}

export function ownerOf(user: User | null): string {
  return `${SCHEMA} ${user?.id ?? ""}`;
}

/** What a document's position says nothing about is the same. */
function isSameBody(a: DocumentState, b: DocumentState): boolean {
  const { position: _p, status: _s, problem: _q, epoch: _e, asOf: _a, ...body } = a;
  return Object.entries(body).every(([name, value]) => b[name as keyof DocumentState] === value);
}

function hasIncludedLeft(before: DocumentState, after: DocumentState): boolean {
  if (before.included === after.included) return false;
  return Object.entries(before.included).some(([field, rows]) =>
    Object.keys(rows).some((id) => !(id in (after.included[field] ?? {}))),
  );
}

/** Whether a row has gone for another reason than that a full window let go of its last ones. */
function hasRowLeft(before: DocumentState, after: DocumentState | undefined): boolean {
  if (!after) return before.ids.length > 0;
  if (hasIncludedLeft(before, after)) return true;
  if (before.rows === after.rows) return false;
  const last = after.rows[after.ids.at(-1) ?? ""];
  // Rows that others pushed behind the window may wait. In a document that came anew (no row is the same object) it
  // cannot be told from lost access.
  const isSame = before.limit === after.limit && after.ids.some((id) => after.rows[id] === before.rows[id]);
  const isFull = isSame && after.limit !== null && after.ids.length >= after.limit;
  const order = parseOrder(after.order ?? "");
  return Object.values(before.rows).some(
    (row) => !(row.id in after.rows) && !(isFull && last && compareRows(order, row, last) > 0),
  );
}

function isKept(document: DocumentState): boolean {
  return document.position >= 0 && document.status !== "error";
}

/** A call is its caller's alone: a password is none of a cache's business. */
function isKeptWrite({ offline }: Mutation): boolean {
  return offline !== "onlineOnly";
}

const isLarge = (key: string) => key.startsWith("d:") || key.startsWith("g:");

export class Cache {
  private readonly options: CacheOptions;
  private owner: string;
  /** As last written, or on its way there. */
  private saved: Record<string, DocumentState> = {};
  private savedWrites: Record<string, Mutation> = {};
  private savedPage: PageState | null = null;
  private seen: Record<string, DocumentState> = {};
  private tags = new Map<string, string>();
  /** When each was last written, with its position. */
  private writtenAt = new Map<string, number>();
  /** Bytes of the documents and pages in the storage, the longest untouched first. */
  private sizes = new Map<string, number>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private tail: Promise<unknown> = Promise.resolve();
  /** Not before it is known whose the storage is, and not after a failure. */
  private on = false;
  /** The session of its person has ended: what they wrote is all that is kept. */
  private isAside = false;
  /** Documents and pages found no room. */
  private isFull = false;
  /** Counts owners: what was begun for a former one is let go of. */
  private generation = 0;

  constructor(options: CacheOptions) {
    this.options = options;
    this.owner = ownerOf(options.state().user);
  }

  // --- reading -------------------------------------------------------------------------------------------------

  /** What was kept. `user` undefined: whoever it belongs to; else another's is wiped. Never rejects. Nobody is here, but
   * somebody's writes are: their session has ended, what they wrote waits for them, the rest goes. */
  async load(user: User | null | undefined): Promise<Contents | Aside | null> {
    const generation = this.generation;
    const found = await this.read();
    if (generation !== this.generation) return null; // somebody has signed in meanwhile
    if (found) {
      const { user: owner, writes } = found.contents;
      this.owner = found.kept.owner;
      if (owner && user === null && writes.length > 0) {
        await this.setAside();
        return { aside: owner, writes: writes.length };
      }
      if (this.isOf(user === undefined ? owner : user)) {
        this.measure(found.kept.records);
        this.on = true;
        this.isAside = false;
        return found.contents;
      }
    }
    await this.begin(user ?? null, found === null);
    return null;
  }

  private async read(): Promise<Found | null> {
    try {
      const kept = await this.options.storage.read();
      return kept && { kept, contents: readContents(kept.records) };
    } catch {
      return null; // torn, or not readable at all
    }
  }

  /** As `read`, of the person whose it is. */
  private async own(): Promise<Found | null> {
    const found = await this.read();
    return found?.kept.owner === this.owner ? found : null;
  }

  /** The session has ended: all goes but what was written. How many writes wait; -1: it is another's by now, as after a
   * sign-out; null: not known. */
  async setAside(): Promise<number | null> {
    const last = this.flush();
    this.on = false;
    this.isAside = true;
    const { owner, generation } = this;
    await last;
    await this.tail;
    if (generation !== this.generation) return -1;
    this.forget();
    try {
      const kept = await this.options.storage.read();
      if (kept?.owner !== owner) return -1;
      const keys = [...kept.records.keys()];
      const gone = keys.filter((key) => key !== "user" && !key.startsWith("m:"));
      const isOurs = await this.options.storage.write(owner, new Map(), gone);
      return isOurs ? keys.filter((key) => key.startsWith("m:")).length : -1;
    } catch {
      return null;
    }
  }

  /** They are here again. What they had written, see writesOf. */
  takeBack(tab?: string): Promise<Mutation[]> {
    this.on = true;
    this.isAside = false;
    return this.writesOf(tab);
  }

  /** The data of a page that was here before. */
  async pageOf(path: string): Promise<PageState | null> {
    await this.flush();
    const pages = (await this.own())?.contents.pages ?? [];
    const bare = path.replace(/[?#].*$/, "");
    return pages.find((page) => page.path === path) ?? pages.find((page) => page.path === bare) ?? null;
  }

  /** This tab writes from now on: it has to know how much is there. Answers the tabs whose writes are kept. */
  async lead(): Promise<string[]> {
    const found = await this.again();
    if (!found) return []; // what is not readable is dropped at the next start
    this.measure(found.kept.records);
    return [...new Set(found.contents.writes.map(({ tab }) => tab))];
  }

  /** Who wrote for us has gone, perhaps with our changes in hand: all of them once more, and what of our writes is there
   * and should not be. Answers what was there. */
  async again(): Promise<Found | null> {
    this.saved = {};
    this.savedWrites = {};
    this.savedPage = null;
    this.seen = {};
    this.step();
    const found = await this.own();
    const { tab, state } = this.options;
    const gone = (found?.contents.writes ?? [])
      .filter((write) => write.tab === tab && !(write.mutation.key in state().mutations))
      .map(({ mutation }) => `m:${mutation.key}`);
    if (this.on) void this.hand({ puts: new Map(), gone });
    return found;
  }

  private measure(records: Map<string, string>): void {
    const large = [...records].filter(([key]) => isLarge(key));
    const age = (text: string) => Number(/"at_ms":(\d+)/.exec(text)?.[1] ?? 0);
    large.sort(([, a], [, b]) => age(a) - age(b));
    this.sizes = new Map(large.map(([key, text]) => [key, text.length]));
  }

  /** The writes of one tab, or of all. */
  async writesOf(tab?: string): Promise<Mutation[]> {
    const writes = (await this.own())?.contents.writes ?? [];
    return writes.filter((write) => !tab || write.tab === tab).map(({ mutation }) => mutation);
  }

  // --- writing -------------------------------------------------------------------------------------------------

  /** Another person, or nobody: nothing of the former one stays. What another tab has kept of theirs does, unless it
   * `isTorn`. */
  begin(user: User | null, isTorn = false): Promise<void> {
    this.owner = ownerOf(user);
    this.forget();
    this.generation++;
    this.on = true;
    this.isAside = false;
    const first = new Map([["user", JSON.stringify(user)]]);
    const { storage } = this.options;
    return this.queue(
      async () =>
        (!isTorn && (await storage.write(this.owner, first, []))) || storage.claim(this.owner, first),
    );
  }

  private forget(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.saved = {};
    this.savedWrites = {};
    this.savedPage = null;
    this.seen = {};
    this.tags.clear();
    this.writtenAt.clear();
    this.sizes.clear();
  }

  /** One after the other; a failure switches the cache off until the next start or the next person. */
  private queue(work: () => Promise<unknown>): Promise<void> {
    const { generation } = this;
    const done = this.tail
      .then(() => (generation === this.generation ? work() : undefined))
      .then(
        () => undefined,
        () => {
          this.on = false;
        },
      );
    this.tail = done;
    return done;
  }

  isOf(user: User | null): boolean {
    return this.owner === ownerOf(user);
  }

  /** After every step of the store. */
  step(): void {
    if (!this.on) return;
    const { documents, mutations, page } = this.options.state();
    const before = this.seen;
    const isMade =
      mutations !== this.savedWrites &&
      (Object.values(mutations).some((one) => isKeptWrite(one) && this.isNewDraft(one)) ||
        Object.keys(this.savedWrites).some((key) => !(key in mutations)));
    if (documents === before && mutations === this.savedWrites && page === this.savedPage) return;
    this.seen = documents;
    const hasLeft =
      documents !== before &&
      Object.entries(before).some(
        ([url, held]) => held !== documents[url] && hasRowLeft(held, documents[url]),
      );
    if (isMade || hasLeft) void this.flush();
    else this.timer ??= setTimeout(() => void this.flush(), SAVE_MS);
  }

  /** Made, or changed. */
  private isNewDraft({ key, body, files }: Mutation): boolean {
    const saved = this.savedWrites[key];
    return saved?.body !== body || saved.files !== files;
  }

  /** What comes now is nobody's any more: the next one may have written already. */
  stop(): void {
    this.on = false;
  }

  /** Writes what has changed; resolves when it is there. */
  flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (!this.on) return this.tail.then(() => undefined);
    return this.hand(this.changes());
  }

  private hand(changes: CacheChanges): Promise<void> {
    if (changes.puts.size === 0 && changes.gone.length === 0) return this.tail.then(() => undefined);
    if (this.options.forward?.(changes)) return Promise.resolve();
    return this.write(changes);
  }

  private changes(): CacheChanges {
    const puts = new Map<string, string>();
    const gone: string[] = [];
    const { documents, mutations, page } = this.options.state();
    if (page !== this.savedPage && page?.route && page.asOf === null && !this.isFull)
      puts.set(`g:${page.path}`, JSON.stringify({ at_ms: Date.now(), page }));
    this.savedPage = page;
    for (const [url, document] of Object.entries(documents)) this.put(puts, url, document);
    for (const [url, before] of Object.entries(this.saved))
      if (!documents[url] || (isKept(before) && documents[url].position < 0)) {
        gone.push(`d:${url}`, `p:${url}`);
        this.tags.delete(url);
        this.writtenAt.delete(url);
      }
    for (const [key, mutation] of Object.entries(mutations))
      if (mutation !== this.savedWrites[key] && isKeptWrite(mutation))
        puts.set(`m:${key}`, JSON.stringify({ tab: this.options.tab, mutation } satisfies KeptWrite));
    for (const key of Object.keys(this.savedWrites)) if (!(key in mutations)) gone.push(`m:${key}`);
    this.saved = documents;
    this.savedWrites = mutations;
    return { puts, gone };
  }

  private put(puts: Map<string, string>, url: string, document: DocumentState): void {
    const before = this.saved[url];
    if (!isKept(document) || this.isFull) return;
    const at_ms = document.status === "live" ? Date.now() : (document.asOf ?? Date.now());
    const tag = this.tags.get(url);
    if (tag !== undefined && before && isSameBody(before, document)) {
      const isLater = at_ms - (this.writtenAt.get(url) ?? 0) > CONFIRM_MS;
      if (before.position === document.position && !isLater) return;
      this.writtenAt.set(url, at_ms);
      puts.set(`p:${url}`, `${tag} ${formatPosition(document.epoch, document.position)} ${at_ms}`);
      return;
    }
    if (before === document) return;
    const fresh = newId();
    this.tags.set(url, fresh);
    this.writtenAt.set(url, at_ms);
    puts.set(`d:${url}`, JSON.stringify({ tag: fresh, at_ms, document }));
  }

  /** Own changes, or those that another tab has handed over. */
  write(changes: CacheChanges): Promise<void> {
    return this.queue(async () => {
      const { puts, gone } = this.bounded(this.isAside ? writesOnly(changes) : changes);
      const isOurs = await this.options.storage
        .write(this.owner, puts, gone)
        .catch(() => this.shrink(changes));
      if (!isOurs) this.on = false; // somebody else has signed in; we will hear of it
    });
  }

  /** Full: until the next start only writes are kept. */
  private async shrink(changes: CacheChanges): Promise<boolean> {
    const { storage } = this.options;
    const gone = [...this.sizes.keys(), ...changes.gone].flatMap((key) => [key, key.replace(/^d:/, "p:")]);
    const { puts } = writesOnly(changes);
    this.sizes.clear();
    this.isFull = true;
    try {
      return await storage.write(this.owner, puts, gone);
    } catch (error) {
      // Rather nothing than rows that may be somebody's no longer.
      await storage.write(this.owner, new Map(), gone).catch(() => storage.claim(this.owner));
      throw error;
    }
  }

  /** The documents that were longest untouched go when there are too many of them, or too large ones. */
  private bounded({ puts, gone }: CacheChanges): CacheChanges {
    const { documentsMax = DOCUMENTS_MAX, bytesMax = BYTES_MAX } = this.options;
    const kept = new Map(puts);
    const left = [...gone];
    for (const key of gone) this.sizes.delete(key);
    for (const [key, text] of puts) {
      if (!isLarge(key)) continue;
      this.sizes.delete(key);
      this.sizes.set(key, text.length);
    }
    let bytes = [...this.sizes.values()].reduce((sum, size) => sum + size, 0);
    const most: Record<string, number> = { d: documentsMax, g: PAGES_MAX };
    const counts: Record<string, number> = { d: 0, g: 0 };
    for (const [kind = ""] of this.sizes.keys()) counts[kind] = (counts[kind] ?? 0) + 1;
    for (const [key, size] of this.sizes) {
      const [kind = ""] = key;
      if ((counts[kind] ?? 0) <= (most[kind] ?? 0) && bytes <= bytesMax) continue;
      counts[kind] = (counts[kind] ?? 0) - 1;
      bytes -= size;
      this.sizes.delete(key);
      kept.delete(key);
      left.push(key, key.replace(/^d:/, "p:"));
    }
    return { puts: kept, gone: left };
  }
}

/** Of a person whose session has ended, or where there is no room for more. */
function writesOnly({ puts, gone }: CacheChanges): CacheChanges {
  return { puts: new Map([...puts].filter(([key]) => key.startsWith("m:"))), gone };
}

// --- records ---------------------------------------------------------------------------------------------------

function isDocument(value: unknown, url: string): value is DocumentState {
  const document = value as DocumentState | null;
  if (typeof document !== "object" || document === null || document.url !== url) return false;
  const { ids, rows, position, epoch } = document;
  return (
    Array.isArray(ids) &&
    typeof rows === "object" &&
    ids.length === Object.keys(rows).length &&
    ids.every((id) => rows[id]?.id === id) &&
    Number.isInteger(position) &&
    typeof epoch === "string"
  );
}

/** Throws when any of it is not as it was written. */
function readContents(records: Map<string, string>): Contents {
  const documents: DocumentState[] = [];
  const pages: PageState[] = [];
  const writes: KeptWrite[] = [];
  for (const [key, text] of records) {
    if (key.startsWith("d:")) {
      const url = key.slice(2);
      const { tag, at_ms, document } = JSON.parse(text);
      if (!isDocument(document, url)) throw new Error(`${key} is torn`);
      const [of, at, confirmed_ms] = (records.get(`p:${url}`) ?? "").split(" ");
      const later = of === tag ? parsePosition(at) : null;
      if (later?.epoch === document.epoch) document.position = Math.max(document.position, later.number);
      const asOf = Math.max(Number(at_ms), (later && Number(confirmed_ms)) || 0);
      documents.push({ ...document, asOf });
    } else if (key.startsWith("g:")) {
      const { at_ms, page } = JSON.parse(text) as { at_ms: number; page: PageState };
      if (page.path !== key.slice(2)) throw new Error(`${key} is torn`);
      pages.push({ ...page, asOf: at_ms });
    } else if (key.startsWith("m:")) {
      const write = JSON.parse(text) as KeptWrite;
      if (write.mutation.key !== key.slice(2)) throw new Error(`${key} is torn`);
      writes.push(write);
    }
  }
  documents.sort((a, b) => (a.asOf ?? 0) - (b.asOf ?? 0));
  const user = JSON.parse(records.get("user") ?? "") as User | null;
  return { user, documents, pages, writes };
}
