/* Full jitter: a random pause below a ceiling that doubles, so that many clients do not return at once. */

export interface BackoffOptions {
  base_ms?: number;
  max_ms?: number;
  random?: () => number;
}

export function backoffMs(attempt: number, options: BackoffOptions = {}): number {
  const { base_ms = 500, max_ms = 30_000, random = Math.random } = options;
  const ceiling = Math.min(max_ms, base_ms * 2 ** Math.min(attempt, 16));
  return Math.floor(random() * ceiling);
}
