// A server that is killed and comes back: what was on the screens goes on, what was written meanwhile is there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { leave, messageOn, onStage, visitAs } from "../browser.ts";
import { nowSql } from "../database.ts";
import { sql } from "../server.ts";

const { server, browser, restart } = await onStage({ front: true });

test("nothing is missing after it, in either of two tabs", async () => {
  const chat = sql(server, "select id from chat where title = 'Welcome'");
  const { context, page: first, complaints } = await visitAs(browser, server, "demo", `/chat/${chat}`);
  const second = await context.newPage();
  await second.goto(`${server.url}/chat/${chat}`);
  const write = (text: string) =>
    sql(
      server,
      `insert into message (id, chat, sender, text, created_at)
       select '${crypto.randomUUID()}', '${chat}', id, '${text}', ${nowSql()}
       from "user" where username = 'testUser0'`,
    );
  write("before");
  for (const page of [first, second]) await messageOn(page, "before").waitFor();
  assert.deepEqual(complaints, []);

  await server.kill();
  for (let i = 0; i < 5; i++) write(`meanwhile ${i}`);
  sql(server, "delete from message where text = 'before'");
  await first.getByLabel("Message", { exact: true }).fill("said to nobody");
  await first.keyboard.press("Enter");
  await messageOn(first, "said to nobody").waitFor();

  await restart();
  for (const page of [first, second]) {
    for (let i = 0; i < 5; i++) await messageOn(page, `meanwhile ${i}`).waitFor();
    await messageOn(page, "before").waitFor({ state: "detached" });
    await messageOn(page, "said to nobody").waitFor();
    for (let i = 0; i < 5; i++) assert.equal(await messageOn(page, `meanwhile ${i}`).count(), 1);
    assert.equal(await messageOn(page, "said to nobody").count(), 1);
  }
  assert.equal(sql(server, "select count(*) from message where text = 'said to nobody'"), "1");
  assert.deepEqual(
    complaints.filter((one) => !/WebSocket|ERR_CONNECTION_REFUSED/.test(one)),
    [],
  );
  await leave(context);
});
