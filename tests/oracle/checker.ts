// checker.ts: holds what a client has for a URL against what the database was at the position it names.
import { isDeepStrictEqual } from "node:util";
import type { DocumentState } from "../../packages/client/src/documents.ts";
import { type Answer, type Asked, type Caller, isNever, Moment } from "./evaluate.ts";
import type { History } from "./history.ts";
import type { World } from "./world.ts";

// Somebody was told something wrong. Its message is the whole report.
export class Divergence extends Error {}

export interface Claim {
  caller: Caller;
  client: string;
  asked: Asked;
  document: DocumentState;
}

type Row = Answer["rows"][number];

const MOMENTS_MAX = 64;
// What one look at the clients may cost, so that checking does not become what is measured.
const BUDGET_MS = 25;

export class Checker {
  checked = 0;
  passedOver = 0;
  // Rows that were found on devices.
  kept = 0;
  ambiguous = 0; // held against more than one state
  forgotten = 0; // about a position of which nothing is known
  private readonly world: World;
  private readonly history: History;
  readonly exact: boolean;
  // What the database may have been at a position, as far as all who stood there agree with it.
  private readonly moments = new Map<number, Moment[]>();
  private era = 0; // of the history, when they were looked up
  private claims: Claim[] = [];

  // `exact`: windows are exact and positions name snapshots (protocol 2). Else a client may hold more rows than its
  // window, and stand ahead of what it says while things move.
  constructor(world: World, history: History, exact: boolean) {
    this.world = world;
    this.history = history;
    this.exact = exact;
  }

  // Documents are immutable, so a claim can be looked at later. Pages that were read one after the other without the
  // socket (`mixed`) claim nothing.
  claim(claim: Claim): void {
    const { position, mixed } = claim.document as DocumentState & { mixed?: boolean };
    if (position >= 0 && !mixed && this.exact) this.claims.push(claim);
  }

  // As many of the claims as the budget allows, drawn evenly. Claims about what the history has not seen yet wait.
  work(): void {
    if (this.claims.length === 0) return;
    this.history.refresh();
    const claims = this.claims.filter(({ document }) => document.position <= this.history.seen);
    this.claims = this.claims.filter(({ document }) => document.position > this.history.seen);
    if (claims.length === 0) return;
    const until = performance.now() + BUDGET_MS;
    const start = this.checked % claims.length;
    for (let i = 0; i < claims.length; i++) {
      if (performance.now() > until) {
        this.passedOver += claims.length - i;
        return;
      }
      this.check(claims[(start + i) % claims.length] as Claim);
    }
  }

  private momentsAt(position: number): Moment[] {
    if (this.era !== this.history.era) this.moments.clear();
    this.era = this.history.era;
    let moments = this.moments.get(position);
    if (!moments) {
      moments = this.history.states(position).map((state) => new Moment(this.world, this.history, state));
      this.moments.set(position, moments);
      const oldest = this.moments.keys().next().value;
      if (this.moments.size > MOMENTS_MAX && oldest !== undefined) this.moments.delete(oldest);
    }
    return moments;
  }

  // Holds a claim against every moment it may be about; those that it contradicts are none for later claims.
  private against(claim: Claim, compare: (moment: Moment) => void): void {
    const { position } = claim.document;
    const moments = this.momentsAt(position);
    if (moments.length === 0) {
      this.forgotten++;
      return;
    }
    this.checked++;
    if (moments.length > 1) this.ambiguous++;
    let first: Divergence | null = null;
    const right = moments.filter((moment) => {
      try {
        compare(moment);
        return true;
      } catch (error) {
        if (!(error instanceof Divergence)) throw error;
        first ??= error;
        return false;
      }
    });
    if (right.length === 0 && first) throw first;
    this.moments.set(position, right);
  }

  check(claim: Claim): void {
    const { position } = claim.document;
    if (position > this.history.seen)
      this.fail(claim, `stands at ${position}, but the database has only come to ${this.history.seen}`);
    const torn = this.history.torn(position);
    if (torn) this.fail(claim, `stands inside a transaction: ${torn}`);
    this.against(claim, (moment) => this.compare(claim, moment));
  }

  private compare(claim: Claim, moment: Moment): void {
    const { asked, caller, document } = claim;
    const held = document.ids.map((id) => document.rows[id] as Row);
    const limit = this.exact ? windowOf(claim) : Math.max(asked.limit, held.length);
    const expected = moment.answer(asked, caller, limit);
    this.compareRows(claim, moment, expected.rows, held);
    if (document.total !== expected.total && !asked.id)
      this.fail(claim, `total is ${document.total}, should be ${expected.total}`);
    if (this.exact && document.end !== null && document.end !== expected.end)
      this.fail(claim, `end is ${document.end}, should be ${expected.end}`);
    if (this.exact) this.compareIncluded(claim, moment, expected);
  }

