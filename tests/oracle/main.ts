// main.ts: the oracle test. First the seeds that once failed, then new ones until the time is over.
//
//   SECONDS   how long in all (60)
//   SEED      run this one instead of new ones
//   CLIENTS   how many (20)
//   TIMS_TEST_DATABASE   postgres: on PostgreSQL and Redis
//   NODES     how many serve there (3)
//   PARTITIONS   no: without links that are cut, which need root and network namespaces
//
// Prints TAP. A seed that fails is added to seeds.txt, or seeds_postgres.txt.
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { onPostgres } from "../database.ts";
import { Divergence } from "./checker.ts";
import { runSeed } from "./run.ts";

const seedsFile = join(import.meta.dirname, onPostgres ? "seeds_postgres.txt" : "seeds.txt");
const seconds = Number(process.env.SECONDS || 60);
const clients = Number(process.env.CLIENTS || 20);
const postgres = onPostgres
  ? { nodes: Number(process.env.NODES || 3), partitions: process.env.PARTITIONS !== "no" }
  : null;
const until = Date.now() + seconds * 1000;

function knownSeeds(): number[] {
  const lines = readFileSync(seedsFile, "utf8").split("\n");
  return lines.map((line) => Number.parseInt(line, 10)).filter((seed) => !Number.isNaN(seed));
}

// What it has made of the network is taken down also when it is interrupted.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

let count = 0;
let failed = 0;

async function test(seed: number, length: number): Promise<void> {
  const name = `seed ${seed}: what ${clients} clients hold is what the database says`;
  count++;
  try {
    const report = await runSeed({ seed, clients, seconds: length, postgres });
    console.log(`ok ${count} - ${name}`);
    console.log(`# ${JSON.stringify(report)}`);
  } catch (error) {
    failed++;
    console.log(`not ok ${count} - ${name}`);
    const text = error instanceof Divergence ? error.message : String((error as Error).stack);
    for (const line of `seed ${seed}: ${text}`.split("\n")) console.log(`# ${line}`);
    console.log(`# again: make oracle SEED=${seed}${onPostgres ? " DATABASE=postgres" : ""}`);
    if (error instanceof Divergence && !knownSeeds().includes(seed))
      appendFileSync(seedsFile, `${seed} ${error.message.split("\n")[0]}\n`);
  }
}

const given = process.env.SEED ? Number(process.env.SEED) : null;
if (given !== null) await test(given, seconds);
else {
  const known = knownSeeds();
  for (const seed of known) await test(seed, Math.min(6, seconds / 2 / known.length));
  const length = Math.min(60, Math.max(6, seconds / 4));
  while (Date.now() < until && failed === 0)
    await test(Math.floor(Math.random() * 2 ** 31), Math.min(length, (until - Date.now()) / 1000));
}
console.log(`1..${count}`);
process.exit(failed === 0 ? 0 : 1);
