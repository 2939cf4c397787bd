/* Clients of most tests have their connection at once; how it is loaded is offline.test.ts's. */
import { loadLive } from "../src/client";

await loadLive();
