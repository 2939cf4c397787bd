/* Plain Vite + React. In development the backend answers what belongs to it: npm run example -w packages/client. */

import { defineConfig } from "vite";

const backend = process.env.BACKEND ?? "http://localhost:8000";

export const proxy = {
  "/api": backend,
  "/page-data": backend,
  "/live": { target: backend, ws: true },
};

export default defineConfig({
  root: import.meta.dirname,
  server: { proxy },
  preview: { proxy },
  build: {
    outDir: "dist",
    rollupOptions: {
      input: ["index.html", "list.html", "bench.html"].map((name) => `${import.meta.dirname}/${name}`),
    },
  },
});
