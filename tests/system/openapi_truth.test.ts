// What the API's document says is what the program does: for every operation good, edge and bad requests, made from the
// document, and each answer held against it: no status it does not name, no field missing, none too many.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  type Api,
  badValues,
  type Call,
  callsOf,
  goodValues,
  Judge,
  type Parameter,
  type Schema,
  type Told,
  urlText,
} from "../openapi.ts";
import { makePng } from "../pictures.ts";
import { password, run, type Server, startServer, until } from "../server.ts";

let server: Server;
let api: Api;
let judge: Judge;
const known: Record<string, string> = {}; // ids and names that stand for something in the demo
const done = new Set<string>(); // operations that have succeeded

type Body = string | FormData | undefined;

async function ask(
  method: string,
  path: string,
  token?: string,
  body?: Body,
  headers: Record<string, string> = {},
): Promise<Told> {
  for (;;) {
    const sent: Record<string, string> = { ...headers };
    if (token) sent.authorization = `Bearer ${token}`;
    if (typeof body === "string") sent["content-type"] ??= "application/json";
    const answer = await fetch(server.url + path, { method, body, headers: sent, redirect: "manual" });
    const told = {
      status: answer.status,
      type: (answer.headers.get("content-type") ?? "").split(";")[0] as string,
      text: await answer.text(),
    };
    if (told.status !== 429) return told;
    const seconds = Number(answer.headers.get("retry-after") ?? 1); // as a client does it
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
}

async function tokenOf(username: string): Promise<string> {
  const told = await ask("POST", "/api/auth/token/", undefined, JSON.stringify({ username, password }));
  assert.equal(told.status, 201, told.text);
  return JSON.parse(told.text).token;
}

async function firstId(path: string, token: string): Promise<string> {
  return JSON.parse((await ask("GET", path, token)).text).rows[0].id;
}

before(async () => {
  server = await startServer();
  api = JSON.parse((await ask("GET", "/api/schema.json")).text);
  judge = new Judge(api);
  const demo = await tokenOf("demo");
  known.chat = JSON.parse((await ask("GET", "/api/chats/", demo)).text).rows.find(
    (row: { title: string }) => row.title === "Welcome",
  ).id;
  known.user = await firstId("/api/users/?username=testUser7", demo);
  known.me = await firstId("/api/users/?username=demo", demo);
  const later = JSON.stringify({ task: "export_chat", arguments: { chat: known.chat }, delay_s: 9999 });
  known.job = JSON.parse((await ask("POST", "/api/tasks/", demo, later)).text).id;
  known.username = "testUser7";
  known.task = "export_chat";
  known.queue = "default";
  known.platform = "fcm";
  known.old = password;
  const form = new FormData();
  form.set("file", new Blob([new Uint8Array(makePng(8, 8))], { type: "image/png" }), "a.png");
  const sent = await ask("POST", `/api/chats/${known.chat}/pictures/`, demo, form);
  known.picture = JSON.parse(sent.text).picture;
  await makeDead(demo);
});
after(async () => {
  await server.stop();
  server.remove();
});

// Jobs that are given up, for what is done about those: they export a chat that is not there.
async function makeDead(token: string): Promise<void> {
  const chat = "019ac000-0000-7000-8000-00000000dead";
  for (let i = 0; i < 3; i++)
    await ask("POST", "/api/tasks/", token, JSON.stringify({ task: "export_chat", arguments: { chat } }));
  await untilDead(token, 3);
}

// One that was retried dies again, in a moment.
const untilDead = (token: string, count: number) =>
  until("dead jobs", async () => {
    const { total } = JSON.parse((await ask("GET", "/api/tasks/dead/", token)).text);
    return total >= count;
  });

// --- paths ------------------------------------------------------------------------------------------------------

// Whose bearer an operation is tried with; what ends sessions or changes passwords has people of its own.
const people: Record<string, string> = {
  logout: "testUser4",
  logoutEverywhere: "testUser5",
  changePassword: "testUser6",
  deleteToken: "testUser4",
  refreshToken: "testUser4",
};

async function pathParameter(call: Call, parameter: Parameter, token: string): Promise<string> {
  if (call.operation.operationId === "cancelJob") return known.job as string;
  if (call.operation.operationId === "getAvatar") return known.me as string;
  if (parameter.name !== "id") {
    const name = call.path.includes("/schedules/") ? "sweep_chats" : known[parameter.name];
    return name ?? (known.queue as string);
  }
  const list = call.path.slice(0, call.path.indexOf("{"));
  if (list.endsWith("/dead/")) await untilDead(token, 1);
  const { rows } = JSON.parse((await ask("GET", list, token)).text);
  return rows[0]?.id ?? "019ac000-0000-7000-8000-000000000000";
}

async function realPath(call: Call, token: string): Promise<string> {
  let path = call.path;
  for (const parameter of call.operation.parameters.filter((one) => one.in === "path"))
    path = path.replace(`{${parameter.name}}`, await pathParameter(call, parameter, token));
  return path;
}

// --- bodies -------------------------------------------------------------------------------------------------------

// What the schema cannot say: a password that is none of the common ones, a name that nobody has, things that exist.
function likely(call: Call, name: string, schema: Schema): unknown {
  const { operationId } = call.operation;
  if (name === "username" && operationId === "register") return `new${crypto.randomUUID().slice(0, 8)}`;
  if (name === "username") return "testUser3";
  if (name === "password") return operationId === "register" ? "correct horse 7 battery" : password;
  if (name === "new") return "correct horse 7 battery";
  if (name === "arguments") return { chat: known.chat };
  if (name === "members") return [known.user];
  if (name === "token" && operationId === "registerDevice") return `fcm-${crypto.randomUUID()}`;
  if (name === "task" && operationId === "retryDeadJobs") return "export_chat";
  if (name in known) return known[name];
  return goodValues(api, schema).at(-1);
}

// These have rules of their own beyond the schema, so that not every good value is one for them.
const choosy: Record<string, string[]> = {
  register: ["username", "password"],
  login: ["username", "password"],
  createToken: ["username", "password"],
  changePassword: ["old", "new"],
  enqueueJob: ["task", "arguments", "queue", "delay_s", "run_at"],
  registerDevice: ["platform", "token"],
  retryDeadJobs: ["task", "queue"],
  startChat: ["members"],
  createMember: ["chat", "user"],
  createMessage: ["chat"],
};

function schemaOf(call: Call): Schema | undefined {
  const ref = call.operation.requestBody?.content["application/json"]?.schema;
  return ref?.$ref ? api.components.schemas[ref.$ref.split("/").pop() as string] : ref;
}

function leastBody(call: Call, schema: Schema): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const name of schema.required ?? [])
    body[name] = likely(call, name, schema.properties?.[name] as Schema);
  if (call.operation.operationId === "retryDeadJobs") body.task = "export_chat";
  if (call.operation.operationId === "enqueueJob") body.arguments = { chat: known.chat };
  return body;
}

