// A long chat: day lines, older messages on demand, and a place that is kept while others write.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { findings, leave, onStage, signIn, visit, visitAs } from "../browser.ts";
import { signedIn } from "../client.ts";
import { writeMessages } from "../messages.ts";
import { sql, until } from "../server.ts";

const COUNT = 2000;
const IN_DOCUMENT_MAX = 120;

const { server, browser, chat } = await onStage({ front: true, chat: "Recipes" });
sql(server, `delete from message where chat = '${chat}'`);
writeMessages(server, chat, COUNT, (n) => `Number ${n}${n % 7 === 0 ? " and more words, ".repeat(20) : ""}`);

interface Seen {
  n: number;
  top: number;
}

/** The numbered messages that can be seen, and where they stand. */
function seen(page: Page): Promise<Seen[]> {
  return page.evaluate(() => {
    const box = document.querySelector("[aria-label=Messages]") as HTMLElement;
    const { top, bottom } = box.getBoundingClientRect();
    return [...document.querySelectorAll<HTMLElement>("[data-message]")].flatMap((message) => {
      const place = message.getBoundingClientRect();
      const number = /Number (\d+)/.exec(message.innerText)?.[1];
      const visible = place.bottom > top && place.top < bottom;
      return number && visible ? [{ n: Number(number), top: place.top - top }] : [];
    });
  });
}

/** Wheels and keys scroll on for a while. */
const comeToRest = (page: Page) =>
  page.evaluate(async () => {
    const box = document.querySelector("[aria-label=Messages]") as HTMLElement;
    for (let still = 0, top = Number.NaN; still < 5; ) {
      await new Promise(requestAnimationFrame);
      still = box.scrollTop === top ? still + 1 : 0;
      top = box.scrollTop;
    }
  });

const inDocument = (page: Page) => page.locator("[data-message]").count();

test("scrolling to the first of two thousand while another writes: no gap, nothing twice, no jump", async () => {
  const { page, context, complaints } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  await page.getByText(`Number ${COUNT}`).waitFor();
  const friend = await signedIn(server, "testUser3");
  let sent = 0;
  const met = new Set<number>();
  const box = page.getByLabel("Messages");
  const place = await box.boundingBox();
  assert.ok(place);
  await page.mouse.move(place.x + place.width / 2, place.y + place.height / 2);
  for (let step = 0; !met.has(1); step++) {
    const now = await seen(page);
    const numbers = now.map(({ n }) => n);
    assert.deepEqual(
      numbers,
      numbers.map((_, i) => (numbers[0] ?? 0) + i),
      "in their order, each once",
    );
    for (const n of numbers) met.add(n);
    if (step % 5 === 4) {
      const text = `Meanwhile ${++sent}`;
      const answer = await friend.post("/api/messages/", { chat, text });
      assert.equal(answer.status, 201);
      await comeToRest(page);
      const before = await seen(page);
      await page.getByText(new RegExp(`^${sent} new message`)).waitFor();
      const after = await seen(page);
      const one = before[Math.floor(before.length / 2)] as Seen;
      const same = after.find(({ n }) => n === one.n);
      assert.ok(same && Math.abs(same.top - one.top) <= 1, `${one.n} stays where it is`);
    }
    assert.ok((await inDocument(page)) <= IN_DOCUMENT_MAX, "the document stays small");
    const first = numbers[0];
    await page.mouse.wheel(0, -(place.height * 0.7));
    await until("the list to move", async () => {
      const [top] = await seen(page);
      return top && (top.n !== first || top.n === 1);
    });
    await comeToRest(page); // else the next turn of the wheel adds to this one, and what is between is never seen
  }
  assert.equal(met.size, COUNT);
  await page.getByRole("button", { name: /new messages/ }).click();
  await page.getByText(`Meanwhile ${sent}`, { exact: true }).waitFor();
  assert.deepEqual(complaints, []);
  await leave(context);
});

/** Where it is between one and two at night now. */
function zoneAfterMidnight(): string {
  const east = (1 - new Date().getUTCHours() + 24) % 24;
  const offset = east > 14 ? east - 24 : east;
  return `Etc/GMT${offset > 0 ? "-" : "+"}${Math.abs(offset)}`; // these names count the other way round
}

test("each day begins with its name, in the reader's time", async () => {
  const timezoneId = zoneAfterMidnight();
  const { page, context } = await visitAs(browser, server, "demo", `/chat/${chat}`, { timezoneId });
  await page.getByLabel("Messages").focus();
  const hour = new Intl.DateTimeFormat("en", { timeZone: timezoneId, hour: "numeric", hourCycle: "h23" });
  // The oldest message that is loaded has a line, too, whatever its hour; the others are the first of a day there.
  const day = await until("today's line", async () => {
    await page.keyboard.press("PageUp");
    const lines = await page.evaluate(() =>
      [...document.querySelectorAll("li > p time")].map((line) => [
        line.getAttribute("datetime") ?? "",
        line.textContent ?? "",
      ]),
    );
    return lines.find(([iso]) => hour.format(new Date(iso ?? "")) === "00")?.[1];
  });
  assert.equal(day, "Today");
  await leave(context);
});

test("without JavaScript the newest page is there", async () => {
  const { page, context } = await visit(browser);
  await signIn(page, server, "demo");
  const plain = await visit(browser, {
    javaScriptEnabled: false,
    storageState: await context.storageState(),
  });
  await plain.page.goto(`${server.url}/chat/${chat}`);
  assert.equal(await inDocument(plain.page), 50);
  assert.match(await plain.page.content(), /writing needs it/);
  await leave(plain.context);
  await leave(context);
});

test("a long chat has no serious finding, and the newest message is reached by keyboard", async () => {
  const { page, context } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  await page.getByLabel("Messages").focus();
  for (let i = 0; i < 3; i++) await page.keyboard.press("PageUp");
  const button = page.getByRole("button", { name: "To the newest message" });
  await button.waitFor();
  assert.deepEqual(await findings(page), []);
  await button.focus();
  await page.keyboard.press("Enter");
  await button.waitFor({ state: "detached" });
  await leave(context);
});

test("with reduced motion nothing is animated", async () => {
  const { page, context } = await visitAs(browser, server, "demo", `/chat/${chat}`, {
    reducedMotion: "reduce",
  });
  await comeToRest(page); // a list that comes to life begins at its end
  await page.getByLabel("Messages").focus();
  for (let i = 0; i < 3; i++) await page.keyboard.press("PageUp");
  const button = page.getByRole("button", { name: "To the newest message" });
  await button.waitFor();
  await comeToRest(page);
  const steps = await page.evaluate(async () => {
    const box = document.querySelector("[aria-label=Messages]") as HTMLElement;
    const tops = new Set<number>();
    (document.querySelector("[aria-label='To the newest message']") as HTMLElement).click();
    for (let frame = 0; frame < 30; frame++) {
      await new Promise(requestAnimationFrame);
      tops.add(Math.round((box.scrollHeight - box.clientHeight - Math.abs(box.scrollTop)) / 50));
    }
    return tops.size;
  });
  assert.ok(steps <= 3, `it came in ${steps} steps`);
  await leave(context);
});