  // What GET answered, as the server wrote it.
  checkAnswer(claim: Claim, status: number, body: Partial<Answer> & Row): void {
    const { asked, caller } = claim;
    if (isNever(this.world, asked.model, asked.model.read, caller)) {
      if (status !== 401 && caller.id === null) this.fail(claim, `GET answers ${status}, should be 401`);
      if (caller.id === null) return;
    }
    if (status !== 200 && !(asked.id && status === 404)) this.fail(claim, `GET answers ${status}`);
    this.against(claim, (moment) => this.compareAnswer(claim, moment, status, body));
  }

  private compareAnswer(claim: Claim, moment: Moment, status: number, body: Partial<Answer> & Row): void {
    const { asked, caller } = claim;
    const expected = moment.answer(asked, caller, asked.limit);
    if (asked.id) {
      this.compareRows(claim, moment, expected.rows, status === 200 ? [body as Row] : []);
      return;
    }
    this.compareRows(claim, moment, expected.rows, body.rows ?? []);
    if (body.total !== expected.total)
      this.fail(claim, `GET: total is ${body.total}, should be ${expected.total}`);
    for (const field of asked.includes)
      if (!isDeepStrictEqual(body.included?.[field.name], expected.included[field.name]))
        this.fail(claim, `GET: included.${field.name} differs`);
  }

  private compareRows(claim: Claim, moment: Moment, expected: Row[], held: Row[]): void {
    for (let i = 0; i < Math.max(expected.length, held.length); i++) {
      const [want, have] = [expected[i], held[i]];
      if (isDeepStrictEqual(want, have)) continue;
      const about = [...new Set([want?.id, have?.id])].filter((id) => id !== undefined);
      const histories = about.map(
        (id) => `  ${id} was\n${this.history.describe(claim.asked.model.name, id, moment.state)}`,
      );
      this.fail(
        claim,
        `row ${i} of ${held.length} (expected ${expected.length}) differs\n` +
          `  expected ${JSON.stringify(want) ?? "nothing"}\n  got      ${JSON.stringify(have) ?? "nothing"}\n` +
          histories.join("\n"),
      );
    }
  }

  // Included rows may be held after the row that named them has gone, but never without the right to read them.
  private compareIncluded(claim: Claim, moment: Moment, expected: Answer): void {
    for (const field of claim.asked.includes) {
      const held = (claim.document.included[field.name] ?? {}) as Record<string, Row>;
      for (const [id, row] of Object.entries(expected.included[field.name] ?? {}))
        if (!isDeepStrictEqual(held[id], row))
          this.fail(
            claim,
            `included.${field.name} ${id} differs\n  expected ${JSON.stringify(row)}\n  got      ${JSON.stringify(held[id])}\n` +
              this.history.describe(field.to ?? "", id, moment.state),
          );
      for (const id of Object.keys(held))
        if (!moment.mayHold(field, id, claim.caller))
          this.fail(claim, `included.${field.name} ${id} is held, but may not be read (any more)`);
    }
  }

  // What is kept on the device: nothing that may not be read any more.
  checkKept(claim: Claim, ids: Set<string>): void {
    this.against(claim, (moment) => this.compareKept(claim, moment, ids));
  }

  private compareKept(claim: Claim, moment: Moment, ids: Set<string>): void {
    for (const id of ids) {
      const found = moment.find(id);
      const histories = this.world.models.map((model) => this.history.describe(model.name, id, moment.state));
      const was = histories.filter((text) => text !== "").join("\n");
      if (!found) this.fail(claim, `${id} is kept on the device, but is gone; it was\n${was}`);
      if (!moment.reads(claim.caller, found.model, found.row))
        this.fail(claim, `${id} is kept on the device, but may not be read (any more); it was\n${was}`);
      this.kept++;
    }
  }

  fail(claim: Claim, what: string): never {
    const { asked, caller, client, document } = claim;
    throw new Divergence(
      `${client} (${caller.name}${caller.staff ? ", staff" : ""}) ${asked.url}\n` +
        `  at position ${document.position}, ${document.status}: ${what}\n` +
        `  read rule: ${JSON.stringify(asked.model.read)}, order: ${document.order ?? asked.model.order}`,
    );
  }
}

// Rows that the client has asked for: the server tells it with each window.
function windowOf({ asked, document }: Claim): number {
  return (document as { limit?: number | null }).limit ?? asked.limit;
}
