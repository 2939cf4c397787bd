// Files that wait with their writes.
import { beforeEach, describe, expect, test, vi } from "vitest";
import {
  change,
  client,
  done,
  ID,
  kept,
  live,
  network,
  refuse,
  say,
  sent,
  settle,
  start,
  unreachable,
  writes,
} from "./outbox_stage";

describe("files", () => {
  const form = (size = 3) => {
    const made = new FormData();
    made.set("note", 'a "note"');
    made.set("picture", new File([new Uint8Array(size).fill(7)], 'my "own".png', { type: "image/png" }));
    return made;
  };
  const bodies: Promise<string>[] = [];
  const upload = (size?: number) =>
    client.mutate("POST", "/api/pictures/", form(size) as never, { offline: "queue" });
  /** A message with a picture, whose bytes come when they are told to. */
  const sayBy = (made: FormData) => client.mutate("POST", "/api/messages/", made as never);
  function slowForm() {
    const made = form();
    let read = () => {};
    let fail = () => {};
    (made.get("picture") as File).arrayBuffer = () =>
      new Promise((resolve, reject) => {
        read = () => resolve(new ArrayBuffer(3));
        fail = () => reject(new DOMException("It has changed.", "NotReadableError"));
      });
    return { made, read: () => read(), fail: () => fail() };
  }
  beforeEach(() => {
    bodies.length = 0;
    const real = network.fetch;
    client.close();
    network.fetch = ((url: string, init: RequestInit) => {
      if (init.body instanceof Blob || init.body instanceof FormData)
        bodies.push(new Response(init.body).text());
      return real(url, init);
    }) as typeof fetch;
    return start().then(() => live());
  });

  test("wait with their write, over a restart, and leave with the same bytes", async () => {
    expect(await upload()).toMatchObject({ ok: false, queued: true });
    await client.save();
    client.close();
    await start();
    network.answer = done;
    live();
    await vi.advanceTimersByTimeAsync(1_000);
    const [first, second] = [await bodies[0], await bodies.at(-1)];
    expect(bodies.length).toBeGreaterThan(1);
    expect(second).toBe(first);
    const type = `multipart/form-data; boundary=${/^--(\S+)/.exec(first ?? "")?.[1]}`;
    const read = await new Response(first, { headers: { "Content-Type": type } }).formData();
    expect(read.get("note")).toBe('a "note"');
    const file = read.get("picture") as File;
    expect([file.type, new Uint8Array(await file.arrayBuffer())]).toEqual([
      "image/png",
      new Uint8Array([7, 7, 7]),
    ]);
  });

  test("too large to be kept leave now or not at all", async () => {
    network.last.cut();
    vi.stubGlobal("navigator", { onLine: false });
    expect(await upload(9 * 1024 * 1024)).toMatchObject({
      ok: false,
      queued: false,
      problem: { code: "too_large" },
    });
    expect(writes()).toEqual([]);
  });

  test("too large to be kept leave nothing behind while they are on their way", async () => {
    network.answer = () => new Promise(() => undefined);
    void upload(9 * 1024 * 1024);
    await client.save();
    expect(await kept()).toEqual([]);
    await client.save();
    expect(sent()).toHaveLength(1);
    expect(await kept()).toEqual([]);
  });

  test("too large to be kept are not sent without them once they were refused", async () => {
    network.answer = () => refuse(422, "invalid");
    const result = await sayBy(form(9 * 1024 * 1024));
    expect(result).toMatchObject({
      ok: false,
      queued: false,
      problem: { status: 422 },
      draft: { note: 'a "note"' },
    });
    await client.save();
    expect([writes(), await kept()]).toEqual([[], []]);
    expect(await client.retry(result.key)).toBeNull();
    expect(sent()).toHaveLength(1);
  });

  test("are read before their write leaves, though those before it are done", async () => {
    let answer = () => {};
    network.answer = (method, url, body) =>
      new Promise((resolve) => {
        answer = () => resolve(done(method, url, body));
      });
    void say("one");
    const { made, read } = slowForm();
    const upload = sayBy(made);
    await settle();
    answer();
    await settle();
    expect(sent()).toHaveLength(1);
    network.answer = done;
    read();
    expect(await upload).toMatchObject({ ok: true });
    expect(sent()).toHaveLength(2);
    expect(await bodies[0]).toContain('name="picture"');
  });

  test("are read before what was written after them leaves", async () => {
    network.answer = done;
    const { made, read } = slowForm();
    void sayBy(made);
    const later = change(writes()[0]?.id ?? "", "changed");
    await settle();
    expect(sent()).toEqual([]);
    read();
    expect(await later).toMatchObject({ ok: true });
    expect(sent().map(({ method }) => method)).toEqual(["POST", "PATCH"]);
    expect(bodies).toHaveLength(1);
  });

  test("that cannot be read leave now or not at all, and hold nothing up", async () => {
    network.answer = (method, url, body) => (method === "POST" ? unreachable() : done(method, url, body));
    const { made, fail } = slowForm();
    const upload = sayBy(made);
    const later = change(ID, "changed");
    await settle();
    fail();
    expect(await upload).toMatchObject({ ok: false, queued: false });
    expect(await later).toMatchObject({ ok: true });
    expect(writes().map(({ id }) => id)).toEqual([ID]);
  });

  test("may be given up while they are read", async () => {
    network.answer = done;
    const { made, read } = slowForm();
    const upload = sayBy(made);
    const later = change(ID, "changed");
    await settle();
    expect(await client.discard(writes()[0]?.key ?? "")).toBe(true);
    read();
    expect(await upload).toMatchObject({ ok: false, queued: false, problem: { code: "discarded" } });
    expect(await later).toMatchObject({ ok: true });
    expect(sent().map(({ method }) => method)).toEqual(["PATCH"]);
  });
});
