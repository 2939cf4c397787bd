/* Where the cache is kept: named records of text that belong to one owner.
 *
 * Every call is one transaction: all of it or nothing. A write names its owner and is refused when the storage
 * belongs to somebody else by now, so that a tab that has not heard of a sign-out yet cannot mix two people's rows. */

export interface Kept {
  owner: string;
  records: Map<string, string>;
}

export interface CacheStorage {
  /** null: nobody's. */
  read(): Promise<Kept | null>;
  /** False: it is another owner's; nothing was written. */
  write(owner: string, puts: Map<string, string>, gone: Iterable<string>): Promise<boolean>;
  /** Everything goes; what comes is this owner's, and begins with `puts`. */
  claim(owner: string, puts?: Map<string, string>): Promise<void>;
}

/** Lives as long as the process: for tests, and where nothing may be kept. */
export class MemoryStorage implements CacheStorage {
  protected kept: Kept | null = null;

  async read(): Promise<Kept | null> {
    return this.kept && { owner: this.kept.owner, records: new Map(this.kept.records) };
  }
  async write(owner: string, puts: Map<string, string>, gone: Iterable<string>): Promise<boolean> {
    if (this.kept?.owner !== owner) return false;
    for (const key of gone) this.kept.records.delete(key);
    for (const [key, text] of puts) this.kept.records.set(key, text);
    return true;
  }
  async claim(owner: string, puts: Map<string, string> = new Map()): Promise<void> {
    this.kept = { owner, records: new Map(puts) };
  }
}

const STORE = "records";
const OWNER = "owner"; // beside the records; their keys have a colon or are "user"

export class IndexedDbStorage implements CacheStorage {
  private opened: Promise<IDBDatabase> | null = null;

  constructor(
    private readonly name: string,
    private readonly factory: IDBFactory,
  ) {}

  private open(): Promise<IDBDatabase> {
    this.opened ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = this.factory.open(this.name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE);
      request.onerror = () => reject(request.error);
      request.onblocked = () => reject(new Error("blocked"));
      request.onsuccess = () => {
        const database = request.result;
        const leave = () => {
          database.close();
          this.opened = null; // the next call opens it anew
        };
        database.onversionchange = leave;
        database.onclose = leave;
        resolve(database);
      };
    }).catch((error) => {
      this.opened = null;
      throw error;
    });
    return this.opened;
  }

  private async run<T>(
    mode: IDBTransactionMode,
    durability: IDBTransactionDurability,
    work: (store: IDBObjectStore, answer: (value: T) => void) => void,
  ): Promise<T> {
    const database = await this.open();
    return new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(STORE, mode, { durability });
      let result: T;
      transaction.oncomplete = () => resolve(result);
      transaction.onabort = () => reject(transaction.error ?? new Error("aborted"));
      work(transaction.objectStore(STORE), (value) => {
        result = value;
      });
    });
  }

  read(): Promise<Kept | null> {
    return this.run("readonly", "default", (store, answer) => {
      const keys = store.getAllKeys();
      const values = store.getAll();
      values.onsuccess = () => {
        const records = new Map<string, string>();
        for (const [i, key] of keys.result.entries()) records.set(String(key), String(values.result[i]));
        const owner = records.get(OWNER);
        records.delete(OWNER);
        answer(owner === undefined ? null : { owner, records });
      };
    });
  }

  write(owner: string, puts: Map<string, string>, gone: Iterable<string>): Promise<boolean> {
    // A person's own words are on the disk before anything else happens.
    const isWord = [...puts.keys()].some((key) => key.startsWith("m:"));
    return this.run("readwrite", isWord ? "strict" : "relaxed", (store, answer) => {
      const held = store.get(OWNER);
      held.onsuccess = () => {
        answer(held.result === owner);
        if (held.result !== owner) return;
        for (const key of gone) store.delete(key);
        for (const [key, text] of puts) store.put(text, key);
      };
    });
  }

  claim(owner: string, puts: Map<string, string> = new Map()): Promise<void> {
    return this.run("readwrite", "strict", (store, answer) => {
      store.clear();
      store.put(owner, OWNER);
      for (const [key, text] of puts) store.put(text, key);
      answer();
    });
  }
}

/** The browser's; null where there is none (on the server, in some private windows). */
export function browserStorage(name = "tims"): CacheStorage | null {
  try {
    return globalThis.indexedDB ? new IndexedDbStorage(name, globalThis.indexedDB) : null;
  } catch {
    return null; // switched off by the browser
  }
}