async function tell(call: Call, token: string | undefined, body: Body, what: string, path?: string) {
  const headers: Record<string, string> = {};
  const told = await ask(call.method, path ?? (await realPath(call, token ?? "")), token, body, headers);
  judge.check(call, told, what);
  if (told.status < 300) done.add(call.operation.operationId);
  return told;
}

async function tryBodies(call: Call, schema: Schema, path: string, fresh: () => Promise<string>) {
  const { operationId } = call.operation;
  const free = (name: string) => !choosy[operationId]?.includes(name);
  const accepted = async (body: object, what: string) => {
    const told = await tell(call, await fresh(), JSON.stringify(body), what, path);
    assert.ok(![400, 415, 422].includes(told.status), `${operationId}, ${what}, is refused: ${told.text}`);
  };
  const refused = async (body: unknown, what: string, pointer?: string) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const told = await tell(call, await fresh(), text, what, path);
    const { errors } = told.type.endsWith("json") ? JSON.parse(told.text) : { errors: undefined };
    assert.ok([400, 413, 422].includes(told.status), `${operationId}, ${what}, is taken: ${told.status}`);
    if (pointer)
      assert.ok(
        errors?.some((one: { pointer: string }) => one.pointer.startsWith(pointer)),
        `${operationId}, ${what}: the answer does not say where: ${told.text}`,
      );
  };
  await accepted(leastBody(call, schema), "the least");
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    for (const value of free(name) && property.format !== "uuid" ? goodValues(api, property) : [])
      await accepted(
        { ...leastBody(call, schema), [name]: value },
        `${name} ${JSON.stringify(value).slice(0, 40)}`,
      );
    for (const [why, value] of badValues(api, property))
      await refused({ ...leastBody(call, schema), [name]: value }, `${name}: ${why}`, `/${name}`);
  }
  for (const name of schema.required ?? [])
    await refused({ ...leastBody(call, schema), [name]: undefined }, `without ${name}`, `/${name}`);
  await refused({ ...leastBody(call, schema), no_such_field: 1 }, "a field more", "/no_such_field");
  await refused("[]", "a list");
  await refused("{", "no JSON");
  const odd = await ask(call.method, path, await fresh(), "a=b", { "content-type": "text/plain" });
  judge.check(call, odd, "plain text");
  assert.equal(odd.status, 415, `${operationId} takes plain text`);
}

