import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.{ts,tsx}"],
    environment: "node",
    setupFiles: ["test/setup.ts"],
    server: { deps: { inline: ["@reduxjs/toolkit"] } }, // so that devtools.test.ts can load it anew
  },
});
