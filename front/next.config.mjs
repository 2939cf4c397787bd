// One set of pages, two builds: dist/server renders pages on request from data that the backend posts (render.mjs);
// dist/app is the same pages as files, for native shells, for offline use, and for when no renderer answers.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const { worker } = JSON.parse(readFileSync(join(import.meta.dirname, "app.config.json"), "utf8"));
const exporting = process.env.APP_TARGET === "export";

/** @type {import("next").NextConfig} */
const config = {
  reactStrictMode: true,
  poweredByHeader: false,
  compress: false, // the backend compresses
  generateEtags: false,
  devIndicators: false,
  generateBuildId: () => process.env.TIMS_BUILD ?? null, // both builds have one name: scripts/build.mjs
  env: { SERVICE_WORKER: worker && process.env.NODE_ENV === "production" ? "yes" : "" },
  transpilePackages: ["@tims/client"],
  distDir: exporting
    ? "dist/app"
    : process.env.NODE_ENV === "production"
      ? "dist/server"
      : "dist/development",
  turbopack: {
    root: dirname(import.meta.dirname), // workspaces: packages live beside this folder
    rules: { "*.md": { loaders: ["./scripts/markdown.cjs"], as: "*.js" } },
  },
  images: { unoptimized: true }, // in both, so that their scripts are the same
  ...(exporting ? { output: "export" } : {}),
  // for images: a copy with the modules that are needed at run time alone
  ...(!exporting && process.env.STANDALONE ? { output: "standalone" } : {}),
  outputFileTracingRoot: dirname(import.meta.dirname),
};

export default config;
