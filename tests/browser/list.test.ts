// list.test.ts: @tims/client/list in a real browser: what is in the document, and where it stands, while rows come.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { launch, shiftsOn, watchShifts } from "../browser.ts";
import { type Example, serveExample } from "../example.ts";
import { until } from "../server.ts";

interface Feed {
  later(work: () => void): void;
  add(text?: string): { id: string };
  remove(at?: number): void;
  change(at?: number, text?: string): { n: number } | undefined;
  rows: { n: number; id: string }[];
}
declare const window: { feed: Feed; list: { scrollToRow(key: string): boolean; scrollToEnd(): void } };

let browser: Browser;
let example: Example;

before(async () => {
  [browser, example] = await Promise.all([launch(), serveExample()]);
});
after(async () => {
  await browser?.close();
  example?.close();
});

async function open(query: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 390, height: 700 } });
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  await watchShifts(page);
  await page.goto(`${example.url}/list.html?${query}`);
  await page.locator("[data-row]").first().waitFor();
  page.on("close", () => assert.deepEqual(complaints, []));
  return page;
}

// The rows that can be seen: their numbers, and where they begin.
function seen(page: Page): Promise<{ n: number; top: number }[]> {
  return page.evaluate(() => {
    const box = document.querySelector("section") as HTMLElement;
    const { top, bottom } = box.getBoundingClientRect();
    return Array.from(document.querySelectorAll<HTMLElement>("[data-row]"))
      .map((row) => ({ n: Number(row.dataset.row), at: row.getBoundingClientRect() }))
      .filter(({ at }) => at.bottom > top && at.top < bottom)
      .map(({ n, at }) => ({ n, top: at.top - top }));
  });
}
const inDocument = (page: Page) => page.locator("[data-row]").count();
const height = (page: Page) => page.evaluate(() => document.querySelector("section")?.scrollHeight ?? 0);
const settled = (page: Page) =>
  page.evaluate(
    () =>
      new Promise<void>((resolve) => {
        let left = 4; // frames without a change of the document
        const observer = new MutationObserver(() => {
          left = 4;
        });
        observer.observe(document.body, { subtree: true, childList: true, attributes: true });
        const frame = () => {
          left--;
          if (left > 0) requestAnimationFrame(frame);
          else {
            observer.disconnect();
            resolve();
          }
        };
        requestAnimationFrame(frame);
      }),
  );
const scrollBy = async (page: Page, y: number) => {
  await page.mouse.move(195, 300);
  await page.mouse.wheel(0, y);
  await settled(page);
};
// Where one row stands; rows that are not there say so.
async function topOf(page: Page, n: number): Promise<number> {
  const row = (await seen(page)).find((one) => one.n === n);
  assert.ok(row, `row ${n} is seen`);
  return row.top;
}
async function assertStays(page: Page, what: () => Promise<unknown>): Promise<void> {
  const rows = await seen(page);
  const middle = rows[Math.floor(rows.length / 2)] as { n: number; top: number };
  await what();
  await settled(page);
  const moved = (await topOf(page, middle.n)) - middle.top;
  assert.ok(Math.abs(moved) <= 1, `row ${middle.n} has moved by ${moved} px`);
}
const windowed = (page: Page) =>
  until("the engine has taken over", () =>
    page.evaluate(
      () => getComputedStyle(document.querySelector("section") as HTMLElement).flexDirection === "column",
    ),
  );

describe("a list that is anchored at its end", () => {
  test("begins at the newest row, and nothing moves when the engine takes over", async () => {
    const page = await open("rows=5000");
    await windowed(page);
    await settled(page);
    assert.equal((await seen(page)).at(-1)?.n, 5000);
    assert.deepEqual(await shiftsOn(page), []);
    await page.close();
  });

  test("goes back through all rows by scrolling alone, without a gap and without a jump", async () => {
    const page = await open("rows=400");
    await windowed(page);
    const met = new Set<number>();
    let least = Number.POSITIVE_INFINITY;
    for (let steps = 0; steps < 400 && !met.has(1); steps++) {
      const before = await seen(page);
      for (const { n } of before) met.add(n);
      await scrollBy(page, -350);
      const now = await seen(page);
      const same = now.find(({ n }) => before.some((row) => row.n === n));
      if (same) {
        const was = before.find(({ n }) => n === same.n) as { top: number };
        const moved = same.top - was.top;
        assert.ok(
          moved > -2 && moved < 352,
          `by one turn of the wheel row ${same.n} has moved by ${moved} px`,
        );
      }
      for (const [i, row] of now.entries()) {
        const below = now[i + 1];
        if (below) assert.equal(below.n, row.n + 1);
      }
      least = Math.min(least, now[0]?.n ?? least);
      for (const { n } of now) met.add(n);
    }
    assert.equal(least, 1);
    assert.equal(met.size, 400);
    assert.ok((await inDocument(page)) < 100, `${await inDocument(page)} rows are in the document`);
    await page.close();
  });

  test("keeps what is read in its place while older rows are loaded and newer ones come", async () => {
    const page = await open("rows=5000");
    await windowed(page);
    await scrollBy(page, -1_500);
    await assertStays(page, () => page.evaluate(() => window.feed.add("a new one")));
    await assertStays(page, () =>
      page.evaluate(() => {
        for (let i = 0; i < 20; i++) window.feed.add();
      }),
    );
    await assertStays(page, () => page.evaluate(() => window.feed.remove(0)));
    await page.getByRole("button", { name: "To the newest" }).click();
    await until("the newest is seen", async () => (await seen(page)).at(-1)?.n === 5020);
    await page.close();
  });

  test("a jump to the first row that is loaded ends there, though older ones come meanwhile", async () => {
    const page = await open("rows=5000");
    await windowed(page);
    const before = await height(page);
    const first = 4951; // of the fifty that come with the page
    assert.ok(
      await page.evaluate((n) => {
        window.feed.later = (work) => requestAnimationFrame(() => work()); // they come while the jump is under way
        const row = window.feed.rows.find((one) => one.n === n);
        return row !== undefined && window.list.scrollToRow(row.id);
      }, first),
    );
    await until("older rows", async () => (await height(page)) > before);
    await settled(page);
    assert.ok((await seen(page)).some(({ n }) => n === first));
    await page.close();
  });

  test("keeps its place when a row above or below becomes another height", async () => {
    const page = await open("rows=300");
    await windowed(page);
    await scrollBy(page, -1_500);
    const long = "a much longer text ".repeat(60);
    const [first] = await seen(page);
    for (const offset of [-2, 12])
      await assertStays(page, () =>
        page.evaluate(
          ([n, text]) =>
            window.feed.change(
              window.feed.rows.findIndex((row) => row.n === n),
              text,
            ),
          [(first?.n ?? 0) + offset, long] as const,
        ),
      );
    await page.close();
  });

  test("follows new rows while the reader is at the end", async () => {
    const page = await open("rows=5000");
    await windowed(page);
    for (let i = 1; i <= 5; i++) {
      await page.evaluate(() => window.feed.add());
      await until(`row ${5000 + i} is seen`, async () => (await seen(page)).at(-1)?.n === 5000 + i);
    }
    await page.close();
  });
});
