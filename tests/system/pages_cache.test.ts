// Pages from the cache: the HTML is what its loader would give now, whoever writes and however, and nobody sees what is
// another's. With a render program of the tests' own, which embeds the data as Next does and is quick.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Answer, Client, signedIn } from "../client.ts";
import { command, isShell, type Made, madeOf, makeFront, type PageData, setBuild } from "../renderer.ts";
import { makeFolder, run, type Server, sql, startServer, until } from "../server.ts";

const USERS = ["demo", "testUser0", "testUser1", "testUser2", "testUser3"];
let server: Server;
let front: string;
let people: Client[];
before(async () => {
  const folder = makeFolder();
  front = makeFront(folder);
  run(folder, ["migrate"]);
  run(folder, ["demo"]);
  server = await startServer({
    folder,
    env: {
      FRONT_DIRECTORY: front,
      RENDER_COMMAND: command,
      RENDER_PROCESSES: "2",
      RENDER_MEMORY_MAX: "256m",
      ACCESS_LOG: "false",
    },
  });
  await until("the render processes", async () => (await metric("tims_pages_processes")) === 2);
  people = await Promise.all(USERS.map((name) => signedIn(server, name)));
});
after(async () => {
  await server?.stop();
  server?.remove();
});

async function metric(name: string, of = server): Promise<number> {
  const text = await (await fetch(`${of.url}/metrics`)).text();
  const line = text.split("\n").find((one) => one.startsWith(`${name} `));
  assert.ok(line, `there is a metric ${name}`);
  return Number(line.slice(name.length + 1));
}

const kept = () => metric("tims_pages_kept_total");
const renders = () => metric("tims_pages_renders_total");
const chatIds = () => sql(server, "select id from chat order by id").split("\n");

async function pageData(client: Client, path: string): Promise<PageData | number> {
  const answer = await client.get(`/page-data?path=${encodeURIComponent(path)}`);
  return answer.status === 200 ? answer.json : answer.status;
}

async function page(client: Client, path: string): Promise<Made | number> {
  const answer = await client.get(path);
  if (answer.status === 303) return 401; // to the login
  return answer.status === 200 ? madeOf(answer.body) : answer.status;
}

// All but where it was read at.
function contentOf(data: PageData | number): unknown {
  if (typeof data === "number") return data;
  const live = Object.fromEntries(
    Object.entries(data.live).map(([url, document]) => [url, { ...document, position: undefined }]),
  );
  return { ...data, live, position: undefined };
}

const numberOf = (position: string) => Number(position.split("-").at(-1));

// What it shows is what the loader gives now; for that nothing may have changed between its two answers.
async function checkPage(client: Client, path: string): Promise<boolean> {
  const before = await pageData(client, path);
  const made = await page(client, path);
  const behind = await pageData(client, path);
  const expected = contentOf(before);
  try {
    assert.deepEqual(contentOf(behind), expected);
  } catch {
    return false; // somebody wrote meanwhile: nothing can be said
  }
  assert.deepEqual(
    contentOf(typeof made === "number" ? made : made.data),
    expected,
    `${path} is not what it is`,
  );
  if (typeof made !== "number" && typeof before !== "number")
    assert.ok(numberOf(made.data.position) <= numberOf((behind as PageData).position));
  return true;
}

const random = (() => {
  let state = Number(process.env.SEED ?? Date.now() % 1_000_000);
  console.log(`# SEED=${state}`);
  return (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % below;
  };
})();
const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T;

let written = 0;
// One change, by the API or by another program; refusals are fine, they change nothing.
async function write(chats: string[]): Promise<void> {
  const client = pick(people);
  const chat = pick(chats);
  const text = `secret of ${chat} ${++written}`;
  const member = `chat = '${chat}' and "user" = '${client.user.id}'`;
  switch (random(8)) {
    case 0:
    case 1:
      await client.post("/api/messages/", { chat, text });
      break;
    case 2:
      sql(
        server,
        `update message set text = '${text}' where id = (select id from message where chat = '${chat}' order by id desc limit 1)`,
      );
      break;
    case 3:
      sql(
        server,
        `delete from message where id = (select id from message where chat = '${chat}' order by id limit 1)`,
      );
      break;
    case 4:
      await client.post("/api/members/", { chat, user: pick(people).user.id });
      break;
    case 5:
      sql(server, `delete from member where ${member}`);
      break;
    case 6:
      await client.request("PATCH", "/api/auth/me/", { display_name: `${client.user.username} ${written}` });
      break;
    default:
      sql(server, `update chat set title = 'title ${chat} ${written}' where id = '${chat}'`);
  }
}

