import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { type Imports, violations } from "./Imports.ts"
import { importsOf, root, sources } from "./Sources.ts"

const manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))
const declared = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })

describe("the imports of src", () => {
  it("keep the order of the house", () => {
    const files = sources()
    assert.isAbove(files.size, 0)
    const imports: Imports = new Map(Array.from(files, ([file, text]) => [file, importsOf(file, text)]))
    assert.deepStrictEqual(violations(imports, declared), [])
  })

  it("are found in every form", () => {
    const text = `
      import a from "a"
      import type { B } from "b"
      import "c"
      export { d } from "d"
      export * as E from "e"
      const f = () => import("f")
      type G = import("g").G
      import h = require("h")
      // import "comment"
      const text = 'import "string"'
    `
    assert.deepStrictEqual([...importsOf("x.ts", text)].toSorted(), ["a", "b", "c", "d", "e", "f", "g", "h"])
  })
})

const sound: Record<string, ReadonlyArray<string>> = {
  "index.ts": ["./Integration.ts", "./policy/Policy.ts"],
  "Integration.ts": ["./Telemetry.ts", "./http/HttpContract.ts", "./event/Channel.ts", "./saga/Saga.ts"],
  "Telemetry.ts": ["effect/Metric", "./internal/clock.ts"],
  "internal/clock.ts": ["effect/Clock"],
  "policy/Policy.ts": ["effect/Effect", "../Telemetry.ts", "../internal/clock.ts", "./internal/alarm.ts"],
  "policy/internal/alarm.ts": ["effect/Effect"],
  "http/HttpContract.ts": ["effect/http/HttpClient", "../policy/Policy.ts"],
  "event/Channel.ts": ["../policy/Policy.ts"],
  "saga/Saga.ts": ["../policy/Policy.ts"],
  "rabbitmq/RabbitBroker.ts": ["amqplib", "../event/Channel.ts", "./internal/connection.ts"],
  "rabbitmq/internal/connection.ts": ["amqplib", "node:tls"],
  "testing/StubProvider.ts": ["node:http", "../http/HttpContract.ts"],
  "testing/pact/Consumer.ts": ["@pact-foundation/pact", "../StubProvider.ts"],
  "document/Markdown.ts": ["../Integration.ts", "../monitoring/Alert.ts"],
  "monitoring/Alert.ts": ["../Integration.ts"],
  "cli/main.ts": ["@effect/platform-node/NodeRuntime", "../document/Markdown.ts"]
}

const packages = ["effect", "amqplib", "@pact-foundation/pact", "@effect/platform-node"]

/** The violations that appear when these imports are added to the sound sources. */
const broken = (added: Record<string, ReadonlyArray<string>>): ReadonlyArray<string> => {
  const imports = new Map(Object.entries(sound))
  for (const [file, specifiers] of Object.entries(added)) {
    imports.set(file, [...(imports.get(file) ?? []), ...specifiers])
  }
  return violations(imports, packages)
}

