// links.ts: a network of its own for each node, so that packets between it and the servers can be lost.
//
// Each node runs in a network namespace, joined to this one by a bridge, whose address is where the servers listen. In
// the namespace nftables drops what is sent to or comes from a server's port: some packets by chance, or all. What
// clients send goes the same way and is not touched.
import { execFileSync } from "node:child_process";

const TABLE = "oracle";

export interface Loss {
  port: number; // of a server
  percent: number; // 100: the link is cut
}

function run(command: string, input?: string): void {
  const [program = "", ...words] = command.split(" ");
  try {
    execFileSync(program, words, { input, stdio: ["pipe", "pipe", "pipe"] });
  } catch (error) {
    const { stderr = "", code = "" } = error as { stderr?: string; code?: string };
    throw new Error(
      `${command}: ${String(stderr).trim() || code}. Links between nodes and servers need root and network ` +
        "namespaces (apt-get install iproute2 nftables); to go without cut links: PARTITIONS=no",
    );
  }
}

export class Links {
  readonly address: string; // of the servers
  private readonly bridge = `tims${process.pid}`;
  private readonly network = `10.${100 + (process.pid % 100)}.${Math.floor(process.pid / 100) % 250}`;
  private readonly namespaces: string[] = [];
  private readonly clear = () => this.remove();

  constructor() {
    this.address = `${this.network}.1`;
    run(`ip link add ${this.bridge} type bridge`);
    process.on("exit", this.clear);
    run(`ip address add ${this.address}/24 dev ${this.bridge}`);
    run(`ip link set ${this.bridge} up`);
  }

  // Another node's namespace, and its address.
  add(): { namespace: string; host: string } {
    const number = this.namespaces.length;
    const namespace = `${this.bridge}-${number}`;
    const outside = `${this.bridge}n${number}`;
    const host = `${this.network}.${number + 2}`;
    run(`ip netns add ${namespace}`);
    this.namespaces.push(namespace);
    run(`ip link add ${outside} type veth peer name node netns ${namespace}`);
    run(`ip link set ${outside} master ${this.bridge} up`);
    run(`ip -n ${namespace} address add ${host}/24 dev node`);
    run(`ip -n ${namespace} link set node up`);
    run(`ip -n ${namespace} link set lo up`);
    this.set(namespace, []);
    return { namespace, host };
  }

  // What is lost between a node and the servers from now on.
  set(namespace: string, losses: Loss[]): void {
    const chance = (percent: number) => (percent < 100 ? `numgen random mod 100 < ${percent}` : "");
    const rules = (side: "sport" | "dport") =>
      losses.map(({ port, percent }) => `tcp ${side} ${port} ${chance(percent)} drop;`).join(" ");
    run(
      `ip netns exec ${namespace} nft -f -`,
      `table ip ${TABLE} {}
       delete table ip ${TABLE}
       table ip ${TABLE} {
         chain out { type filter hook output priority 0; ${rules("dport")} }
         chain in { type filter hook input priority 0; ${rules("sport")} }
       }`,
    );
  }

  remove(): void {
    process.off("exit", this.clear);
    this.namespaces.splice(0).forEach((namespace, number) => {
      run(`ip link delete ${this.bridge}n${number}`); // a namespace lives on with what was said last in it
      run(`ip netns delete ${namespace}`);
    });
    run(`ip link delete ${this.bridge}`);
  }
}