async function tryMultipart(call: Call, path: string, token: string) {
  const schema = call.operation.requestBody?.content["multipart/form-data"]?.schema as Schema;
  const file = new Blob([new Uint8Array(makePng(9, 9))], { type: "image/png" });
  const form = (fields: Record<string, string>, withFile = true) => {
    const made = new FormData();
    for (const [name, value] of Object.entries(fields)) made.set(name, value);
    if (withFile) made.set("file", file, "a.png");
    return made;
  };
  await tell(call, token, form({}), "a picture", path);
  assert.equal((await tell(call, token, form({ text: "x" }, false), "no file", path)).status, 422);
  assert.equal((await tell(call, token, "{}", "no form", path)).status, 415);
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (name === "file") continue;
    for (const value of property.format === "uuid" ? [crypto.randomUUID()] : goodValues(api, property))
      assert.ok((await tell(call, token, form({ [name]: String(value) }), name, path)).status < 300);
    if (property.maxLength) {
      const long = form({ [name]: "x".repeat(property.maxLength + 1) });
      assert.equal((await tell(call, token, long, `${name} too long`, path)).status, 422);
    }
  }
}

// --- queries --------------------------------------------------------------------------------------------------------

async function tryQuery(call: Call, path: string, token: string) {
  const strict =
    call.operation.parameters.some((one) => one.$ref?.endsWith("IfNoneMatch")) && !isComputed(call);
  for (const parameter of call.operation.parameters.filter((one) => one.in === "query")) {
    const { name, schema } = parameter;
    const at = (value: string) => `${path}?${name}=${encodeURIComponent(value)}`;
    const each = name === "fields" ? (schema.items?.enum ?? []).map((field) => [field]) : [];
    for (const value of name === "cursor" ? [] : [...goodValues(api, schema), ...each]) {
      const told = await ask("GET", at(urlText(value) as string), token);
      judge.check(call, told, `?${name}=${value}`, name === "fields" ? (value as string[]) : undefined);
      assert.equal(told.status, 200, `${call.operation.operationId} ?${name}=${value}: ${told.text}`);
    }
    for (const [why, value] of strict ? badValues(api, schema) : []) {
      const text = urlText(value);
      if (text === null || schema.type === "array" || (schema.type === "string" && !/long|no /.test(why)))
        continue;
      if (schema.type === "integer" && why === "a truth") continue;
      const told = await ask("GET", at(text), token);
      judge.check(call, told, `?${name}: ${why}`);
      assert.equal(
        told.status,
        400,
        `${call.operation.operationId} takes ?${name}=${text.slice(0, 50)} (${why})`,
      );
    }
    if (schema.type === "array" && strict) {
      const told = await ask("GET", at("no such thing"), token);
      judge.check(call, told, `?${name} of nothing`);
      if (schema.items?.format || schema.items?.enum || schema.items?.type !== "string")
        assert.equal(told.status, 400, `${call.operation.operationId} ?${name}=no such thing`);
    }
  }
  if (!strict) return;
  const told = await ask("GET", `${path}?no_such_parameter=1`, token);
  judge.check(call, told, "a parameter more");
  assert.equal(told.status, 400);
}

// Computed endpoints read what they know of their query and nothing else.
function isComputed(call: Call): boolean {
  return !call.operation.parameters.some((one) => one.name === "fields");
}

// A list's links lead to documents of the same kind, and an ETag to nothing new.
async function tryPages(call: Call, path: string, token: string) {
  const first = await ask("GET", `${path}?limit=1`, token);
  judge.check(call, first, "a page of one");
  const { next } = JSON.parse(first.text);
  if (next === null) return;
  const second = await ask("GET", next, token);
  judge.check(call, second, "the page behind it");
  assert.equal(second.status, 200);
  judge.check(call, await ask("GET", JSON.parse(second.text).previous, token), "the page before it");
  judge.check(call, await ask("GET", `${path}?cursor=nonsense`, token), "a cursor of nobody");
}

async function tryStream(call: Call, path: string, token: string) {
  const leave = new AbortController();
  const answer = await fetch(server.url + path, {
    headers: { accept: "text/event-stream", authorization: `Bearer ${token}` },
    signal: leave.signal,
  });
  const type = (answer.headers.get("content-type") ?? "").split(";")[0] as string;
  assert.equal(answer.status, 200);
  judge.check(call, { status: 200, type, text: "" }, "a stream");
  const { value } = (await answer.body?.getReader().read()) ?? {};
  assert.match(new TextDecoder().decode(value), /^event: snap\n/);
  leave.abort();
}

// --- the test -------------------------------------------------------------------------------------------------------

