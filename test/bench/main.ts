/**
 * `npm run bench`, `npm run bench -- policy`, `npm run bench -- http --json`.
 *
 * Prints ratios against a peer in the same run; above 1 means that ours is better. Absolute times say little.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import type { Row } from "./measure.ts"

setFlagsFromString("--expose-gc")
globalThis.gc ??= runInNewContext("gc")

const suites: Record<string, () => Promise<ReadonlyArray<Row>>> = {
  policy: async () => (await import("./policy.ts")).run(),
  http: async () => (await import("./http.ts")).run(),
  dedup: async () => (await import("./dedup.ts")).run(),
  saga: async () => (await import("./saga.ts")).run(),
  rabbitmq: async () => (await import("./rabbitmq.ts")).run()
}

const args = process.argv.slice(2)
const json = args.includes("--json")
const names = args.filter((each) => each !== "--json")
const unknown = names.find((each) => !Object.hasOwn(suites, each))
if (unknown !== undefined) {
  console.error(`no benchmark is named ${unknown}; there are: ${Object.keys(suites).join(", ")}`)
  process.exit(2)
}

for (const name of names.length > 0 ? names : Object.keys(suites)) {
  for (const row of await suites[name]!()) {
    if (json) console.log(JSON.stringify(row))
    else {
      const target = row.target === 0 ? "" : ` (target ${row.target}: ${row.ratio >= row.target ? "met" : "MISSED"})`
      console.log(
        `${name}: ${row.name}\n    ours ${row.ours}, peer ${row.peer} ${row.unit}; ratio ${row.ratio}${target}`
      )
    }
  }
}
// Clients and breakers of peers keep timers.
process.exit(0)
