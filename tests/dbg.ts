import { keptIn, launch, rendering, visitAs } from "./browser.ts";
import { sql, startServer } from "./server.ts";

const server = await startServer({ front: true });
const browser = await launch();
await rendering(server);
const chat = sql(server, "select id from chat where title = 'Welcome'");
const other = sql(server, "select id from chat where title = 'Weekend plans'");
const { context, page, complaints } = await visitAs(browser, server, "demo", "/chat/" + chat);
await page.waitForFunction(() => navigator.serviceWorker.controller?.state === "activated");
const show = async (w: string) =>
  console.log(w, (await page.locator("body").innerText()).replace(/\n/g, " | ").slice(0, 700));
await page.goto(`${server.url}/chat/${other}`);
await page.locator("[data-message]").first().waitFor();
await page.goto(`${server.url}/chat/${chat}`);
await page.locator("[data-message]").first().waitFor();
console.log((await keptIn(page)).length);
const keys = () =>
  page.evaluate(
    () =>
      new Promise((resolve) => {
        const o = indexedDB.open("tims");
        o.onsuccess = () => {
          const a = o.result.transaction("records").objectStore("records").getAllKeys();
          a.onsuccess = () => resolve(a.result);
        };
      }),
  );
console.log(await keys());
await server.stop();
context.on("console", (m) => console.log("console", m.text().slice(0, 200)));
page.on("pageerror", (f) => console.log("err", f));
console.log((await page.reload())?.status());
await new Promise((r) => setTimeout(r, 3000));
await show("1");
await page.getByRole("navigation", { name: "Chats" }).getByText("Weekend plans").click();
await page.waitForURL(`**/chat/${other}`);
await new Promise((r) => setTimeout(r, 4000));
await show("2");
console.log(await keys());
await browser.close();
server.remove();
