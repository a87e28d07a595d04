#!/usr/bin/env node
/**
 * The program `integration`. It needs `@effect/platform-node`, which only users of the command install.
 *
 * @since 0.1.0
 */
import process from "node:process"

import("./internal/program.ts").catch((error: unknown) => {
  if (!/Cannot find package '@effect\/platform-node'/.test(String(error))) throw error
  process.stderr.write("integration needs @effect/platform-node: npm install @effect/platform-node\n")
  process.exitCode = 2
})
