// images.ts: the images that the chart names, in the cluster's own engine. Nothing can be pulled here: all stand on one base
// made of Debian's packages, from the sources of this machine, kept in the cache between runs. PostgreSQL and Redis are
// Debian's, with the users and the entry point of the official images; the backend is the program that was built here,
// where docker/backend.Dockerfile puts it.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { program } from "../../server.ts";
import { type Cluster, programs } from "./cluster.ts";

export const REGISTRY = "registry.example";
export const OWNER = "tests";
export const POSTGRES = "postgres:15-bookworm";
export const REDIS = "redis:7-bookworm";

const PACKAGES = [
  ...[
    "postgresql-15",
    "redis-server",
    "ca-certificates",
    "tzdata",
    "libbrotli1",
    "libcurl4",
    "libhiredis0.14",
  ],
  ...["libjansson4", "libpq5", "libsodium23", "libsqlite3-0", "libssl3", "libuv1", "libwslay1", "zlib1g"],
];
const USERS = 'chroot "$1" groupmod -g 999 postgres && chroot "$1" usermod -u 999 postgres';

const ENTRY = `#!/bin/sh
# As the official image's: makes the database at the first start, then is the server.
set -eu
export PATH="/usr/lib/postgresql/15/bin:$PATH"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb -D "$PGDATA" --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth-host=scram-sha-256 \\
        --auth-local=trust $POSTGRES_INITDB_ARGS
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses= -k /var/run/postgresql" -w start
    createdb -h /var/run/postgresql -U "$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec postgres -D "$PGDATA" -c 'listen_addresses=*' -k /var/run/postgresql
`;

const FILES: Record<string, string> = {
  [POSTGRES]: `FROM base:1
COPY entry /usr/local/bin/entry
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin
USER 999:999
ENTRYPOINT ["sh", "/usr/local/bin/entry"]
`,
  [REDIS]: 'FROM base:1\nUSER 999:999\nENTRYPOINT ["redis-server"]\n',
};

// The image of the backend in a version. The versions differ in nothing but a variable.
export const backendImage = (tag: string) => `${REGISTRY}/${OWNER}/tims-stack-backend:${tag}`;
const backendFile = (tag: string) => `FROM base:1
COPY chat /app/chat
WORKDIR /app
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8000 DATABASE_URL=sqlite:/data/app.sqlite3
LABEL version=${tag}
USER 10001:10001
ENTRYPOINT ["/app/chat"]
CMD ["serve"]
`;

function aptSources(): string[] {
  const folder = "/etc/apt/sources.list.d";
  const parts = readdirSync(folder).filter((name) => /\.(list|sources)$/.test(name));
  return ["/etc/apt/sources.list", ...parts.map((name) => join(folder, name))].filter((file) =>
    existsSync(file),
  );
}

function baseFile(): string {
  const cache = join(dirname(dirname(programs)), "images");
  const hash = createHash("sha256")
    .update([...PACKAGES, USERS].join("\n"))
    .digest("hex")
    .slice(0, 12);
  const file = join(cache, `base-${hash}.tar`);
  if (!existsSync(file)) {
    mkdirSync(cache, { recursive: true });
    const hook = `--customize-hook=${USERS}`;
    const words = ["--variant=minbase", "--quiet", `--include=${PACKAGES.join(",")}`, hook, "bookworm"];
    execFileSync("mmdebstrap", [...words, `${file}.new.tar`, ...aptSources()], { stdio: "pipe" });
    renameSync(`${file}.new.tar`, file);
  }
  return file;
}

// Everything that the chart needs, the backend in each of the versions.
export function makeImages(cluster: Cluster, versions: string[]): void {
  cluster.docker("import", baseFile(), "base:1");
  const context = join(cluster.folder, "context");
  mkdirSync(context);
  writeFileSync(join(context, "entry"), ENTRY);
  copyFileSync(program, join(context, "chat"));
  const files = {
    ...FILES,
    ...Object.fromEntries(versions.map((tag) => [backendImage(tag), backendFile(tag)])),
  };
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(context, "Dockerfile"), text);
    cluster.docker("build", "--quiet", "--tag", name, context);
  }
}
