// names.ts: the names of a cluster's services: dnsmasq, told what the API server knows. A service without an address of
// its own has those of its pods.
import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { until } from "../../server.ts";

interface Meta {
  name: string;
  namespace: string;
}
interface Service {
  metadata: Meta;
  spec: { clusterIP?: string };
}
interface Endpoints {
  metadata: Meta;
  subsets?: { addresses?: { ip: string; hostname?: string }[] }[];
}

const EVERY_MS = 300;

// Starts it on `address`; the function that ends it. `run` starts dnsmasq where the cluster is.
export async function startNames(
  kubeconfig: string,
  folder: string,
  run: (words: string[]) => ChildProcess,
  address: string,
): Promise<() => void> {
  const { clusters } = JSON.parse(readFileSync(kubeconfig, "utf8"));
  const [ca, cert, key] = ["ca.crt", "admin.crt", "admin.key"].map((name) =>
    readFileSync(join(folder, name)),
  );
  const list = <T>(kind: string): Promise<T[]> =>
    new Promise((resolve, reject) => {
      const asking = request(`${clusters[0].cluster.server}/api/v1/${kind}`, { ca, cert, key }, (answer) => {
        let text = "";
        answer.on("data", (bytes) => {
          text += bytes;
        });
        answer.on("end", () => resolve(JSON.parse(text).items));
      });
      asking.on("error", reject);
      asking.end();
    });

  const hosts = join(folder, "hosts");
  const pid = join(folder, "dnsmasq.pid");
  let known = "";
  writeFileSync(hosts, known);
  const server = run([
    ...[
      "--keep-in-foreground",
      "--no-hosts",
      "--no-resolv",
      "--conf-file=/dev/null",
      "--user=root",
      "--group=root",
    ],
    ...[
      `--addn-hosts=${hosts}`,
      `--listen-address=${address}`,
      "--bind-interfaces",
      "--local=/cluster.local/",
    ],
    ...["--local-ttl=1", "--log-facility=-", `--pid-file=${pid}`],
  ]);

  await until("DNS", () => existsSync(pid)); // before, a signal would end it

  let timer: NodeJS.Timeout;
  let stopped = false;
  const look = async () => {
    try {
      const [services, endpoints] = await Promise.all([
        list<Service>("services"),
        list<Endpoints>("endpoints"),
      ]);
      const text = hostsOf(services, endpoints);
      if (text !== known) {
        writeFileSync(`${hosts}.new`, text);
        renameSync(`${hosts}.new`, hosts);
        // nsenter waits for its child, which is dnsmasq: the signal is for that.
        const children = readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, "utf8")
          .trim()
          .split(" ");
        if (!children[0]) throw new Error("dnsmasq has ended"); // 0 would be the test itself
        process.kill(Number(children[0]), "SIGHUP");
        known = text;
      }
    } catch {
      // asked again soon
    }
    if (!stopped) timer = setTimeout(look, EVERY_MS);
  };
  timer = setTimeout(look, 0);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

function hostsOf(services: Service[], endpoints: Endpoints[]): string {
  const lines: string[] = [];
  for (const { metadata, spec } of services) {
    const name = `${metadata.name}.${metadata.namespace}.svc.cluster.local`;
    if (spec.clusterIP && spec.clusterIP !== "None") {
      lines.push(`${spec.clusterIP} ${name}`);
      continue;
    }
    const own = endpoints.find(
      (one) => one.metadata.name === metadata.name && one.metadata.namespace === metadata.namespace,
    );
    for (const { ip, hostname } of (own?.subsets ?? []).flatMap((subset) => subset.addresses ?? [])) {
      lines.push(`${ip} ${name}${hostname ? ` ${hostname}.${name}` : ""}`);
    }
  }
  return `${lines.sort().join("\n")}\n`;
}