// The texts of this test name the chat they are of.
function checkSecrets(client: Client, made: Made | number, own: Set<string>): void {
  if (typeof made === "number") return;
  assert.equal(made.data.user?.id ?? null, client.user?.id ?? null, "the page is its reader's");
  for (const [, chat] of JSON.stringify(made.data).matchAll(/(?:secret of|title) ([0-9a-f-]{36})/g))
    assert.ok(own.has(chat as string), `${client.user?.username} sees the chat ${chat}`);
}

test("a page is what its loader gives, at once after any write, and no one sees what is another's", async () => {
  const chats = chatIds();
  const nobody = new Client(server);
  const paths = ["/", "/chats", "/profile", "/articles/live", ...chats.map((id) => `/chat/${id}`)];
  for (const chat of chats)
    sql(server, `update message set text = 'secret of ${chat}' where chat = '${chat}'`);
  let checked = 0;
  for (let round = 0; round < 20; round++) {
    // At the same time: what is said here is checked as far as nothing changes between.
    const results = await Promise.all([
      ...Array.from({ length: 4 }, () => write(chats).then(() => false)),
      ...Array.from({ length: 8 }, () => checkPage(pick(people), pick(paths))),
    ]);
    checked += results.filter(Boolean).length;
    // And now, without a moment between: every answered write is in every page.
    for (const client of [...people, nobody]) {
      const own = new Set(
        client.user
          ? sql(server, `select chat from member where "user" = '${client.user.id}'`).split("\n")
          : [],
      );
      for (const path of [pick(paths), pick(paths), "/chats"]) {
        checkSecrets(client, await page(client, path), own);
        assert.ok(await checkPage(client, path));
        checked++;
      }
    }
  }
  assert.ok(checked > 300);
  assert.ok((await kept()) > 200, "many of them were kept");
  assert.match(await (await fetch(`${server.url}/metrics`)).text(), /^tims_cache_stale_total 0$/m);
});

