// database.ts: the database that the whole run is for: SQLite, or with TIMS_TEST_DATABASE=postgres the server that
// TIMS_TEST_POSTGRES names (tools/test-servers starts one). A test's folder has one database, whichever that is.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";

const kind = process.env.TIMS_TEST_DATABASE || "sqlite";
if (!["sqlite", "postgres"].includes(kind))
  throw new Error(`TIMS_TEST_DATABASE is ${kind}: set it to sqlite or postgres`);
export const onPostgres = kind === "postgres";

// The programs of the newest PostgreSQL: Debian has only some of them in the PATH.
export function postgresProgram(name: string): string {
  const versions = "/usr/lib/postgresql";
  const found = existsSync(versions) ? readdirSync(versions).sort((a, b) => Number(b) - Number(a)) : [];
  if (found.length === 0) throw new Error("PostgreSQL is missing; install it: tools/setup test");
  return join(versions, found[0] as string, "bin", name);
}

function testServer(): string {
  const server = /^[^:]+:\/\/[^/?]+/.exec(process.env.TIMS_TEST_POSTGRES ?? "");
  if (!server)
    throw new Error(
      "TIMS_TEST_POSTGRES does not name a server; run the tests with: tools/test-servers COMMAND",
    );
  return server[0];
}

// Of a database on the test server, by its name.
export const databaseUrlOf = (name: string) => `${testServer()}/${encodeURIComponent(name)}`;

export function databaseUrl(folder: string): string {
  return onPostgres ? databaseUrlOf(basename(folder)) : `sqlite:${join(folder, "app.sqlite3")}`;
}

// A new database on the test server, whatever the run is for; its URL.
export function createDatabaseNamed(name: string): string {
  runSql(databaseUrlOf("postgres"), `CREATE DATABASE "${name}"`);
  return databaseUrlOf(name);
}

// SQLite makes its file when it is opened.
export function createDatabase(folder: string): void {
  if (onPostgres) runSql(databaseUrlOf("postgres"), `CREATE DATABASE "${basename(folder)}"`);
}

export function dropDatabase(folder: string): void {
  if (onPostgres)
    runSql(databaseUrlOf("postgres"), `DROP DATABASE IF EXISTS "${basename(folder)}" WITH (FORCE)`);
}

// A time as SQL says it: microseconds since 1970 are a number in SQLite.
export const timeSql = (us: number) => (onPostgres ? `to_timestamp(${us} / 1e6)` : String(us));
export const nowSql = () => timeSql(Date.now() * 1000);

// Runs a statement with the database's own program, as a foreign reader or writer: one row a line, columns between |.
export function runSql(url: string, statement: string): string {
  const [program, args] = shellCommand(url, statement);
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
}

export function shellCommand(url: string, statement: string): [string, string[]] {
  if (url.startsWith("sqlite:"))
    return ["sqlite3", ["-cmd", ".timeout 5000", url.slice("sqlite:".length), statement]];
  return [postgresProgram("psql"), ["-qAtX", "-v", "ON_ERROR_STOP=1", url, "-c", statement]];
}
