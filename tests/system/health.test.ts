// `health`, as a container's health check runs it: by its exit status.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Postgres } from "../postgres.ts";
import {
  type Environment,
  environment,
  freePort,
  makeFolder,
  program,
  removeFolder,
  run,
  startServer,
  until,
} from "../server.ts";

const folder = makeFolder();
let tls: Environment;

before(() => {
  run(folder, ["migrate"]);
  // For the name that people know the server by, in a time that is over: the check asks whether it serves.
  const [key, certificate] = [join(folder, "tls.key"), join(folder, "tls.pem")];
  const subject = ["-subj", "/CN=chat.example", "-addext", "subjectAltName=DNS:chat.example"];
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const files = ["-keyout", key, "-out", certificate];
  execFileSync("openssl", ["req", "-x509", ...ec, ...files, ...subject], { stdio: "pipe" });
  tls = { TLS_CERTIFICATE: certificate, TLS_KEY: key };
});
after(() => removeFolder(folder));

interface Said {
  code: number;
  out: string;
  complaint: string;
}

function health(port: number, extra: Environment = {}): Promise<Said> {
  const env = environment(folder, { ...extra, PORT: String(port) });
  return new Promise((resolve) => {
    execFile(program, ["health"], { cwd: folder, env }, (failure, out, complaint) => {
      assert.ok(!failure?.signal, `ended by ${failure?.signal}`);
      resolve({ code: failure ? Number(failure.code) : 0, out, complaint });
    });
  });
}

// A peer that does this with whoever comes, while `body` runs.
async function withPeer(behave: (socket: Socket) => void, body: (port: number) => Promise<void>) {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    behave(socket);
  });
  const port = await new Promise<number>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port)),
  );
  try {
    await body(port);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

test("a server that is ready is healthy, wherever it listens", async () => {
  for (const host of ["127.0.0.1", "0.0.0.0", "::", "::1"]) {
    const server = await startServer({ folder, env: { HOST: host } });
    try {
      const said = await health(server.port, { HOST: host });
      assert.deepEqual(said, { code: 0, out: "HTTP/1.1 200 OK\n", complaint: "" }, host);
    } finally {
      await server.stop();
    }
  }
});

test("a server with TLS is asked over TLS, whomever its certificate is for", async () => {
  const server = await startServer({ folder, env: tls });
  try {
    assert.deepEqual(await health(server.port, tls), { code: 0, out: "HTTP/1.1 200 OK\n", complaint: "" });
    const plain = await health(server.port); // settings of another server than the one that listens
    assert.equal(plain.code, 1);
    assert.match(plain.complaint, /does not answer over HTTP\./);
  } finally {
    await server.stop();
  }
});

test("where nobody listens nothing is healthy", async () => {
  for (const extra of [{}, tls]) {
    const said = await health(await freePort(), extra);
    assert.equal(said.code, 1);
    assert.match(said.complaint, /Nobody listens at 127\.0\.0\.1, port \d+\./);
  }
});

test("a server that lost its database is not healthy", async () => {
  const postgres = await Postgres.open();
  const env = { DATABASE_URL: postgres.createDatabase("health") };
  try {
    run(folder, ["migrate"], env);
    const server = await startServer({ folder, env });
    try {
      assert.equal((await health(server.port, env)).code, 0);
      await postgres.stop("immediate");
      await until("not to be healthy", async () => (await health(server.port, env)).code === 1);
      assert.match((await health(server.port, env)).out, /^HTTP\/1\.1 503 /);
    } finally {
      await server.kill();
    }
  } finally {
    await postgres.remove();
  }
});

const peers: Record<string, (socket: Socket) => void> = {
  "closes at once": (socket) => socket.destroy(),
  "closes behind the question": (socket) => void socket.once("data", () => socket.destroy()),
  "speaks another protocol": (socket) => void socket.end("SSH-2.0-OpenSSH_9.2\r\n"),
  "says half a line": (socket) => void socket.end("HTTP/1.1 200"),
  "never ends its line": (socket) => void socket.end(`HTTP/1.1 200 ${"O".repeat(100_000)}K\r\n\r\n`),
  "says another status": (socket) => void socket.end("HTTP/1.1 2000 OK\r\n\r\n"),
};
for (const [what, behave] of Object.entries(peers))
  test(`who ${what} is not healthy, with TLS or without`, async () => {
    await withPeer(behave, async (port) => {
      for (const extra of [{}, tls]) assert.equal((await health(port, extra)).code, 1);
    });
  });

test("an answer in pieces is one", async () => {
  const inPieces = (socket: Socket) => {
    socket.setNoDelay(true);
    const pieces = [..."HTTP/1.1 200 OK\r\n\r\n"];
    const next = () => {
      const piece = pieces.shift();
      if (piece) socket.write(piece, () => setImmediate(next));
      else socket.end();
    };
    socket.once("data", next);
  };
  await withPeer(inPieces, async (port) => {
    assert.deepEqual(await health(port), { code: 0, out: "HTTP/1.1 200 OK\n", complaint: "" });
  });
});

test("who says nothing is given up", async () => {
  await withPeer(
    () => {},
    async (port) => {
      for (const extra of [{}, tls]) assert.equal((await health(port, extra)).code, 1);
    },
  );
});
