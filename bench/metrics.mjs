// metrics.mjs: reads what a server tells about itself at /metrics (Prometheus text).

// A name with its labels, as it is written ("tims_live_lag_seconds_bucket{le=\"0.005\"}"), to its number.
export function parseMetrics(text) {
  const found = new Map();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [, name, number] = /^([A-Za-z_:][\w:]*(?:\{.*\})?)\s+(\S+)/.exec(line) ?? [];
    if (name) found.set(name, Number(number.replace("+Inf", "Infinity")));
  }
  return found;
}

// Empty when the server has none.
export async function readMetrics(url) {
  const answer = await fetch(`${url}/metrics`);
  const text = await answer.text();
  return answer.ok ? parseMetrics(text) : new Map();
}

// What has grown between two readings, by name.
export function growth(before, after) {
  const grown = {};
  for (const [name, number] of after) {
    const by = number - (before.get(name) ?? 0);
    if (by > 0) grown[name] = by;
  }
  return grown;
}
