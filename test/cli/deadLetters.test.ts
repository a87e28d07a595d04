import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as path from "node:path"
import { assertCode, fixture, folder, folderOf, integration, linkModules, parsed, source } from "./program.ts"

/** The command on the fixture, whose four dead letters are those of each process. */
const commands = Effect.map(folder, (directory) => {
  let count = 0
  return {
    letters: (command: string, ...args: ReadonlyArray<string>) => {
      const database = path.join(directory, `${count++}.db`)
      const env = { FIXTURE_DATABASE: database, FIXTURE_PROCESSED: "o-2" }
      return integration(["dead-letters", command, fixture, ...args], { env })
    }
  }
})

const idsOf = (letters: ReadonlyArray<any>) => letters.map((letter) => letter.event?.id ?? letter.messageId)

describe("integration dead-letters", { timeout: 60_000 }, () => {
  it.live("lists them, without what they carry", () =>
    Effect.gen(function* () {
      const { letters } = yield* commands
      const list = yield* letters("list", "--consumer", "billing")
      assertCode(list, 0)
      assert.match(list.stdout, /^4 dead letters of billing:\n/)
      assert.match(list.stdout, /\n {2}com\.acme\.order\.placed o-2: rejected after 1 attempt at \d{4}-.*: Refused: NO/)
      assert.match(list.stdout, /\n {2}message m-4: invalid after 1 attempt/)
      assert.notInclude(list.stdout, "\u001b")
      const found = parsed(yield* letters("list", "--json", "--reason", "rejected", "--type", "com.acme.order.placed"))
      assert.strictEqual(found.consumer, "billing")
      assert.deepStrictEqual(idsOf(found.letters).toSorted(), ["o-1", "o-2", "o-3"])
      assert.notProperty(found.letters[0], "body")
      assert.strictEqual(parsed(yield* letters("list", "--json", "--limit", "2")).letters.length, 2)
    })
  )

  it.live("shows one whole, but for its credentials", () =>
    Effect.gen(function* () {
      const { letters } = yield* commands
      const { letter } = parsed(yield* letters("peek", "--json", "--id", "m-4"))
      assert.strictEqual(letter.body, "no event")
      assert.deepStrictEqual(letter.headers, { authorization: "<redacted>", trace: "base64:/wA=" })
      const text = yield* letters("peek", "--id", "o-3")
      assertCode(text, 0)
      assert.include(text.stdout, '{"country":"FR"}')
      assert.notInclude(text.stdout, "\u001b")
      assert.strictEqual(parsed(yield* letters("peek", "--json", "--id", "nothing")).letter, null)
    })
  )

  it.live("replays what was not processed meanwhile, after a dry run", () =>
    Effect.gen(function* () {
      const { letters } = yield* commands
      const dry = yield* letters("replay", "--type", "com.acme.order.placed")
      assertCode(dry, 0)
      assert.include(dry.stdout, "2 dead letters of billing would be replayed:")
      assert.include(dry.stdout, "1 processed meanwhile, which stay:\n  com.acme.order.placed o-2")
      assert.include(dry.stdout, "add --confirm to do it")
      const done = parsed(yield* letters("replay", "--id", "o-1", "--confirm", "--json"))
      assert.isTrue(done.confirmed)
      assert.deepStrictEqual([idsOf(done.letters), done.processed, done.breaksOrder], [["o-1"], [], []])
    })
  )

  it.live("removes them for good, after a dry run", () =>
    Effect.gen(function* () {
      const { letters } = yield* commands
      const dry = yield* letters("purge", "--id", "m-4")
      assert.include(dry.stdout, "1 dead letter of billing would be removed for good:\n  message m-4")
      assert.include(dry.stdout, "add --confirm to do it")
      const done = parsed(yield* letters("purge", "--id", "m-4", "--confirm", "--json"))
      assert.deepStrictEqual([done.confirmed, idsOf(done.letters)], [true, ["m-4"]])
    })
  )

  it.live("says what is missing", () =>
    Effect.gen(function* () {
      const { letters } = yield* commands
      const nobody = parsed(yield* letters("list", "--consumer", "shipping", "--json"), 2)
      assert.strictEqual(nobody.error.message, "no consumer is named shipping: there is billing")

      const bare = 'export { default } from "./fixture.ts"\n'
      const from = (module: string) => `import * as ${path.basename(module, ".ts")} from ${source(module)}\n`
      const effect = 'import { Layer } from "effect"\n'
      const cwd = yield* folderOf({
        "without.ts": bare,
        "wrong.ts": `${effect}${bare}export const runtime = Layer.empty\n`,
        "failing.ts": `${from("sqlite/Sqlite.ts")}${bare}export const runtime = Sqlite.layer({ filename: "/nowhere/x.db" })\n`,
        "fixture.ts": `export { default } from ${JSON.stringify(fixture)}\n`
      })
      yield* Effect.sync(() => linkModules(cwd))
      for (const [file, message] of [
        ["without.ts", "exports no `runtime`: export a Layer that gives Broker under this name"],
        ["wrong.ts", "the `runtime` gives no Broker, which is needed"],
        ["failing.ts", "the `runtime` could not be started: "]
      ] as const) {
        const result = yield* integration(["dead-letters", "list", file], { cwd })
        assertCode(result, 2)
        assert.include(result.stderr, `${file}: ${message}`)
      }
    })
  )
})