async function tryOperation(call: Call): Promise<void> {
  const { operation } = call;
  const username = people[operation.operationId] ?? "demo";
  let token = await tokenOf(username);
  const changes = username !== "demo";
  const fresh = async () => {
    if (operation.operationId === "changePassword") await resetPassword(username);
    if (changes) token = await tokenOf(username);
    return token;
  };
  const path = await realPath(call, token);
  const isOpen =
    operation.security.length === 0 || operation.security.some((one) => Object.keys(one).length === 0);
  const nobody = await ask(call.method, path, undefined, operation.requestBody ? "{}" : undefined);
  judge.check(call, nobody, "by nobody");
  if (!isOpen) assert.equal(nobody.status, 401, `${operation.operationId} by nobody`);
  if (operation["x-websocket"]) {
    judge.check(call, await ask("GET", path, token), "without an upgrade");
    return;
  }
  if (operation.security.length > 0) {
    const wrong = await ask(call.method, path, "no-such-token", operation.requestBody ? "{}" : undefined);
    judge.check(call, wrong, "a wrong token");
    assert.equal(wrong.status, 401);
  }
  if (call.path.includes("{")) {
    const absent = call.path.replace(/\{\w+\}/g, "019ac000-0000-7000-8000-00000000beef");
    const told = await ask(call.method, absent, token, operation.requestBody ? "{}" : undefined);
    judge.check(call, told, "of nothing");
  }
  const schema = schemaOf(call);
  if (schema) await tryBodies(call, schema, path, fresh);
  else if (operation.requestBody) await tryMultipart(call, path, token);
  else await tell(call, await fresh(), undefined, "as it is", path);
  if (call.method !== "GET") return;
  await tryQuery(call, path, token);
  if (operation.parameters.some((one) => one.name === "limit")) await tryPages(call, path, token);
  if (operation.responses["200"]?.content?.["text/event-stream"]) await tryStream(call, path, token);
}

async function resetPassword(username: string): Promise<void> {
  const fresh = "correct horse 7 battery";
  const told = await ask(
    "POST",
    "/api/auth/token/",
    undefined,
    JSON.stringify({ username, password: fresh }),
  );
  if (told.status !== 201) return;
  const back = JSON.stringify({ old: fresh, new: password });
  const answer = await ask("POST", "/api/auth/password/", JSON.parse(told.text).token, back);
  assert.equal(answer.status, 200, answer.text);
}

test("every operation answers as the document says, to good, edge and bad requests", async (t) => {
  // What takes away comes last, so that there is something to read before.
  const order = (call: Call) => (call.method === "DELETE" ? 2 : call.path.includes("/dead/") ? 1 : 0);
  for (const call of callsOf(api).sort((a, b) => order(a) - order(b)))
    await t.test(call.operation.operationId, () => tryOperation(call));
});

test("the judge refuses what is not documented", () => {
  const call = callsOf(api).find((one) => one.operation.operationId === "getChat") as Call;
  const row = {
    id: known.chat,
    title: "A",
    created_by: known.me,
    created_at: "2026-11-23T20:37:18.123456Z",
    last_message_at: "2026-11-23T20:37:18.123456Z",
  };
  const say =
    (status: number, body: object, type = "application/json") =>
    () =>
      judge.check(call, { status, type, text: JSON.stringify(body) }, "this");
  say(200, row)();
  assert.throws(say(202, row), /a status that is not documented/);
  assert.throws(say(200, row, "text/html"), /a type that is not documented/);
  assert.throws(say(304, row), /a body where none is documented/);
  assert.throws(say(200, { ...row, title: undefined }), /must have required property 'title'/);
  assert.throws(say(200, { ...row, more: 1 }), /must NOT have additional properties/);
  assert.throws(say(200, { ...row, created_by: "somebody" }), /must match format "uuid"/);
  const some = (body: object) => () =>
    judge.check(call, { status: 200, type: "application/json", text: JSON.stringify(body) }, "this", [
      "title",
    ]);
  some({ id: known.chat, title: "A" })();
  assert.throws(some({ id: known.chat }), /must have required property 'title'/);
  assert.throws(some({ title: 1 }), /must be string/);
  assert.throws(some({ title: "A", more: 1 }), /must NOT have additional properties/);
  assert.throws(some(row), /must NOT have more than/);
  assert.throws(
    say(404, { code: "not_found" }, "application/problem+json"),
    /must have required property 'type'/,
  );
});

test("every operation has succeeded at least once", () => {
  const never = callsOf(api)
    .filter(({ operation }) => !operation["x-websocket"] && !done.has(operation.operationId))
    .map(({ operation }) => operation.operationId);
  assert.deepEqual(never, []);
});

test("the program writes the same document without a database", () => {
  const text = run(server.folder, ["openapi"], { DATABASE_URL: "sqlite:/nowhere/at/all.sqlite" });
  assert.deepEqual(JSON.parse(text), api);
});
