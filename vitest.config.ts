import { defineConfig } from "vitest/config"

const source = (path: string) => `${import.meta.dirname}/src/${path}`

export default defineConfig({
  resolve: {
    alias: [
      { find: /^effect-integration$/, replacement: source("index.ts") },
      { find: /^effect-integration\/(.+)$/, replacement: source("$1/index.ts") }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000
  }
})
