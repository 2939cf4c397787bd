// deployed.ts: a front end's folder that can be deployed anew under a server: the same pages as a build of another name, all
// of whose scripts are other files (those of before are gone from the server).
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./server.ts";

const source = join(root, "front");

export class Deployment {
  readonly folder = mkdtempSync(join(tmpdir(), "tims-front-"));

  // Replaces what is there. `worker` takes the place of the build's own.
  deploy(build: string, worker?: string): void {
    for (const name of ["dist", "public"]) rmSync(join(this.folder, name), { recursive: true, force: true });
    cpSync(join(source, "public"), join(this.folder, "public"), { recursive: true });
    cpSync(join(source, "dist/app"), join(this.folder, "dist/app"), {
      recursive: true,
      filter: (path) => !/\.(br|gz)$/.test(path),
    });
    const chunks = join(this.folder, "dist/app/_next/static/chunks");
    const names: [string, string][] = readdirSync(chunks).map((name) => [
      `chunks/${name}`,
      `chunks/${build}${name}`,
    ]);
    names.push([this.buildOf(), build]);
    for (const file of this.files()) if (/\.(html|js|json|txt)$/.test(file)) this.rename(file, names);
    for (const [from, to] of names) {
      const folder = join(chunks, "..");
      renameSync(join(folder, from), join(folder, to));
    }
    if (worker !== undefined) writeFileSync(join(this.folder, "public/worker.js"), worker);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  private files(): string[] {
    return readdirSync(this.folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  }

  private buildOf(): string {
    const html = readFileSync(join(this.folder, "dist/app/index.html"), "utf8");
    return /"buildId":"([^"]+)"/.exec(html)?.[1] as string;
  }

  private rename(file: string, names: [string, string][]): void {
    let text = readFileSync(file, "utf8");
    for (const [from, to] of names) text = text.replaceAll(from, to);
    writeFileSync(file, text);
  }
}
