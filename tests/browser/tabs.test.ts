// Two tabs of one person, and the server's end of them: one socket, handed on when its tab is closed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { leave, messageOn, onStage, visitAs } from "../browser.ts";
import { signedIn } from "../client.ts";
import { until } from "../server.ts";

const { server, browser, chat } = await onStage({ front: true, chat: "Welcome" });

async function openSockets(): Promise<number> {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^tims_live_sessions (\d+)$/m.exec(metrics)?.[1]);
}
const hasSockets = (count: number) =>
  until(`${count} open sockets`, async () => (await openSockets()) === count);

test("two tabs share one socket, and the second goes on when the first is closed", async () => {
  const { context, page: first, complaints } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  const friend = await signedIn(server, "testUser0");
  const say = async (text: string) =>
    assert.equal((await friend.post("/api/messages/", { chat, text })).status, 201);
  await hasSockets(1);
  const second = await context.newPage();
  await second.goto(`${server.url}/chat/${chat}`);
  await say("to both");
  await Promise.all([messageOn(first, "to both").waitFor(), messageOn(second, "to both").waitFor()]);
  assert.equal(await openSockets(), 1);

  const closing = first.close();
  for (let i = 0; i < 20; i++) await say(`handed on ${i}`);
  await closing;
  await say("to the second");
  await messageOn(second, "to the second").waitFor();
  for (let i = 0; i < 20; i++) assert.equal(await messageOn(second, `handed on ${i}`).count(), 1, String(i));
  await hasSockets(1);
  assert.deepEqual(complaints, []);
  await leave(context);
  await hasSockets(0);
});

test("a sign-out in one tab empties the other", async () => {
  const { context, page: first } = await visitAs(browser, server, "demo", "/profile");
  const second = await context.newPage();
  await second.goto(`${server.url}/chat/${chat}`);
  await messageOn(second, "to both").waitFor();
  await first.getByRole("button", { name: "Sign out", exact: true }).click();
  await second.locator("[data-message]").first().waitFor({ state: "detached" });
  assert.ok(!(await second.locator("body").innerText()).includes("to both"));
  // Both may be on their way to another page: the browser's end closes them.
});
