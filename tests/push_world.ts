// push_world.ts: a server whose notifications go to FCM and APNs on this machine, and people with devices.
import assert from "node:assert/strict";
import { Client } from "./client.ts";
import { JobApp, type Program } from "./job_app.ts";
import { Apns, Fcm, makeAuthority } from "./push.ts";
import { type Environment, freePort, makeFolder, removeFolder, type Server, until } from "./server.ts";

export interface Push {
  title?: string;
  body?: string;
  path?: string;
  data?: string;
  collapse?: string;
  thread?: string;
  badge?: number;
  expires_s?: number;
  urgent?: boolean;
  silent?: boolean;
  fail?: boolean;
}

const PATIENCE_MS = 40_000;
let made = 0;
export const apnsToken = () => (made++).toString(16).padStart(64, "ab");
export const fcmToken = () => `d${made++}x:APA91b-Test_${"k".repeat(140)}`;

export class World {
  readonly folder = makeFolder();
  readonly authority = makeAuthority(this.folder);
  readonly apns: Apns;
  readonly fcm = new Fcm(this.authority);
  app!: JobApp;
  server!: Program;

  // `streams`: how many requests APNs takes at once on a connection.
  constructor(streams = 100) {
    this.apns = new Apns(this.authority, { maxConcurrentStreams: streams });
  }

  async open(extra: Environment = {}): Promise<this> {
    await Promise.all([this.apns.open(), this.fcm.open()]);
    const PORT = String(await freePort()); // the same when it is started again
    this.app = new JobApp({
      PORT,
      ACCESS_LOG: "false",
      PUSH_CA: this.authority.ca,
      ...this.services(),
      ...extra,
    });
    this.server = await this.app.serve();
    return this;
  }

  services(): Environment {
    return { ...this.apns.settings(this.folder), ...this.fcm.settings(this.folder) };
  }

  async close(): Promise<void> {
    await this.app?.close();
    await Promise.all([this.apns.close(), this.fcm.close()]);
    removeFolder(this.folder);
  }

  reset(): void {
    this.app.sql("delete from tims_job");
    this.app.sql("delete from tims_job_dead");
    this.app.sql("delete from tims_push_device");
    this.apns.reset();
    this.fcm.reset();
  }

  // What the services have to complain about.
  check(): void {
    assert.deepEqual([...this.apns.problems, ...this.fcm.problems], []);
  }

  async person(): Promise<Client> {
    const client = new Client(this.server as unknown as Server);
    await client.refresh();
    const body = { username: `user${made++}`, password: "correct horse battery" };
    const answer = await client.post("/api/auth/register/", body);
    assert.equal(answer.status, 201, answer.body);
    await client.refresh();
    return client;
  }

  async register(who: Client, platform: string, token: string): Promise<string> {
    const answer = await who.post("/api/push/devices/", { platform, token });
    assert.ok(answer.status < 300, answer.body);
    return answer.json.id;
  }

  // A person with one device.
  async owner(platform: "apns" | "fcm"): Promise<{ who: Client; device: string; token: string }> {
    const who = await this.person();
    const token = platform === "apns" ? apnsToken() : fcmToken();
    return { who, token, device: await this.register(who, platform, token) };
  }

  async send(people: Client[], push: Push = {}) {
    const body = { users: people.map((one) => one.user.id), title: "Ann", body: "Hello", ...push };
    return await people[0].post("/push/", body);
  }

  // Sends it and waits until nothing is left to do.
  async deliver(people: Client[], push: Push = {}): Promise<void> {
    const answer = await this.send(people, push);
    assert.equal(answer.status, 204, answer.body);
    await this.idle();
  }

  idle(): Promise<unknown> {
    return until("no job to be left", () => this.app.jobs() === 0, PATIENCE_MS);
  }

  // Waits until the one job waits for its next attempt; how long that is, in seconds.
  async failed(attempt = 1): Promise<number> {
    const sql = `select count(*) from tims_job where task = 'push_deliver' and attempt = ${attempt} and state = 1`;
    await until(`attempt ${attempt} to have failed`, () => this.app.number(sql) === 1, PATIENCE_MS);
    const due = this.app.number(
      process.env.TIMS_TEST_DATABASE === "postgres"
        ? "select extract(epoch from run_at) * 1000000 from tims_job"
        : "select run_at from tims_job",
    );
    return due / 1e6 - Date.now() / 1000;
  }

  // Whatever waits may run now.
  hurry(): void {
    const now = process.env.TIMS_TEST_DATABASE === "postgres" ? "now()" : String(Date.now() * 1000);
    this.app.sql(`update tims_job set run_at = ${now} where state = 1`);
  }

  // Waits until what was tried has an end, and then for that of the second attempt, if there is one.
  async again(): Promise<void> {
    const busy = "select count(*) from tims_job where state <> 1";
    await until("the attempt to end", () => this.app.number(busy) === 0, PATIENCE_MS);
    this.hurry();
    await this.idle();
  }

  dead(): string {
    return this.app.sql("select code from tims_job_dead");
  }

  devices(): number {
    return this.app.number("select count(*) from tims_push_device");
  }
}
