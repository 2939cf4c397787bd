// demo.ts: the demo on a PostgreSQL of a test's own: nodes, somebody at a screen, and somebody at the database's prompt.
import pg from "pg";
import { type Client, signedIn } from "./client.ts";
import { type LiveSocket, welcomed } from "./live.ts";
import { Postgres, type PostgresOptions } from "./postgres.ts";
import { type Environment, makeFolder, run, type Server, startServer, until } from "./server.ts";

const DATABASE = "demo";

// A screen that shows the messages of a chat.
export interface Screen {
  socket: LiveSocket;
  view: number;
  position: number; // of its first answer
}

export class Demo {
  readonly postgres: Postgres;
  readonly url: string;
  readonly nodes: Server[] = [];
  client!: Client;
  chat = "";
  private readonly prompts: pg.Client[] = [];
  private readonly sockets: LiveSocket[] = [];

  private constructor(postgres: Postgres) {
    this.postgres = postgres;
    this.url = postgres.createDatabase(DATABASE);
  }

  // With one node on it; the demo's user "demo" is signed in there.
  static async open(options: PostgresOptions = {}): Promise<Demo> {
    const demo = new Demo(await Postgres.open(options));
    const folder = makeFolder();
    run(folder, ["migrate"], { DATABASE_URL: demo.url });
    run(folder, ["demo"], { DATABASE_URL: demo.url });
    const node = await demo.addNode({}, folder);
    demo.client = await signedIn(node, "demo");
    demo.chat = demo.sql("select id from chat where title = 'Welcome'");
    return demo;
  }

  async addNode(env: Environment = {}, folder?: string): Promise<Server> {
    const node = await startServer({
      folder: folder ?? makeFolder(),
      env: { ...env, DATABASE_URL: this.url },
    });
    this.nodes.push(node);
    return node;
  }

  get node(): Server {
    return this.nodes[0] as Server;
  }

  get messages(): string {
    return `/api/messages/?chat=${this.chat}`;
  }

  sql(statement: string): string {
    return this.postgres.sql(statement, DATABASE);
  }

  // Ends everybody's connections to the database.
  terminateAll(): number {
    return this.postgres.terminate(DATABASE);
  }

  // A connection of a foreign program.
  async prompt(): Promise<pg.Client> {
    const client = new pg.Client(this.url);
    client.on("error", () => undefined); // the server may be stopped under it
    await client.connect();
    this.prompts.push(client);
    return client;
  }

  async look(url = this.messages, client = this.client): Promise<Screen> {
    const socket = await welcomed(client);
    this.sockets.push(socket);
    const { view, position } = (await socket.sub(url)).json;
    return { socket, view, position };
  }

  // As a client does it: again when the node is not ready for it.
  lookAgain(url = this.messages): Promise<Screen> {
    return until("a screen", () => this.look(url).catch(() => null));
  }

  // A new message by hand; its id.
  async write(prompt: pg.Client, text: string, id: string = crypto.randomUUID()): Promise<string> {
    await prompt.query(
      "insert into message (id, chat, sender, text, created_at) values ($1, $2, $3, $4, now())",
      [id, this.chat, this.client.user.id, text],
    );
    return id;
  }

  // Closes what one test has opened.
  async rest(): Promise<void> {
    for (const socket of this.sockets.splice(0)) socket.close();
    for (const prompt of this.prompts.splice(0)) await prompt.end().catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.rest();
    for (const node of this.nodes) {
      await node.kill();
      node.remove();
    }
    await this.postgres.remove();
  }
}

// What a screen was told of a row so far.
export function toldOf({ socket }: Screen, id: string): { op: string; row?: Record<string, unknown> }[] {
  return socket.ops().filter((op) => op.id === id);
}

export function told(screen: Screen, id: string, op = "put"): Promise<unknown> {
  return until(`${op} of ${id}`, () => toldOf(screen, id).some((one) => one.op === op));
}
