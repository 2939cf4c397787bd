// device.ts: where a client keeps what shall survive a restart. It is the test's own, so that it can be looked into,
// and so that what is read is what was written, whatever the client remembers.

export interface Kept {
  owner: string;
  records: Map<string, string>;
}

export class Device {
  private kept: Kept | null = null;

  async read(): Promise<Kept | null> {
    return this.kept && { owner: this.kept.owner, records: new Map(this.kept.records) };
  }

  async write(owner: string, puts: Map<string, string>, gone: Iterable<string>): Promise<boolean> {
    if (this.kept?.owner !== owner) return false;
    for (const key of gone) this.kept.records.delete(key);
    for (const [key, text] of puts) this.kept.records.set(key, text);
    return true;
  }

  async claim(owner: string): Promise<void> {
    this.kept = { owner, records: new Map() };
  }

  // Ids of rows that are kept for a URL, included ones too.
  rowsOf(url: string): Set<string> {
    const texts = [...(this.kept?.records ?? [])].filter(([key]) => key.endsWith(`:${url}`));
    return new Set(
      texts.flatMap(([, text]) => [...text.matchAll(/"id":"([0-9a-f-]{36})"/g)].map(([, id = ""]) => id)),
    );
  }
}
