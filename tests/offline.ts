// offline.ts: taking the network away from pages at a chosen moment, and looking into what they keep.
import assert from "node:assert/strict";
import type { BrowserContext, Locator, Page, WebSocketRoute } from "playwright-core";
import { messageOn } from "./browser.ts";
import { type Server, sql, until } from "./server.ts";

export const banner = (page: Page, state: string): Locator => page.locator(`[data-connection="${state}"]`);

export async function write(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
  await messageOn(page, text).waitFor();
}

// The one message, with what is said below it.
export const bubble = (page: Page, text: string): Locator =>
  page.locator("[data-message]").filter({ hasText: text });
export const waits = (page: Page, text: string): Promise<void> =>
  bubble(page, text).getByText("Waits for the connection").waitFor();

export function stored(server: Server, like: string): string[] {
  const found = sql(server, `select text from message where text like '${like}' order by created_at, id`);
  return found === "" ? [] : found.split("\n");
}

// It is there, once, on the server and on the page, and nothing more is to be done about it.
export async function isSentOnce(server: Server, page: Page, text: string): Promise<void> {
  await until(`"${text}" to arrive`, () => stored(server, text).length > 0);
  await until(`"${text}" to be settled`, async () => {
    const kept = await recordsIn(page);
    const isOpen = kept.some(([key, value]) => key.startsWith("m:") && value.includes(text));
    return !isOpen && !(await bubble(page, text).getByText("Waits for").count());
  });
  assert.deepEqual(stored(server, text), [text]);
  assert.equal(await messageOn(page, text).count(), 1);
}

export function recordsIn(page: Page): Promise<[string, string][]> {
  return page.evaluate(
    () =>
      new Promise<[string, string][]>((resolve, reject) => {
        const opening = indexedDB.open("tims");
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
          const store = opening.result.transaction("records").objectStore("records");
          const keys = store.getAllKeys();
          const values = store.getAll();
          values.onerror = () => reject(values.error);
          values.onsuccess = () => {
            opening.result.close();
            resolve(keys.result.map((key, i) => [String(key), String(values.result[i])]));
          };
        };
      }),
  );
}

export async function changeRecords(page: Page, changes: [string, string][]): Promise<void> {
  await page.evaluate(
    (puts) =>
      new Promise<void>((resolve, reject) => {
        const opening = indexedDB.open("tims");
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
          const transaction = opening.result.transaction("records", "readwrite");
          for (const [key, value] of puts) transaction.objectStore("records").put(value, key);
          transaction.onabort = () => reject(transaction.error);
          transaction.oncomplete = () => {
            opening.result.close();
            resolve();
          };
        };
      }),
    changes,
  );
}

export const keeps = (page: Page, what: string, start = ""): Promise<unknown> =>
  until(`the cache to keep ${what}`, async () =>
    (await recordsIn(page)).some(([key, value]) => key.startsWith(start) && value.includes(what)),
  );

// The roads to the server, each of which a test may close. The files of the app are served all the same, as from an
// installed app or by a service worker.
export class Roads {
  private closed = false;
  private mute = false;
  private held: Promise<void> | null = null;
  private readonly sockets = new Set<WebSocketRoute>();

  static async of(context: BrowserContext): Promise<Roads> {
    const roads = new Roads();
    await context.route(/\/(api|page-data)\b/, async (route) => {
      await roads.held;
      await (roads.closed ? route.abort("internetdisconnected") : route.continue());
    });
    await context.routeWebSocket(/\/live$/, (socket) => roads.join(socket));
    return roads;
  }

  private join(socket: WebSocketRoute): void {
    if (this.closed) {
      void socket.close({ code: 1001 });
      return;
    }
    this.sockets.add(socket);
    const server = socket.connectToServer();
    server.onMessage((text) => {
      if (!this.mute) socket.send(text);
    });
    socket.onMessage((text) => server.send(text));
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.cut();
  }
  open(): void {
    this.closed = false;
  }
  async cut(): Promise<void> {
    for (const socket of this.sockets) await socket.close({ code: 1001 }).catch(() => {});
    this.sockets.clear();
  }
  // What is asked for gets no answer, not even that there is no network, until the returned function is called.
  hold(): () => void {
    let release = () => {};
    this.held = new Promise((resolve) => {
      release = resolve;
    });
    return () => {
      this.held = null;
      release();
    };
  }
  // Nothing comes from the socket any more, though it stands.
  silence(on: boolean): void {
    this.mute = on;
  }
}
