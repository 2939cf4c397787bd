// restore.test.ts: the chart's backup and restore scripts on a real PostgreSQL, which asks for its password, and on SQLite: what was
// there comes back and serves, clients of the time in between load anew, and what goes wrong changes nothing.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Client } from "../client.ts";
import { postgresProgram, runSql } from "../database.ts";
import { Postgres } from "../postgres.ts";
import { program as chat, type Environment, makeFolder, removeFolder, run, startServer } from "../server.ts";
import { chart } from "./helm.ts";

const PASSWORD = "a-long-password";

interface Finished {
  code: number | null;
  output: string;
  errors: string;
}

function script(name: "backup.sh" | "restore.sh", words: string[], env: Environment): Finished {
  const path = `${dirname(postgresProgram("pg_dump"))}:${process.env.PATH}`;
  const done = spawnSync("sh", [join(chart, "files", name), ...words], {
    env: { PATH: path, PROGRAM: chat, ...env },
    encoding: "utf8",
  });
  return { code: done.status, output: done.stdout, errors: done.stderr };
}

// One more backup; its name. Names are seconds, so each is told apart by hand.
function backup(folder: string, env: Environment, keep = 9): string {
  const { code, output, errors } = script("backup.sh", [folder, String(keep)], env);
  assert.equal(code, 0, errors);
  return (/([^/]+): \d+ bytes\n$/.exec(output) ?? assert.fail(output))[1] as string;
}

const NAME = `SELECT display_name FROM "user" WHERE username = 'demo'`;
const EPOCH = "SELECT value FROM tims_meta WHERE key = 'epoch'";
const rename = (name: string) => `UPDATE "user" SET display_name = '${name}' WHERE username = 'demo'`;

// That the program takes the database as it is: it starts, and the demo's user signs in.
async function serves(folder: string, env: Environment): Promise<void> {
  const server = await startServer({ folder, env, fresh: false });
  try {
    const user = await new Client(server).signIn("demo");
    assert.equal(user.user?.username, "demo");
  } finally {
    await server.stop();
  }
}