test("what is asked for again is not rendered again, and not sent again", async () => {
  const client = people[0] as Client;
  const first = await client.get("/chats");
  const before = await renders();
  const second = await client.get("/chats");
  assert.equal(second.body, first.body);
  assert.equal(await renders(), before);
  for (const answer of [first, second]) {
    assert.equal(answer.headers.get("cache-control"), "private, no-cache");
    const vary = answer.headers.get("vary")?.split(/, */).sort();
    assert.deepEqual(vary, ["Accept-Encoding", "Accept-Language", "Cookie"]);
  }
  const etag = first.headers.get("etag") ?? "";
  assert.match(etag, /^(W\/)?"/);
  const third = await client.get("/chats", { "if-none-match": etag });
  assert.equal(third.status, 304);
  assert.equal(third.body, "");
  for (const name of ["content-security-policy", "cache-control", "vary"])
    assert.equal(third.headers.get(name), first.headers.get(name), name);
  sql(server, `update "user" set display_name = 'Another' where username = 'demo'`);
  const fourth = await client.get("/chats", { "if-none-match": etag });
  assert.equal(fourth.status, 200);
  assert.equal(madeOf(fourth.body).data.user.display_name, "Another");
});

test("nobody's pages are one for all of them, and carry no cookie and no token", async () => {
  const [one, other] = [new Client(server), new Client(server)];
  const path = "/articles/shared";
  const first = await one.get(path);
  const before = await renders();
  const second = await other.get(path, { cookie: "theme=dark; tims_session=stale" });
  assert.equal(second.body, first.body);
  assert.equal(await renders(), before);
  for (const answer of [first, second]) {
    assert.equal(answer.headers.get("cache-control"), "no-cache");
    assert.deepEqual(answer.headers.getSetCookie(), []);
    assert.ok(!("csrf" in madeOf(answer.body).data));
  }
});

test("no page has a nonce, and its own scripts are named in the policy", async () => {
  for (const client of [new Client(server), people[1] as Client]) {
    const answer = await client.get("/articles/policy");
    assert.ok(!answer.body.includes("nonce"));
    const policy = answer.headers.get("content-security-policy") ?? "";
    assert.match(policy, /script-src 'self' 'sha256-[A-Za-z0-9+/]{43}='; /);
    assert.ok(!policy.includes("nonce") && !policy.includes("unsafe-eval"));
  }
});

test("a page with a form's token is its visitor's alone, and no one keeps it", async () => {
  const [one, other] = [new Client(server), new Client(server)];
  const [first, second] = [await one.get("/login"), await other.get("/login")];
  assert.notEqual(madeOf(first.body).data.csrf, madeOf(second.body).data.csrf);
  for (const answer of [first, second])
    assert.equal(answer.headers.get("cache-control"), "private, no-store");
  const form = (client: Client, csrf: string | undefined) =>
    client.post("/api/auth/login/", `username=demo&password=demo-pass-1&next=/chats&csrf_token=${csrf}`, {
      "content-type": "application/x-www-form-urlencoded",
    });
  const refused = await form(other, madeOf(first.body).data.csrf);
  assert.match(refused.headers.get("location") ?? "", /error=csrf_wrong/);
  const signed = await form(one, madeOf(first.body).data.csrf);
  assert.equal(signed.headers.get("location"), "/chats");
  assert.ok(one.cookies.has("csrf"), "the token for scripts is in a cookie");
});

test("the cookie has the session's token, is set when it is missing or another's, and gone at sign-out", async () => {
  const client = await signedIn(server, "testUser2");
  const token = client.cookies.get("csrf") ?? "";
  assert.deepEqual((await client.get("/chats")).headers.getSetCookie(), []);
  for (const wrong of [undefined, "forged", (people[0] as Client).cookies.get("csrf")]) {
    client.cookies.delete("csrf");
    if (wrong) client.cookies.set("csrf", wrong);
    const [line] = (await client.get("/chats")).headers.getSetCookie();
    assert.match(line ?? "", /^csrf=[^;]+;.*SameSite=Lax/);
    assert.doesNotMatch(line ?? "", /HttpOnly/i);
    client.csrf = client.cookies.get("csrf") ?? "";
    assert.equal((await client.request("PATCH", "/api/auth/me/", { display_name: "Two" })).status, 200);
  }
  client.csrf = (people[0] as Client).cookies.get("csrf") ?? "";
  assert.equal(
    (await client.request("PATCH", "/api/auth/me/", { display_name: "No" })).json.code,
    "csrf_wrong",
  );
  client.csrf = token;
  const out = await client.post("/api/auth/logout/", {});
  assert.equal(out.headers.get("clear-site-data"), '"cache"');
  assert.ok(!client.cookies.has("csrf"));
  assert.equal((await client.get("/chats")).status, 303);
});

test("many who miss the same page at once have it rendered once", async () => {
  const before = await renders();
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => new Client(server).get("/articles/many?slow=300")),
  );
  assert.equal(new Set(answers.map((one) => one.body)).size, 1);
  assert.equal((await renders()) - before, 1);
});

test("a page is in the language of its reader, and is kept in each", async () => {
  const nobody = new Client(server);
  const ask = async (headers: Record<string, string>) =>
    madeOf((await nobody.get("/articles/words", headers)).body);
  for (let i = 0; i < 2; i++) {
    assert.equal((await ask({ "accept-language": "de-AT, en;q=0.5" })).data.language, "de");
    assert.equal((await ask({ "accept-language": "fr" })).data.language, "en");
    assert.equal((await ask({ cookie: "language=de", "accept-language": "en" })).data.language, "de");
  }
});

