/* Web Locks of one browser, for tests: exclusive, first come first served, and given up by a tab that crashes. */

import type { Locks } from "../src/offline/tabs";

interface Entry {
  owner: object;
  run: () => void;
}

export class TestLocks {
  private readonly queues = new Map<string, Entry[]>();

  /** What one tab sees of them. Its requests may take a while to arrive: tabs are processes. */
  of(owner: object, delay_ms = 0): Locks {
    return {
      request: async (name, options, work) => {
        if (delay_ms > 0) await new Promise((resolve) => setTimeout(resolve, delay_ms));
        return this.request(owner, name, options.signal, work);
      },
    };
  }

  private request(
    owner: object,
    name: string,
    signal: AbortSignal | undefined,
    work: () => Promise<void>,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const queue = this.queues.get(name) ?? [];
      this.queues.set(name, queue);
      const entry: Entry = {
        owner,
        run: () =>
          void work()
            .then(resolve, reject)
            .finally(() => this.remove(queue, entry)),
      };
      signal?.addEventListener("abort", () => {
        if (queue.indexOf(entry) < 1) return; // it has the lock: that is ended by its work
        this.remove(queue, entry);
        reject(new DOMException("left", "AbortError"));
      });
      queue.push(entry);
      if (queue.length === 1) queueMicrotask(entry.run);
    });
  }

  private remove(queue: Entry[], entry: Entry): void {
    const at = queue.indexOf(entry);
    if (at < 0) return; // its tab has crashed
    queue.splice(at, 1);
    if (at === 0) queue[0]?.run();
  }

  crash(owner: object): void {
    for (const queue of this.queues.values())
      for (const entry of queue.filter((other) => other.owner === owner)) this.remove(queue, entry);
  }
}