describe("PostgreSQL", () => {
  let postgres: Postgres;
  let folder: string;
  let backups: string;
  let program: Environment; // as the chart sets it for the program
  let scripts: Environment; // and for the backup's pod
  let url: string; // with the password, for looking

  before(async () => {
    postgres = await Postgres.open();
    postgres.sql(`CREATE ROLE chat LOGIN PASSWORD '${PASSWORD}'`);
    postgres.sql("CREATE DATABASE chat OWNER chat");
    writeFileSync(
      join(postgres.folder, "data/pg_hba.conf"),
      "host chat chat all scram-sha-256\nhost all tims all trust\n",
    );
    postgres.sql("SELECT pg_reload_conf()");
    folder = makeFolder();
    backups = mkdtempSync(join(tmpdir(), "tims-backups-"));
    const where = `${postgres.address}:${postgres.port}/chat`;
    program = { DATABASE_URL: `postgres://chat@${where}?connections=4`, PGPASSWORD: PASSWORD };
    url = `postgres://chat:${PASSWORD}@${where}`;
    scripts = {
      PGHOST: postgres.address,
      PGPORT: String(postgres.port),
      PGDATABASE: "chat",
      PGUSER: "chat",
      PGPASSWORD: PASSWORD,
    };
    run(folder, ["migrate"], program);
    run(folder, ["demo"], program);
    await serves(folder, program);
  });
  after(async () => {
    await postgres.remove();
    removeFolder(folder);
    rmSync(backups, { recursive: true, force: true });
  });

  test("the password comes from PGPASSWORD alone, and without it there is no way in", () => {
    assert.throws(() => run(folder, ["migrate", "--check"], { ...program, PGPASSWORD: "another" }));
    run(folder, ["migrate", "--check"], program);
  });

  test("a restore brings back what was there, for another epoch, twice in a row", async () => {
    for (const round of ["first", "second"]) {
      runSql(url, rename(`before ${round}`));
      const epoch = runSql(url, EPOCH);
      const name = backup(backups, scripts);
      runSql(url, rename("after"));
      runSql(url, "CREATE TABLE made_later (id integer)"); // of a newer version, say: it must not be in the way
      const { code, output, errors } = script("restore.sh", [backups, name, "--overwrite"], scripts);
      assert.equal(code, 0, errors);
      assert.match(output, /is restored\. Start the backend again/);
      assert.equal(runSql(url, NAME), `before ${round}`);
      assert.equal(runSql(url, "SELECT to_regclass('made_later') IS NULL"), "t");
      run(folder, ["migrate", "--check"], program);
      await serves(folder, program);
      assert.notEqual(runSql(url, EPOCH), epoch, "clients load anew what they show");
      rmSync(join(backups, name));
    }
  });

  test("the CronJob's own command restores the newest with RESTORE=latest", () => {
    runSql(url, rename("the oldest"));
    copyFileSync(join(backups, backup(backups, scripts)), join(backups, "20200101T000000Z.dump"));
    for (const name of readdirSync(backups)) if (!name.startsWith("2020")) rmSync(join(backups, name));
    runSql(url, rename("the newest"));
    backup(backups, scripts);
    runSql(url, rename("lost"));
    const { code, errors } = script("backup.sh", [backups, "9"], { ...scripts, RESTORE: "latest" });
    assert.equal(code, 0, errors);
    assert.equal(runSql(url, NAME), "the newest");
  });

  test("only the newest backups stay, and other files are left alone", () => {
    for (const name of readdirSync(backups)) rmSync(join(backups, name));
    for (const year of [2021, 2022, 2023]) writeFileSync(join(backups, `${year}0101T000000Z.dump`), "");
    writeFileSync(join(backups, "notes.txt"), "mine");
    const name = backup(backups, scripts, 2);
    assert.deepEqual(readdirSync(backups).sort(), ["20230101T000000Z.dump", name, "notes.txt"].sort());
  });

  test("a backup that fails leaves nothing behind and removes none", () => {
    const earlier = readdirSync(backups).sort();
    const { code, errors } = script("backup.sh", [backups, "1"], { ...scripts, PGPASSWORD: "another" });
    assert.notEqual(code, 0);
    assert.match(errors, /password authentication failed/);
    assert.deepEqual(readdirSync(backups).sort(), earlier);
  });

  test("what cannot be restored is refused, and the database stays as it was", () => {
    runSql(url, rename("as it was"));
    const name = backup(backups, scripts);
    const whole = readFileSync(join(backups, name));
    writeFileSync(join(backups, "half.dump"), whole.subarray(0, whole.length / 2));
    writeFileSync(join(backups, "none.dump"), "this is no backup");
    const empty = mkdtempSync(join(tmpdir(), "tims-backups-"));
    const rows: [string[], RegExp][] = [
      [[backups, "half.dump", "--overwrite"], /half\.dump is damaged, or no backup/],
      [[backups, "none.dump", "--overwrite"], /none\.dump is damaged, or no backup/],
      [[backups, "missing.dump", "--overwrite"], /there is no backup missing\.dump/],
      [[empty, "latest", "--overwrite"], /there is no backup in/],
      [[join(empty, "x"), "latest", "--overwrite"], /there is no folder/],
      [[backups, name], /in the place of all that is in the database; say --overwrite/],
      [[backups], /usage: restore\.sh DIRECTORY/],
      [[backups, name, "--force"], /usage: restore\.sh DIRECTORY/],
    ];
    for (const [words, expected] of rows) {
      const { code, errors } = script("restore.sh", words, scripts);
      assert.notEqual(code, 0, words.join(" "));
      assert.match(errors, expected);
      assert.equal(runSql(url, NAME), "as it was");
    }
    rmSync(empty, { recursive: true });
  });

  test("a restore that breaks off in its middle has changed nothing", () => {
    const name = backup(backups, scripts);
    runSql(url, rename("in the middle"));
    // The role may not make this again, so the restore fails once tables have been dropped and made.
    postgres.sql("CREATE EXTENSION IF NOT EXISTS dblink SCHEMA public", "chat");
    const spoilt = backup(backups, scripts);
    const { code, errors } = script("restore.sh", [backups, spoilt, "--overwrite"], scripts);
    assert.notEqual(code, 0, name);
    assert.match(errors, /the database is as it was/);
    assert.equal(runSql(url, NAME), "in the middle");
    postgres.sql("DROP EXTENSION dblink", "chat");
  });

  test("nothing is restored under a backend that serves", async () => {
    const name = backup(backups, scripts);
    runSql(url, rename("served"));
    const server = await startServer({ folder, env: program, fresh: false });
    const { code, errors } = script("restore.sh", [backups, name, "--overwrite"], scripts);
    await server.stop();
    assert.notEqual(code, 0);
    assert.match(errors, /\d+ connections use the database: stop the backend and the worker first/);
    assert.equal(runSql(url, NAME), "served");
  });

  test("how the backup is called is looked at first", () => {
    const rows: [string[], RegExp][] = [
      [[backups], /usage: backup\.sh DIRECTORY KEEP/],
      [[backups, "0"], /KEEP is how many backups stay, at least 1; it is "0"/],
      [[backups, "many"], /it is "many"/],
      [[join(backups, "nowhere"), "3"], /nowhere is no folder that can be written to/],
    ];
    for (const [words, expected] of rows) {
      const { code, errors } = script("backup.sh", words, scripts);
      assert.equal(code, 2, words.join(" "));
      assert.match(errors, expected);
    }
  });
});

