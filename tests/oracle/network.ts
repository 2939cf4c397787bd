// network.ts: the network between one client and the servers, with what networks do: they cut, stall, lose one direction
// or both without a word, and crawl. Each connection is led to a node of its own, as a load balancer does it.
import { connect, createServer, type Server, type Socket } from "node:net";

// cut: every connection ends now · hang: nothing arrives any more, nothing is closed · deaf: what the server says is
// lost, what the client says arrives (lost answers) · slow: every piece takes its time · closed: nobody is let in
export type Fault = "none" | "cut" | "hang" | "deaf" | "slow" | "closed";

interface Pair {
  client: Socket;
  server: Socket;
  // Bytes were swallowed: whatever happens next, these two cannot go on.
  broken: boolean;
}

// Where a connection goes.
export interface Target {
  host: string;
  port: number;
}

const SLOW_MS = 120;

export class Network {
  readonly port: number;
  private readonly listener: Server;
  private readonly pairs = new Set<Pair>();
  private readonly route: () => Target;
  private fault: Fault = "none";

  private constructor(listener: Server, route: () => Target) {
    this.listener = listener;
    this.route = route;
    this.port = (listener.address() as { port: number }).port;
    listener.on("connection", (client) => this.accept(client));
  }

  static open(route: () => Target): Promise<Network> {
    return new Promise((resolve, reject) => {
      const listener = createServer({ allowHalfOpen: false });
      listener.once("error", reject);
      listener.listen(0, "127.0.0.1", () => resolve(new Network(listener, route)));
    });
  }

  set(fault: Fault): void {
    this.fault = fault;
    for (const pair of [...this.pairs])
      if (fault === "cut" || fault === "closed" || (fault === "none" && pair.broken)) this.end(pair);
    if (fault === "cut") this.fault = "none";
  }

  close(): void {
    this.set("closed");
    this.listener.close();
  }

  private end(pair: Pair): void {
    this.pairs.delete(pair);
    pair.client.destroy();
    pair.server.destroy();
  }

  private accept(client: Socket): void {
    if (this.fault === "closed") {
      client.destroy();
      return;
    }
    const server = connect(this.route());
    const pair: Pair = { client, server, broken: false };
    this.pairs.add(pair);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", () => this.end(pair));
      socket.on("close", () => pair.broken || this.end(pair));
    }
    this.pump(pair, client, server, ["hang"]);
    this.pump(pair, server, client, ["hang", "deaf"]);
  }

  private pump(pair: Pair, from: Socket, to: Socket, lostIn: Fault[]): void {
    let before = Promise.resolve();
    from.on("data", (bytes) => {
      if (pair.broken || lostIn.includes(this.fault)) {
        pair.broken ||= true;
        if (!(from === pair.client && this.fault === "deaf")) return;
      }
      const pause = this.fault === "slow" ? SLOW_MS : 0;
      before = before
        .then(() => (pause > 0 ? new Promise<void>((resolve) => setTimeout(resolve, pause)) : undefined))
        .then(() => void (to.destroyed || to.write(bytes)));
    });
  }
}
