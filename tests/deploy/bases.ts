// bases.ts: stand-ins for the public images that ours are built on and stand beside, where nothing can be pulled: made from
// this machine's own sources of Debian packages and npm packages, under the public names, in the tests' engine alone. They
// trust whom this machine trusts, so they are never pushed.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../server.ts";
import type { Engine } from "./engine.ts";

export const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "tims-stack");
const CERTIFICATES = "/usr/local/share/ca-certificates";
const SUITE = "bookworm";

// Tests run inside `npm run --workspace`, which an npm in there would take for its own setting.
const { npm_config_workspace, npm_config_local_prefix, ...env } = process.env;

function run(program: string, words: string[], cwd?: string): string {
  return execFileSync(program, words, {
    encoding: "utf8",
    cwd,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 1 << 26,
  });
}

// The addresses of this machine's own Debian sources of a suite.
export function debianSources(suite: string): string[] {
  const lines = run("apt-get", [
    "indextargets",
    "--format",
    "$(ORIGIN)|$(RELEASE)|$(REPO_URI)|$(COMPONENT)",
    "Created-By: Packages",
  ]);
  const found = lines
    .split("\n")
    .map((line) => line.split("|"))
    .filter(([origin, release]) => /^Debian/.test(origin ?? "") && release?.startsWith(suite))
    .map(([, release, uri, component]) => `deb ${uri} ${release} ${component}`);
  return [...new Set(found)];
}

// How this machine gets at its sources, for apt elsewhere.
export function aptSettings(): string {
  return run("apt-config", ["dump"])
    .split("\n")
    .filter((line) => /^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date)\b.* "./i.test(line))
    .join("\n");
}

// A file of the cache, made once for the same `key`. What cannot be kept is made each time.
export function kept(name: string, key: string, make: (path: string) => void): string {
  let folder = cache;
  try {
    mkdirSync(folder, { recursive: true });
  } catch {
    folder = mkdtempSync(join(tmpdir(), "tims-cache-"));
  }
  const digest = createHash("sha256").update(key).digest("hex").slice(0, 16);
  const path = join(folder, `${digest}-${name}`);
  if (!existsSync(path)) {
    const scratch = `${path}.${process.pid}`;
    make(scratch);
    renameSync(scratch, path);
  }
  return path;
}

