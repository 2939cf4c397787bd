/* Web Locks of one browser, for tests: exclusive, first come first served. */

import type { Locks } from "../src/tabs";

interface Waiting {
  signal: AbortSignal | undefined;
  run: () => void;
}

export class TestLocks implements Locks {
  private readonly queues = new Map<string, Waiting[]>();

  request(name: string, options: { signal?: AbortSignal }, work: () => Promise<void>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      const queue = this.queues.get(name) ?? [];
      this.queues.set(name, queue);
      const entry: Waiting = {
        signal,
        run: () =>
          void work()
            .then(resolve, reject)
            .finally(() => this.end(queue, entry)),
      };
      signal?.addEventListener("abort", () => {
        const at = queue.indexOf(entry);
        if (at <= 0) return; // it has the lock: that is ended by its work
        queue.splice(at, 1);
        reject(new DOMException("left", "AbortError"));
      });
      queue.push(entry);
      if (queue.length === 1) queueMicrotask(entry.run);
    });
  }

  private end(queue: Waiting[], entry: Waiting): void {
    queue.splice(queue.indexOf(entry), 1);
    queue[0]?.run();
  }
}
