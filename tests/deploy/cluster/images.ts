// images.ts: the images that the chart names: those of docker/, built by an engine of the tests' own, which keeps their
// layers between runs, and its stand-ins for the public ones. There are three versions: 2 differs from 1 in its name, 3 has one
// migration more, which the project's own command writes.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../server.ts";
import { Engine, nameOf } from "../engine.ts";

export const REGISTRY = "registry.example";
export const OWNER = "tests";
export const POSTGRES = "postgres:15-bookworm";
export const REDIS = "redis:7-bookworm";
export const MOVED = "3"; // the version with another schema
export const FIELD = "edited_at"; // what its messages have

const PARTS = ["backend", "frontend", "docs"] as const;
type Part = (typeof PARTS)[number];
const VERSIONS = ["1", "2", MOVED];
const COMPILED = "backend-compiled"; // the stage of the backend's image where it is built

export const imageOf = (part: Part, tag: string) => `${REGISTRY}/${OWNER}/tims-stack-${part}:${tag}`;

// What a developer does for a field more: the struct, its descriptor, makemigrations, and built again.
const EDITS: [file: string, after: string, added: string][] = [
  ["chat.h", "    tims_opt_id picture;\n", `    tims_opt_time ${FIELD};\n`],
  [
    "models.c",
    '                   .doc = "The picture in it."),\n',
    `        TIMS_FIELD(message, ${FIELD}, .read_only = true, .doc = "When it was changed."),\n`,
  ],
];
const BUILD = "cmake --build build/release --target chat";
const MOVED_FILE = `FROM ${COMPILED} AS moved
COPY chat.h models.c back/chat/
RUN ${BUILD} && build/release/chat makemigrations --name ${FIELD} && cmake --preset release && ${BUILD}
FROM ${nameOf("backend")}
COPY --from=moved /src/build/release/chat /app/chat
`;

function buildMoved(engine: Engine, context: string): void {
  mkdirSync(context);
  for (const [file, after, added] of EDITS) {
    const text = readFileSync(join(root, "back/chat", file), "utf8");
    if (text.split(after).length !== 2) throw new Error(`back/chat/${file} has not one place for the field`);
    writeFileSync(join(context, file), text.replace(after, after + added));
  }
  writeFileSync(join(context, "Dockerfile"), MOVED_FILE);
  const file = "docker/backend.Dockerfile";
  engine.docker("build", "--target", "build", "-f", file, "-t", COMPILED, ".");
  engine.docker("build", "-t", imageOf("backend", MOVED), context);
}

// All of them, into an archive in `folder`; its path.
export async function makeImages(folder: string): Promise<string> {
  const engine = await Engine.start();
  if (typeof engine === "string") throw new Error(engine);
  try {
    engine.build(...PARTS);
    buildMoved(engine, join(folder, "context"));
    const names = PARTS.flatMap((part) => VERSIONS.map((tag) => [part, tag] as const));
    for (const [part, tag] of names)
      if (part !== "backend" || tag !== MOVED) engine.docker("tag", nameOf(part), imageOf(part, tag));
    const archive = join(folder, "images.tar");
    engine.docker("save", "-o", archive, POSTGRES, REDIS, ...names.map(([part, tag]) => imageOf(part, tag)));
    return archive;
  } finally {
    await engine.stop();
  }
}