test("SQLite: a backup while it is served, and the restore after it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tims-data-"));
  const backups = mkdtempSync(join(tmpdir(), "tims-backups-"));
  const url = `sqlite:${join(folder, "app.sqlite3")}`;
  const env: Environment = { DATABASE_URL: url };
  try {
    run(folder, ["migrate"], env);
    run(folder, ["demo"], env);
    runSql(url, rename("before"));
    const server = await startServer({ folder, env, fresh: false });
    const name = backup(backups, env);
    assert.match(name, /\.sqlite3$/);
    runSql(url, rename("after"));
    const inUse = script("restore.sh", [backups, "latest", "--overwrite"], env);
    await server.stop();
    assert.notEqual(inUse.code, 0, "while it is served");
    assert.equal(runSql(url, NAME), "after");
    const epoch = runSql(url, EPOCH);
    writeFileSync(join(backups, "20990101T000000Z.sqlite3"), "this is no backup");
    assert.notEqual(script("restore.sh", [backups, "latest", "--overwrite"], env).code, 0, "what is damaged");
    assert.equal(runSql(url, NAME), "after");
    const { code, errors } = script("backup.sh", [backups, "3"], { ...env, RESTORE: name });
    assert.equal(code, 0, errors);
    assert.equal(runSql(url, NAME), "before");
    await serves(folder, env);
    assert.notEqual(runSql(url, EPOCH), epoch, "clients load anew what they show");
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(backups, { recursive: true, force: true });
  }
});

test("what a killed backup has left is gone a day later, and one that runs is left alone", () => {
  const folder = mkdtempSync(join(tmpdir(), "tims-data-"));
  const backups = mkdtempSync(join(tmpdir(), "tims-backups-"));
  const env: Environment = { DATABASE_URL: `sqlite:${join(folder, "app.sqlite3")}` };
  try {
    run(folder, ["migrate"], env);
    const yesterday = Date.now() / 1000 - 25 * 3600;
    const kept = ["20260101T031700Z.sqlite3", "20260301T031700Z.part", "notes.part"];
    const left = ["20260102T031700Z.part", "20260103T031700Z.part.partial"];
    for (const name of [...kept, ...left]) writeFileSync(join(backups, name), "");
    for (const name of ["20260101T031700Z.sqlite3", "notes.part", ...left])
      utimesSync(join(backups, name), yesterday, yesterday);
    const made = backup(backups, env);
    assert.deepEqual(readdirSync(backups).sort(), [...kept, made].sort());
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(backups, { recursive: true, force: true });
  }
});