function debianArchive(): string {
  const sources = debianSources(SUITE);
  if (sources.length === 0) throw new Error(`This machine has no apt source for Debian ${SUITE}.`);
  const settings = aptSettings();
  const authorities = existsSync(CERTIFICATES)
    ? readdirSync(CERTIFICATES).map((name) => readFileSync(join(CERTIFICATES, name), "utf8"))
    : [];
  return kept("debian.tar", JSON.stringify([3, sources, settings, authorities]), (path) => {
    const folder = mkdtempSync(join(tmpdir(), "tims-base-"));
    try {
      writeFileSync(join(folder, "sources.list"), `${sources.join("\n")}\n`);
      writeFileSync(join(folder, "apt.conf"), `${settings}\n`);
      const certificates = existsSync(CERTIFICATES)
        ? [
            `--customize-hook=copy-in ${CERTIFICATES} /usr/local/share`,
            '--customize-hook=chroot "$1" update-ca-certificates',
          ]
        : [];
      run("mmdebstrap", [
        ...["--variant=minbase", "--include=ca-certificates", "--format=tar"],
        ...settings
          .split("\n")
          .filter(Boolean)
          .map((line) => `--aptopt=${line}`),
        ...["doc", "man", "locale", "info"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
        ...certificates,
        ...[SUITE, path, join(folder, "sources.list")],
      ]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

// Node of the repository's lock file, and npm as this machine gets it.
function nodeFolder(): string {
  const binary = join(root, "node_modules/node/bin/node");
  const version = run(binary, ["--version"]).trim();
  const registry = run("npm", ["config", "get", "registry"], root).trim();
  return kept("node", JSON.stringify([2, version, registry]), (path) => {
    mkdirSync(join(path, "usr/local/bin"), { recursive: true });
    cpSync(binary, join(path, "usr/local/bin/node"), { dereference: true });
    run("npm", [
      "install",
      "--no-save",
      "--ignore-scripts",
      "--prefix",
      join(path, "usr/local/lib"),
      "npm@11",
    ]);
    mkdirSync(join(path, "usr/local/etc"), { recursive: true });
    writeFileSync(join(path, "usr/local/etc/npmrc"), `registry=${registry}\n`);
    writeFileSync(
      join(path, "usr/local/bin/npm"),
      '#!/bin/sh\nexec node /usr/local/lib/node_modules/npm/bin/npm-cli.js --globalconfig=/usr/local/etc/npmrc "$@"\n',
    );
    chmodSync(join(path, "usr/local/bin/npm"), 0o755);
  });
}

const POSTGRES = `#!/bin/sh
# What the public image understands of POSTGRES_…, and no more.
set -eu
export PGDATA="\${PGDATA:-/var/lib/postgresql/data}" PATH="/usr/lib/postgresql/15/bin:$PATH"
if [ -n "\${POSTGRES_PASSWORD_FILE:-}" ]; then POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); fi
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown -R postgres "$PGDATA"
    chmod 700 "$PGDATA"
    exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    printf '%s' "\${POSTGRES_PASSWORD:?}" >/tmp/password
    initdb --encoding=UTF8 --locale=C.UTF-8 -U "\${POSTGRES_USER:-postgres}" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 >/dev/null
    rm /tmp/password
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl -w -o "-c listen_addresses= -k /tmp" start >/dev/null
    database="\${POSTGRES_DB:-\${POSTGRES_USER:-postgres}}"
    if [ "$database" != postgres ]; then # which initdb has made
        createdb -h /tmp -U "\${POSTGRES_USER:-postgres}" "$database"
    fi
    pg_ctl -w stop >/dev/null
fi
if [ "\${1:-}" = postgres ]; then shift; fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp,/var/run/postgresql "$@"
`;

const files: [name: string, dockerfile: string][] = [
  [
    "node:24-bookworm-slim",
    `FROM debian:bookworm-slim
COPY node /
RUN groupadd -g 1000 node && useradd -u 1000 -g 1000 -m node
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
CMD ["node"]
`,
  ],
  [
    "postgres:15-bookworm",
    `FROM debian:bookworm-slim
RUN groupadd -g 999 postgres && useradd -u 999 -g 999 -d /var/lib/postgresql postgres \\
 && apt-get update && apt-get install -y --no-install-recommends postgresql-15 \\
 && rm -rf /var/lib/postgresql/15 /var/lib/apt/lists/* && mkdir -p /var/lib/postgresql/data /var/run/postgresql \\
 && chown -R postgres /var/lib/postgresql /var/run/postgresql && chmod 3777 /var/run/postgresql
COPY postgres.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
`,
  ],
  [
    "redis:7-bookworm",
    `FROM debian:bookworm-slim
RUN groupadd -g 999 redis && useradd -u 999 -g 999 redis \\
 && apt-get update && apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/* \\
 && mkdir -p /data && chown redis /data
USER redis
WORKDIR /data
VOLUME /data
CMD ["redis-server", "--protected-mode", "no"]
`,
  ],
];

// All of them, each unless the engine has it.
export function makeBases(engine: Engine): void {
  const has = (name: string) => engine.docker("images", "-q", name) !== "";
  if (!has("debian:bookworm-slim"))
    engine.docker("import", "--change", 'CMD ["bash"]', debianArchive(), "debian:bookworm-slim");
  for (const [name, dockerfile] of files) {
    if (has(name)) continue;
    const folder = mkdtempSync(join(tmpdir(), "tims-base-"));
    try {
      writeFileSync(join(folder, "Dockerfile"), dockerfile);
      if (name.startsWith("node"))
        cpSync(nodeFolder(), join(folder, "node"), { recursive: true, verbatimSymlinks: true });
      writeFileSync(join(folder, "postgres.sh"), POSTGRES, { mode: 0o755 });
      engine.docker("build", "-t", name, folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
