/* What a client that runs in Node may have beside: a cache in a file. Not part of what browsers load. */

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { type CacheStorage, type Kept, MemoryStorage } from "./offline/storage";

export { MemoryStorage };

/** One file, written beside and moved into place, so that a reader finds the old one or the new one. */
export class FileStorage extends MemoryStorage implements CacheStorage {
  private isRead = false;

  constructor(private readonly path: string) {
    super();
  }

  /** Throws when there is a file that is not ours to read: the cache drops it then. */
  private load(): void {
    if (this.isRead) return;
    this.isRead = true;
    let text: string;
    try {
      text = readFileSync(this.path, "utf8");
    } catch {
      return; // the first time
    }
    const { owner, records } = JSON.parse(text) as { owner: string; records: [string, string][] };
    this.kept = { owner, records: new Map(records) };
  }

  private save(): void {
    if (!this.kept) return;
    const { owner, records } = this.kept;
    writeFileSync(`${this.path}.new`, JSON.stringify({ owner, records: [...records] }));
    renameSync(`${this.path}.new`, this.path);
  }

  override async read(): Promise<Kept | null> {
    this.load();
    return super.read();
  }
  override async write(owner: string, puts: Map<string, string>, gone: Iterable<string>): Promise<boolean> {
    this.load();
    const written = await super.write(owner, puts, gone);
    if (written) this.save();
    return written;
  }
  override async claim(owner: string, puts?: Map<string, string>): Promise<void> {
    this.isRead = true;
    await super.claim(owner, puts);
    this.save();
  }
}