test("a new build of the front end empties the kept pages, and nobody waits for it", async () => {
  const client = people[0] as Client;
  const old = madeOf((await client.get("/chats")).body);
  assert.equal(old.build, "build-1");
  const builds = await metric("tims_pages_builds_total");
  setBuild(front, "build-2");
  const seen = new Set<string>();
  await until("the new build's page", async () => {
    const answer: Answer = await client.get("/chats");
    assert.equal(answer.status, 200);
    assert.ok(!isShell(answer.body), "it is rendered all the while");
    seen.add(madeOf(answer.body).build);
    return madeOf(answer.body).build === "build-2";
  });
  assert.equal(await metric("tims_pages_builds_total"), builds + 1);
  await until("two processes of it", async () => (await metric("tims_pages_processes")) === 2);
  const before = await renders();
  const [one, two] = [await client.get("/chats"), await client.get("/chats")];
  assert.equal(two.body, one.body);
  assert.equal(madeOf(two.body).build, "build-2");
  assert.ok((await renders()) - before <= 1, "and is kept");
  await until("the old processes to be gone", () => !isAlive(old.pid));
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("a render process is killed under load: every page comes, from the other one or anew", async () => {
  const clients = people.slice(0, 3);
  let n = 0;
  const load = async () => {
    const answers: Answer[] = [];
    for (let i = 0; i < 30; i++) answers.push(await pick(clients).get(`/chats?slow=10&n=${n++}`));
    return answers;
  };
  const all = Promise.all(Array.from({ length: 8 }, load));
  const victim = madeOf((await (clients[0] as Client).get("/chats?victim")).body).pid;
  process.kill(victim, "SIGKILL");
  const answers = (await all).flat();
  assert.deepEqual([...new Set(answers.map((one) => one.status))], [200]);
  assert.equal(answers.filter((one) => isShell(one.body)).length, 0);
  await until("it to be there again", async () => (await metric("tims_pages_processes")) === 2);
  assert.ok(!isAlive(victim));
});

test("one that fails again and again is replaced", async () => {
  const client = people[0] as Client;
  const pids = async () => {
    const found = new Set<number>();
    for (let i = 0; i < 20; i++) {
      const two = [
        client.get(`/chats?slow=20&p=${Math.random()}`),
        client.get(`/chats?slow=20&p=${Math.random()}`),
      ];
      for (const answer of await Promise.all(two)) found.add(madeOf(answer.body).pid);
    }
    return found;
  };
  const before = await pids();
  await Promise.all(Array.from({ length: 40 }, (_, i) => client.get(`/chats?fail&slow=5&n=${i}`)));
  await until("another process", async () => [...(await pids())].some((pid) => !before.has(pid)));
});

test("one that has grown too large is replaced, and nobody notices", async () => {
  const client = people[0] as Client;
  const replaced = await metric("tims_pages_memory_restarts_total");
  await until("one to be replaced for its size", async () => {
    const { pid } = madeOf((await client.get(`/chats?grow=300&n=${Math.random()}`)).body);
    await until("it to be gone", async () => {
      const answer = await client.get(`/chats?n=${Math.random()}`);
      assert.equal(answer.status, 200);
      assert.ok(!isShell(answer.body));
      return !isAlive(pid);
    });
    // Of those that failed in the last test one may have been about to go: then it went for that.
    return (await metric("tims_pages_memory_restarts_total")) > replaced;
  });
  assert.equal(await metric("tims_pages_memory_restarts_total"), replaced + 1);
});

test("a render server that somebody else runs says that it is of a new build", async () => {
  const folder = makeFolder();
  const [ours, theirs] = [makeFront(folder), makeFront(join(folder, "theirs"), "build-1")];
  const socket = join(folder, "render.sock");
  const startRenderer = async () => {
    rmSync(socket, { force: true });
    const [program, ...words] = command.split(" ");
    const child = spawn(program as string, words, {
      env: { ...process.env, TIMS_RENDER_SOCKET: socket, FRONT_DIRECTORY: theirs },
      stdio: "inherit",
    });
    await until("the render server", () => existsSync(socket));
    return child;
  };
  let renderer = await startRenderer();
  run(folder, ["migrate"]);
  const other = await startServer({
    folder,
    env: { FRONT_DIRECTORY: ours, RENDER_URL: `unix:${socket}`, RENDER_TIMEOUT: "1s" },
  });
  try {
    const nobody = new Client(other);
    const first = await until("a page to be kept, once the feed has begun", async () => {
      const answer = await nobody.get("/");
      return (await metric("tims_pages_kept_total", other)) > 0 ? answer : null;
    });
    const gone = once(renderer, "exit");
    renderer.kill("SIGKILL");
    await gone;
    assert.equal((await nobody.get("/")).body, first.body, "what is kept needs no renderer");
    assert.ok(isShell((await nobody.get("/articles/other")).body), "what is not gets its shell");
    setBuild(theirs, "build-2");
    renderer = await startRenderer();
    await until("it to be asked", async () => !isShell((await nobody.get("/articles/other")).body));
    assert.equal(madeOf((await nobody.get("/")).body).build, "build-2");
    assert.equal(await metric("tims_pages_builds_total", other), 1);
  } finally {
    renderer.kill("SIGKILL");
    await other.stop();
    other.remove();
  }
});

// Of a process, by what the kernel says: each with its state's letter.
function childrenOf(parent: number): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : "";
      const [state, its] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(its) === parent ? [`${pid} ${state === "Z" ? "is a zombie" : "lives"}`] : [];
    });
}

