/* The outbox: writes that met no server, sent again in the order in which they were made.
 *
 * A write is an HTTP request with an Idempotency-Key, so sending it twice does it once. One that met no server waits
 * as `failed` with status 0, and later ones wait behind it: a row that was made offline exists before it is changed. */

import type { LiveState } from "../store";
import type { AnyRow, Mutation } from "../types";
import { isUnreached, type MutationResult } from "../writes";

export interface OutboxHost {
  readonly state: LiveState;
  retry(key: string): Promise<MutationResult<AnyRow> | null>;
}

export class Outbox {
  constructor(private readonly host: OutboxHost) {}

  /** Those that met no server, in the order in which they were made: keys grow. */
  private unreached(): Mutation[] {
    return Object.values(this.host.state.mutations)
      .filter(isUnreached)
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async resend(): Promise<boolean> {
    for (let [next] = this.unreached(); next; [next] = this.unreached()) {
      const result = await this.host.retry(next.key);
      if (result && !result.ok && result.problem.status === 0) return false;
    }
    return true;
  }
}
