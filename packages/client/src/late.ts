/* Parts of the package that come later, and may not come at once: asked for again, and the truth once its part is there. */

import type { Offline } from "./offline/index";
import type { ConnectionTruth } from "./offline/truth";

/** A part could not be loaded: again after that, and then less often. */
const LOAD_AGAIN_MS = 2_000;

/** The pause after that many attempts, in ms. */
export function againMs(attempts: number): number {
  return Math.min(attempts, 10) * LOAD_AGAIN_MS;
}

/** Offline until the part that knows the truth could be loaded; then what that one tells. */
export function watchOnceLoaded(
  load: () => Promise<Offline | null>,
  listener: (truth: ConnectionTruth) => void,
): () => void {
  let stop = () => {};
  let isLeft = false;
  const look = async (attempt: number) => {
    const offline = await load();
    if (isLeft) return;
    if (offline) {
      stop = offline.truth.watch(listener);
      return;
    }
    if (attempt === 1) listener({ state: "offline", since: Date.now(), waiting: 0 });
    const timer = setTimeout(look, againMs(attempt), attempt + 1);
    stop = () => clearTimeout(timer);
  };
  void look(1);
  return () => {
    isLeft = true;
    stop();
  };
}
