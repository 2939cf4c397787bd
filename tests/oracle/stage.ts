// stage.ts: where a seed is played: a database, the nodes that serve it, and what can go wrong with them.
import type { Account } from "./actor.ts";
import type { History } from "./history.ts";
import type { Target } from "./network.ts";
import type { Node } from "./node.ts";
import type { Random } from "./random.ts";
import type { Pools } from "./urls.ts";
import type { World } from "./world.ts";
import type { Writer } from "./writer.ts";

export interface Stage {
  readonly world: World;
  readonly accounts: Account[];
  readonly history: History;
  readonly nodes: readonly Node[];
  openWriter(pools: Pools, random: Random, blame: (error: unknown) => void): Writer;
  // Where the next connection of a client goes.
  route(): Target;
  // A step of trouble: perhaps something breaks.
  trouble(chaos: Random): Promise<void>;
  // Everything is up and reachable again.
  heal(): Promise<void>;
  // What the nodes have logged as their own faults, for people.
  complaints(): string;
  // What has happened, for the report.
  report(): Record<string, number>;
  close(): Promise<void>;
}

const PEOPLE = 9;
const PASSWORD = "oracle-pass-1";

async function register(url: string, username: string): Promise<Account> {
  const post = async (path: string, body: unknown) => {
    const answer = await fetch(url + path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path} answers ${answer.status}: ${await answer.text()}`);
    return answer.json();
  };
  const secret = { username, password: PASSWORD };
  const { user } = (await post("/api/auth/register/", secret)) as { user: { id: string } };
  const { token } = (await post("/api/auth/token/", secret)) as { token: string };
  return { id: user.id, name: username, staff: false, token };
}

// People, two of them staff, and somebody who is not signed in.
export async function registerAll(url: string, makeStaff: (id: string) => void): Promise<Account[]> {
  const accounts: Account[] = [];
  for (let i = 0; i < PEOPLE; i++) accounts.push(await register(url, `person${i}`));
  for (const account of accounts.slice(0, 2)) {
    makeStaff(account.id as string);
    account.staff = true;
  }
  return [...accounts, { id: null, name: "nobody", staff: false, token: null }];
}

// Which protocol the server speaks, asked of the server.
export function asksForProtocol2(url: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/live`);
    socket.onopen = () => socket.send(JSON.stringify({ t: "hello", protocol: 2 }));
    socket.onmessage = (event) => {
      resolve(JSON.parse(String(event.data)).t === "welcome");
      socket.close();
    };
    socket.onerror = () => reject(new Error("the server does not open /live"));
  });
}
