import { defineConfig } from "vitest/config"

const source = (path: string) => `${import.meta.dirname}/src/${path}`

const integration = "test/**/*.integration.test.ts"
const house = "test/house/*.test.ts"

export default defineConfig({
  resolve: {
    alias: [
      { find: /^effect-integration$/, replacement: source("index.ts") },
      { find: /^effect-integration\/(.+)$/, replacement: source("$1/index.ts") }
    ]
  },
  test: {
    maxWorkers: 2,
    teardownTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: [integration, house],
          testTimeout: 30_000,
          hookTimeout: 30_000
        }
      },
      {
        extends: true,
        // Who imports whom, and whether examples compile: static checks, which `npm run check` runs.
        test: { name: "house", include: [house], testTimeout: 120_000 }
      },
      {
        extends: true,
        test: {
          name: "integration",
          include: [integration],
          // Starts a RabbitMQ and a PostgreSQL, when a file of this project is run.
          globalSetup: ["test/servers/setup.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // After the unit tests, whose timing the servers would disturb.
          sequence: { groupOrder: 1 }
        }
      }
    ]
  }
})
