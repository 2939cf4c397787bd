// goals.mjs: turns rounds into medians and ratios, judges goals, writes results and the table.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { reasons } from "./reasons.mjs";

const folder = join(import.meta.dirname, "results");

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// The median over rounds of a ÷ b in the same round.
export function ratio(rounds, a, b, field) {
  return median(rounds.map((round) => round[a][field] / round[b][field]));
}

export function goal(id, op, wanted, value, unit, reason) {
  const met = op === ">=" ? value >= wanted : value <= wanted;
  return {
    id,
    op,
    goal: wanted,
    value: Number(value.toPrecision(3)),
    unit,
    met,
    ...(met || !reason ? {} : { reason }),
  };
}

function machine() {
  const first = (command, args) => {
    try {
      return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })
        .trim()
        .split("\n")[0];
    } catch {
      return "";
    }
  };
  return {
    cpu: cpus()[0].model,
    cores: cpus().length,
    kernel: release(),
    commit: first("git", ["rev-parse", "--short", "HEAD"]),
    node: process.version,
    gcc: first("gcc", ["-dumpfullversion"]),
    sqlite: first("sqlite3", ["--version"]).split(" ")[0],
  };
}

export function save(name, { about, rounds = [], summary = {}, goals = [] }) {
  const result = { name, about, machine: machine(), summary, goals, rounds };
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(result, null, 1)}\n`);
  return result;
}

// Medians per contender of a workload's rounds.
export function summarise(rounds) {
  const names = Object.keys(rounds[0] ?? {});
  return Object.fromEntries(
    names.map((name) => [
      name,
      Object.fromEntries(
        Object.keys(rounds[0][name]).map((field) => [
          field,
          Number(median(rounds.map((round) => round[name][field])).toPrecision(4)),
        ]),
      ),
    ]),
  );
}

// Every results file; a missed goal whose reason is known gets it, beside the figures as they were measured.
function readResults() {
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return names.map((name) => {
    const result = JSON.parse(readFileSync(join(folder, name), "utf8"));
    for (const one of result.goals)
      if (!one.met && !one.reason && reasons[one.id]) one.reason = reasons[one.id];
    writeFileSync(join(folder, name), `${JSON.stringify(result, null, 1)}\n`);
    return result;
  });
}

export function writeTable() {
  const results = readResults();
  const lines = [
    "# Measurements",
    "",
    "Made by `make bench`; do not edit. Server on one core, load on the other; the machine's limit, ours and the peers interleaved in",
    "one run. Ratios are medians over rounds; compare them, not the bare figures. Each `results/*.json` holds every round.",
    "",
    "| workload | server | per second | server CPU µs each | database CPU µs each | p50 ms | p99 ms |",
    "|---|---|---|---|---|---|---|",
  ];
  for (const { name, summary } of results)
    for (const [server, row] of Object.entries(summary))
      if (typeof row === "object" && "cpu_us" in row)
        lines.push(
          `| ${name} | ${server} | ${Math.round(row.per_second)} | ${row.cpu_us.toFixed(1)} | ${row.database_us?.toFixed(1) ?? ""} | ${row.p50_ms ?? ""} | ${row.p99_ms ?? ""} |`,
        );
  lines.push("", "| workload | what | figures |", "|---|---|---|");
  for (const { name, summary } of results) {
    const all = Object.entries(summary);
    const rows = all.filter(([, row]) => typeof row === "object" && !("cpu_us" in row));
    const single = Object.fromEntries(all.filter(([, row]) => typeof row === "number"));
    if (Object.keys(single).length > 0) rows.push(["", single]);
    for (const [what, row] of rows) {
      const figures = Object.entries(row).map(
        ([field, number]) => `${field} ${Number(number.toPrecision(3))}`,
      );
      lines.push(`| ${name} | ${what} | ${figures.join(" · ")} |`);
    }
  }
  lines.push("", "| goal | wanted | measured | met |", "|---|---|---|---|");
  for (const { goals } of results)
    for (const one of goals)
      lines.push(
        `| ${one.id} | ${one.op} ${one.goal} ${one.unit} | ${one.value} | ${one.met ? "yes" : `no${one.reason ? `: ${one.reason}` : ""}`} |`,
      );
  writeFileSync(join(import.meta.dirname, "README.md"), `${lines.join("\n")}\n`);
  return results.flatMap((result) => result.goals).filter((one) => !one.met);
}