test("a restart leaves no render process behind, not even one that hears nothing any more", async () => {
  const folder = makeFolder();
  run(folder, ["migrate"]);
  const env = { FRONT_DIRECTORY: makeFront(folder), RENDER_COMMAND: command, RENDER_PROCESSES: "1" };
  const other = await startServer({ folder, env: { ...env, RENDER_TIMEOUT: "1s" } });
  const nobody = new Client(other);
  const rendered = () =>
    until("a rendered page", async () => {
      const { body } = await nobody.get(`/?n=${Math.random()}`);
      return isShell(body) ? null : madeOf(body).pid;
    });
  try {
    const pid = other.process.pid as number;
    for (let starts = 2; starts <= 3; starts++) {
      const first = await rendered();
      assert.ok(isShell((await nobody.get("/?spin")).body));
      other.process.kill("SIGHUP");
      await until("the restart", () => other.output().match(/is ready: http/g)?.length === starts);
      const second = await rendered();
      assert.notEqual(second, first);
      assert.deepEqual(childrenOf(pid), [`${second} lives`]);
    }
  } finally {
    await other.stop();
    other.remove();
  }
});

test("a render process that never listens is ended, and another one takes its place", async () => {
  const folder = makeFolder();
  const script = join(folder, "first-hangs.sh");
  writeFileSync(script, `[ -e "$1" ] && exec ${command}\necho $$ >"$1"\nexec sleep 1000\n`);
  run(folder, ["migrate"]);
  const env = { FRONT_DIRECTORY: makeFront(folder), RENDER_COMMAND: `sh ${script} ${join(folder, "hung")}` };
  const other = await startServer({
    folder,
    env: { ...env, RENDER_PROCESSES: "1", RENDER_TIMEOUT: "150ms" },
  });
  const nobody = new Client(other);
  try {
    await until("a rendered page", async () => !isShell((await nobody.get(`/?n=${Math.random()}`)).body));
    const hung = readFileSync(join(folder, "hung"), "utf8").trim();
    assert.match(other.output(), new RegExp(`a render server does not come to listen pid=${hung} `));
    assert.equal(childrenOf(other.process.pid as number).length, 1);
  } finally {
    await other.stop();
    other.remove();
  }
});

test("too many at once get the shell at once, and the others are rendered", async () => {
  const client = people[0] as Client;
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, i) => client.get(`/chats?slow=200&overload=${i}`)),
  );
  assert.deepEqual([...new Set(answers.map((one) => one.status))], [200]);
  const shells = answers.filter((one) => isShell(one.body));
  assert.ok(shells.length > 20 && shells.length < 190, `${shells.length} shells`);
  for (const shell of shells) assert.equal(shell.headers.get("cache-control"), "private, no-store");
  assert.ok(!isShell((await client.get("/chats?after")).body), "and then it is over");
});