describe("the order of the house", () => {
  it("accepts what is in order", () => {
    assert.deepStrictEqual(broken({}), [])
  })

  const refused: ReadonlyArray<[name: string, added: Record<string, ReadonlyArray<string>>, violation: string]> = [
    [
      "Telemetry imports ours",
      { "Telemetry.ts": ["./policy/Policy.ts"] },
      "Telemetry.ts: Telemetry may not import policy/Policy.ts"
    ],
    [
      "policy imports a wire",
      { "policy/Retry.ts": ["../http/HttpContract.ts"] },
      "policy/Retry.ts: policy may not import http/HttpContract.ts"
    ],
    [
      "one wire imports another",
      { "http/Client.ts": ["../event/Channel.ts"] },
      "http/Client.ts: http may not import event/Channel.ts"
    ],
    [
      "event imports a broker",
      { "event/Broker.ts": ["../rabbitmq/RabbitBroker.ts"] },
      "event/Broker.ts: event may not import rabbitmq/RabbitBroker.ts"
    ],
    [
      "a store imports a broker",
      { "sql/Dedup.ts": ["../rabbitmq/RabbitBroker.ts"] },
      "sql/Dedup.ts: sql may not import rabbitmq/RabbitBroker.ts"
    ],
    [
      "Integration imports an adapter",
      { "Integration.ts": ["./rabbitmq/RabbitBroker.ts"] },
      "Integration.ts: Integration may not import rabbitmq/RabbitBroker.ts"
    ],
    [
      "Integration imports the top",
      { "Integration.ts": ["./document/Markdown.ts"] },
      "Integration.ts: Integration may not import document/Markdown.ts"
    ],
    [
      "a wire imports the top",
      { "http/Client.ts": ["../monitoring/Alert.ts"] },
      "http/Client.ts: http may not import monitoring/Alert.ts"
    ],
    [
      "a wire imports the design",
      { "http/Client.ts": ["../Integration.ts"] },
      "http/Client.ts: http may not import Integration.ts"
    ],
    [
      "anything imports cli",
      { "testing/Run.ts": ["../cli/main.ts"] },
      "testing/Run.ts: testing may not import cli/main.ts"
    ],
    [
      "the root barrel exports the top",
      { "index.ts": ["./testing/StubProvider.ts"] },
      "index.ts: index may not import testing/StubProvider.ts"
    ],
    ["a folder is unknown", { "utils/text.ts": [] }, 'utils/text.ts: "utils" has no place in the order'],
    ["a module beside the folders is unknown", { "Helpers.ts": [] }, 'Helpers.ts: "Helpers" has no place in the order'],
    [
      "an internal is used from outside",
      { "http/Client.ts": ["../policy/internal/alarm.ts"] },
      "http/Client.ts: policy/internal/alarm.ts is private to policy"
    ],
    [
      "an import leaves src",
      { "policy/Retry.ts": ["../../test/house/Imports.ts"] },
      'policy/Retry.ts: "../../test/house/Imports.ts" is no source file of src'
    ],
    [
      "a package is not declared",
      { "file/Sftp.ts": ["ssh2"] },
      'file/Sftp.ts: "ssh2" is neither a dependency nor a peer dependency'
    ],
    [
      "the package imports itself by name",
      { "event/Broker.ts": ["effect-integration/policy"] },
      'event/Broker.ts: "effect-integration/policy" is neither a dependency nor a peer dependency'
    ],
    [
      "two folders name one heavy dependency",
      { "kafka/KafkaBroker.ts": ["amqplib/callback_api"] },
      "amqplib is named in kafka and rabbitmq: one folder may name it"
    ],
    [
      "a folder and its part name one heavy dependency",
      { "testing/Contract.ts": ["@pact-foundation/pact"] },
      "@pact-foundation/pact is named in testing and testing/pact: one folder may name it"
    ],
    [
      "a folder other than cli names the platform",
      { "cli/main.ts": [], "monitoring/Server.ts": ["@effect/platform-node/NodeHttpServer"] },
      "monitoring/Server.ts: only cli may name @effect/platform-node/NodeHttpServer"
    ],
    [
      "http names a builtin",
      { "http/Client.ts": ["node:crypto"] },
      "http/Client.ts may reach only effect: http/Client.ts -> node:crypto"
    ],
    [
      "policy names a package",
      { "policy/Policy.ts": ["amqplib"] },
      "policy/Policy.ts may reach only effect: policy/Policy.ts -> amqplib"
    ],
    [
      "the root barrel reaches a builtin",
      { "Integration.ts": ["node:fs"] },
      "index.ts may reach only effect: index.ts -> Integration.ts -> node:fs"
    ],
    [
      "saga names a builtin",
      { "saga/Saga.ts": ["node:fs"] },
      "saga/Saga.ts may reach only effect: saga/Saga.ts -> node:fs"
    ],
    ["policy reaches a builtin", { "internal/clock.ts": ["node:fs"] }, "internal/clock.ts -> node:fs"],
    [
      "two files form a circle",
      { "policy/Policy.ts": ["./Retry.ts"], "policy/Retry.ts": ["./Policy.ts"] },
      "circle of files: policy/Policy.ts -> policy/Retry.ts -> policy/Policy.ts"
    ],
    ["a file imports itself", { "saga/Saga.ts": ["./Saga.ts"] }, "circle of files: saga/Saga.ts -> saga/Saga.ts"],
    [
      "two folders form a circle",
      { "monitoring/Panel.ts": ["../document/Markdown.ts"] },
      "circle of folders: document -> monitoring -> document"
    ]
  ]

  it.each(refused)("refuses when %s", (_, added, violation) => {
    const found = broken(added)
    assert.isTrue(
      found.some((line) => line.includes(violation)),
      `expected "${violation}" among:\n${found.join("\n")}`
    )
  })
})
