/* The cache: what the store holds survives a restart, documents with their positions and writes with their keys.
 *
 * It watches the store and writes what has changed, at most twice a second; a row that left, and a write that was
 * made, at once. It is never in the way: whatever fails here, the live path goes on, and what cannot be trusted (torn,
 * of another schema, of another person) is dropped whole.
 *
 *   "user"      who it belongs to, for starting without a server
 *   "d:<url>"   a document   {tag, at_ms, document}
 *   "p:<url>"   its position "tag epoch-number", when nothing else has changed since; void when the tag is another's
 *   "m:<key>"   a write      {tab, mutation} */

import type { DocumentState } from "../documents";
import { newId } from "../id";
import { compareRows, parseOrder } from "../order";
import { formatPosition, parsePosition } from "../position";
import type { LiveState } from "../store";
import type { Mutation, User } from "../types";
import type { CacheStorage, Kept } from "./storage";

/** Another number: what older versions kept is dropped. */
const SCHEMA = 1;
const SAVE_MS = 500;
const DOCUMENTS_MAX = 200;
const BYTES_MAX = 8 * 1024 * 1024;

export interface KeptWrite {
  /** The tab that made it. */
  tab: string;
  mutation: Mutation;
}
export interface Contents {
  user: User | null;
  documents: DocumentState[];
  writes: KeptWrite[];
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

function ownerOf(user: User | null): string {
  return `${SCHEMA} ${user?.id ?? ""}`;
}

/** What a document's position says nothing about is the same. */
function isSameBody(a: DocumentState, b: DocumentState): boolean {
  const { position: _p, status: _s, problem: _q, epoch: _e, ...body } = a;
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

export class Cache {
  private readonly options: CacheOptions;
  private owner: string;
  /** As last written, or on its way there. */
  private saved: Record<string, DocumentState> = {};
  private savedWrites: Record<string, Mutation> = {};
  private seen: Record<string, DocumentState> = {};
  private tags = new Map<string, string>();
  /** Bytes of the documents in the storage, the longest untouched first. */
  private sizes = new Map<string, number>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private tail: Promise<unknown> = Promise.resolve();
  /** Not before it is known whose the storage is, and not after a failure. */
  private on = false;
  /** Counts owners: what was begun for a former one is let go of. */
  private generation = 0;

  constructor(options: CacheOptions) {
    this.options = options;
    this.owner = ownerOf(options.state().user);
  }

  // --- reading -------------------------------------------------------------------------------------------------

  /** What was kept. `user` undefined: whoever it belongs to; else another's is wiped. Never rejects. */
  async load(user: User | null | undefined): Promise<Contents | null> {
    const generation = this.generation;
    const found = await this.read(user);
    if (generation !== this.generation) return null; // somebody has signed in meanwhile
    if (!found) {
      await this.begin(user ?? null);
      return null;
    }
    this.owner = found.kept.owner;
    this.measure(found.kept.records, found.contents);
    this.on = true;
    return found.contents;
  }

  private async read(user: User | null | undefined): Promise<{ kept: Kept; contents: Contents } | null> {
    try {
      const kept = await this.options.storage.read();
      if (!kept) return null;
      const contents = readContents(kept.records);
      const isTheirs = kept.owner === ownerOf(user === undefined ? contents.user : user);
      return isTheirs ? { kept, contents } : null;
    } catch {
      return null; // torn, or not readable at all
    }
  }

  /** This tab writes from now on: it has to know how much is there. Answers the tabs whose writes are kept. */
  async lead(): Promise<string[]> {
    this.again();
    try {
      const kept = await this.options.storage.read();
      if (kept?.owner !== this.owner) return [];
      const contents = readContents(kept.records);
      this.measure(kept.records, contents);
      return [...new Set(contents.writes.map(({ tab }) => tab))];
    } catch {
      return []; // what is not readable is dropped at the next start
    }
  }

  /** Who wrote for us has gone, perhaps with our changes in hand: all of them once more. */
  again(): void {
    this.saved = {};
    this.savedWrites = {};
    this.seen = {};
    this.step();
  }

  private measure(records: Map<string, string>, { documents }: Contents): void {
    const keys = documents.map(({ url }) => `d:${url}`);
    this.sizes = new Map(keys.map((key) => [key, records.get(key)?.length ?? 0]));
  }

  /** The writes of one tab. */
  async writesOf(tab: string): Promise<Mutation[]> {
    try {
      const kept = await this.options.storage.read();
      if (kept?.owner !== this.owner) return [];
      const { writes } = readContents(kept.records);
      return writes.filter((write) => write.tab === tab).map(({ mutation }) => mutation);
    } catch {
      return [];
    }
  }

  // --- writing -------------------------------------------------------------------------------------------------

  /** Another person, or nobody: nothing of the former one stays. */
  begin(user: User | null): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.owner = ownerOf(user);
    this.saved = {};
    this.savedWrites = {};
    this.seen = {};
    this.tags.clear();
    this.sizes.clear();
    this.generation++;
    this.on = true;
    return this.queue(async () => {
      await this.options.storage.claim(this.owner);
      const puts = new Map([["user", JSON.stringify(user)]]);
      await this.options.storage.write(this.owner, puts, []);
    });
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
    const { documents, mutations } = this.options.state();
    const before = this.seen;
    const isMade = Object.values(mutations).some(
      ({ key, kind }) => kind !== "call" && !(key in this.savedWrites),
    );
    if (documents === before && mutations === this.savedWrites) return;
    this.seen = documents;
    const hasLeft =
      documents !== before &&
      Object.entries(before).some(
        ([url, held]) => held !== documents[url] && hasRowLeft(held, documents[url]),
      );
    if (isMade || hasLeft) void this.flush();
    else this.timer ??= setTimeout(() => void this.flush(), SAVE_MS);
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
    const changes = this.changes();
    if (changes.puts.size === 0 && changes.gone.length === 0) return this.tail.then(() => undefined);
    if (this.options.forward?.(changes)) return Promise.resolve();
    return this.write(changes);
  }

  private changes(): CacheChanges {
    const puts = new Map<string, string>();
    const gone: string[] = [];
    const { documents, mutations } = this.options.state();
    for (const [url, document] of Object.entries(documents)) this.put(puts, url, document);
    for (const [url, before] of Object.entries(this.saved))
      if (!documents[url] || (isKept(before) && documents[url].position < 0)) {
        gone.push(`d:${url}`, `p:${url}`);
        this.tags.delete(url);
      }
    for (const [key, mutation] of Object.entries(mutations))
      if (mutation !== this.savedWrites[key] && mutation.kind !== "call")
        puts.set(`m:${key}`, JSON.stringify({ tab: this.options.tab, mutation } satisfies KeptWrite));
    for (const key of Object.keys(this.savedWrites)) if (!(key in mutations)) gone.push(`m:${key}`);
    this.saved = documents;
    this.savedWrites = mutations;
    return { puts, gone };
  }

  private put(puts: Map<string, string>, url: string, document: DocumentState): void {
    const before = this.saved[url];
    if (before === document || !isKept(document)) return;
    const tag = this.tags.get(url);
    if (tag !== undefined && before && isSameBody(before, document)) {
      if (before.position !== document.position)
        puts.set(`p:${url}`, `${tag} ${formatPosition(document.epoch, document.position)}`);
      return;
    }
    const fresh = newId();
    this.tags.set(url, fresh);
    puts.set(`d:${url}`, JSON.stringify({ tag: fresh, at_ms: Date.now(), document }));
  }

  /** Own changes, or those that another tab has handed over. */
  write(changes: CacheChanges): Promise<void> {
    return this.queue(async () => {
      const { puts, gone } = this.bounded(changes);
      const isOurs = await this.options.storage
        .write(this.owner, puts, gone)
        .catch(() => this.shrink(changes));
      if (!isOurs) this.on = false; // somebody else has signed in; we will hear of it
    });
  }

  /** Full: the documents go, the writes stay. */
  private async shrink(changes: CacheChanges): Promise<boolean> {
    const { storage } = this.options;
    const gone = [...this.sizes.keys(), ...changes.gone].flatMap((key) => [key, key.replace(/^d:/, "p:")]);
    const puts = new Map([...changes.puts].filter(([key]) => key.startsWith("m:")));
    this.sizes.clear();
    this.saved = {};
    this.tags.clear();
    try {
      return await storage.write(this.owner, puts, gone);
    } catch (error) {
      await storage.claim(this.owner); // rather nothing than rows that may be somebody's no longer
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
      if (!key.startsWith("d:")) continue;
      this.sizes.delete(key);
      this.sizes.set(key, text.length);
    }
    let bytes = [...this.sizes.values()].reduce((sum, size) => sum + size, 0);
    for (const [key, size] of this.sizes) {
      if (this.sizes.size <= documentsMax && bytes <= bytesMax) break;
      bytes -= size;
      this.sizes.delete(key);
      kept.delete(key);
      left.push(key, key.replace(/^d:/, "p:"));
    }
    return { puts: kept, gone: left };
  }
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
  const documents: { at_ms: number; document: DocumentState }[] = [];
  const writes: KeptWrite[] = [];
  for (const [key, text] of records) {
    if (key.startsWith("d:")) {
      const url = key.slice(2);
      const { tag, at_ms, document } = JSON.parse(text);
      if (!isDocument(document, url)) throw new Error(`${key} is torn`);
      const [of, at] = (records.get(`p:${url}`) ?? "").split(" ");
      const later = of === tag ? parsePosition(at) : null;
      if (later?.epoch === document.epoch) document.position = Math.max(document.position, later.number);
      documents.push({ at_ms, document });
    } else if (key.startsWith("m:")) {
      const write = JSON.parse(text) as KeptWrite;
      if (write.mutation.key !== key.slice(2)) throw new Error(`${key} is torn`);
      writes.push(write);
    }
  }
  documents.sort((a, b) => a.at_ms - b.at_ms);
  const user = JSON.parse(records.get("user") ?? "") as User | null;
  return { user, documents: documents.map(({ document }) => document), writes };
}
