// What browsers ask for by name and what is made, not written: the pictures and the manifest, into public/
// (git-ignored). The build does it first; `make dev`, which does not build, does only this.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { WEB_ICONS, writeWebIcons } from "./icons.mjs";

const front = dirname(import.meta.dirname);

/** How the app looks when it is installed, from app.config.json. */
export function makeManifest(config) {
  const { name, shortName, description, start, categories, shortcuts, colours } = config;
  const icons = WEB_ICONS.map(({ src, size, purpose }) => ({
    src,
    sizes: `${size}x${size}`,
    type: "image/png",
    purpose,
  }));
  return {
    id: "/",
    name,
    short_name: shortName,
    description,
    lang: "en",
    dir: "ltr",
    start_url: start,
    scope: "/",
    display: "standalone",
    display_override: ["standalone", "minimal-ui"],
    background_color: colours.light,
    theme_color: colours.light,
    categories,
    icons: [...icons, { src: "/icon.svg", sizes: "any", type: "image/svg+xml", purpose: "any" }],
    shortcuts: shortcuts.map((shortcut) => ({ ...shortcut, icons: [icons[0]] })),
  };
}

export async function writePublic() {
  const config = JSON.parse(readFileSync(join(front, "app.config.json"), "utf8"));
  await writeWebIcons();
  writeFileSync(join(front, "public/manifest.webmanifest"), `${JSON.stringify(makeManifest(config))}\n`);
}

if (process.argv[1] === import.meta.filename) await writePublic();
