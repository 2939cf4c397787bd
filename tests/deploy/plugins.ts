// plugins.ts: Compose v2 and buildx for Docker's client. Debian has them one release later than the one the tests run on: its
// packages are fetched by an apt of their own, which leaves the system's sources as they are, and unpacked where only the
// tests' client looks.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { aptSettings, debianSources, kept } from "./bases.ts";

const SUITE = "trixie";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

function fetchPlugins(path: string, source: string, settings: string): void {
  const folder = mkdtempSync(join(tmpdir(), "tims-apt-"));
  const run = (program: string, ...words: string[]) =>
    execFileSync(program, words, {
      cwd: folder,
      env: { PATH: process.env.PATH, APT_CONFIG: join(folder, "apt.conf") },
      stdio: ["ignore", "ignore", "pipe"],
    });
  try {
    for (const name of ["etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d"])
      mkdirSync(join(folder, name), { recursive: true });
    for (const name of ["var/lib/apt/lists/partial", "var/lib/dpkg", "var/cache/apt/archives/partial"])
      mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, "var/lib/dpkg/status"), "");
    writeFileSync(
      join(folder, "etc/apt/sources.list"),
      `deb [signed-by=${KEYRING}] ${source} ${SUITE} main\n`,
    );
    writeFileSync(
      join(folder, "apt.conf"),
      `Dir "${folder}";\nDir::State::status "${folder}/var/lib/dpkg/status";\nAcquire::Languages "none";\n` +
        `APT::Sandbox::User "root";\n${settings}\n`,
    );
    run("apt-get", "-q", "update");
    run("apt-get", "-q", "download", "docker-compose", "docker-buildx");
    mkdirSync(path, { recursive: true });
    for (const name of readdirSync(folder).filter((file) => file.endsWith(".deb")))
      run("dpkg-deb", "-x", join(folder, name), path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// Puts them where Docker's client looks for plugins.
export function installPlugins(folder: string): void {
  const source = /^deb (\S+)/.exec(
    debianSources("bookworm").find((line) => / bookworm main$/.test(line)) ?? "",
  )?.[1];
  if (source === undefined) throw new Error("This machine has no apt source for Debian.");
  const settings = aptSettings();
  const unpacked = kept("plugins", JSON.stringify([1, source, settings]), (path) =>
    fetchPlugins(path, source, settings),
  );
  const plugins = join(unpacked, "usr/libexec/docker/cli-plugins");
  for (const name of readdirSync(plugins))
    if (!existsSync(join(folder, name))) symlinkSync(join(plugins, name), join(folder, name));
}
