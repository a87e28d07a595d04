import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema } from "effect"
import { Diff, Markdown, Snapshot } from "effect-integration/document"
import { Channel } from "effect-integration/event"
import { breaker, channel, consumer, contract, design, ladder, Order, orderPlaced, saga } from "./parts.ts"

const done = { run: () => Effect.void }

/** A design that has every kind of field. */
const designed = () => {
  const event = orderPlaced(
    Schema.Struct({
      ...Order.fields,
      state: Schema.NullOr(Schema.Literals(["open", "paid"])),
      lines: Schema.Array(Order)
    }),
    "https://acme.com/order/2",
    { "https://acme.com/order/1": { data: Order, upcast: (old: object) => old } }
  )
  const orders = channel(
    {
      retention: { maxAge: "7 days", maxMessages: 1000 },
      deadLetters: { maxAge: "30 days" },
      consumers: ["audit"],
      acceptableLag: "1 hour"
    },
    event
  )
  const legacy = Channel.make("legacy", [orderPlaced()], { existing: { queue: "old", exchange: "x", routingKey: "r" } })
  return design({
    project: "shop",
    author: "Ada",
    contracts: [
      {
        contract: contract({
          bulkhead: { maxConcurrent: 5, maxQueue: 10 },
          breaker,
          sourceSystem: "shop",
          personalData: ["name"]
        }),
        callers: ["billing"],
        callerBudget: "20 seconds",
        keyRetention: "30 days",
        direction: { from: "orders", to: "payments" },
        rotation: { every: "90 days", process: "ticket" },
        tokenEndpoint: "https://id.acme.com/token"
      }
    ],
    channels: [
      {
        channel: orders,
        producer: "shop",
        notes: "n",
        durability: "replicated",
        replayHorizon: "7 days",
        eventsPerMinute: 5,
        processes: 4
      },
      legacy
    ],
    consumers: [consumer({}, orders)],
    sagas: [
      saga((start) =>
        start
          .step("ship", {
            ...done,
            irreversible: "gone",
            service: "s",
            description: "d",
            timeout: "5 seconds",
            retry: ladder("1 hour")
          })
          .waitFor("paid", { success: Schema.String, deadline: "3 days" })
          .delay("cool off", "1 hour")
      )
    ],
    grpc: [
      {
        name: "stock",
        service: "Stock",
        methods: [{ name: "Reserve", request: "Ask", response: "Answer", streams: true }],
        messages: { Ask: [{ name: "id", type: "string" }], Answer: [{ name: "ok", type: "bool" }] }
      }
    ],
    monitoring: { errorRate: { percent: 5, for: "5 minutes" }, dashboard: "https://grafana" },
    tracing: { tool: "Tempo" },
    consistency: [{ data: "charges", model: "eventual", acceptableLag: "10 seconds" }],
    environments: [{ name: "staging", purpose: "tests", trigger: "merge", sampling: 100 }],
    scenarios: { happy: [{ name: "a", expected: "b" }] },
    topology: { gateway: "gw" },
    approvals: [{ role: "Author" }]
  })
}

type Path = ReadonlyArray<string | number>
const leaves = (value: unknown, path: Path = []): ReadonlyArray<Path> => {
  if (typeof value !== "object" || value === null) return [path]
  const below = Object.entries(value).flatMap(([key, each]) =>
    leaves(each, [...path, Array.isArray(value) ? Number(key) : key])
  )
  return below.length === 0 ? [path] : below
}

const altered = (value: unknown): unknown => {
  if (typeof value === "number") return value + 1
  if (typeof value === "boolean") return !value
  if (typeof value === "string") return `${value}x`
  if (Array.isArray(value)) return [...value, "x"]
  return value === null ? undefined : { ...(value as object), added: "x" }
}

/** The value with what is at a path changed; `undefined` removes a field. */
const at = (value: any, [first, ...rest]: Path, change: (leaf: unknown) => unknown): any => {
  if (first === undefined) return change(value)
  const next = at(value[first], rest, change)
  if (Array.isArray(value))
    return value.flatMap((each, index) => (index !== first ? [each] : next === undefined ? [] : [next]))
  const fields = Object.entries(value).filter(([key]) => key !== first || next !== undefined)
  return Object.fromEntries(fields.map(([key, each]) => [key, key === first ? next : each]))
}

const reversed = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(reversed)
    : typeof value === "object" && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .toReversed()
            .map(([key, each]) => [key, reversed(each)])
        )
      : value

const snapshot = Snapshot.of(designed())
const paths = leaves(snapshot).filter((path) => path[0] !== "format")
const is = Schema.is(Snapshot.Snapshot)
const mutants = (path: Path) =>
  [at(snapshot, path, altered), at(snapshot, path, () => undefined)].filter((each) =>
    is(each)
  ) as ReadonlyArray<Snapshot.Snapshot>

describe("Diff of changed snapshots", () => {
  it("there is something to change", () => {
    assert.isAbove(paths.length, 300)
    const changed = paths.filter((path) => mutants(path).length > 0)
    // One of a few words cannot be another word.
    assert.isAbove(changed.length / paths.length, 0.8)
  })

  it("no changed field is passed over, forwards and backwards", () => {
    for (const path of paths) {
      for (const mutant of mutants(path)) {
        for (const changes of [Diff.between(snapshot, mutant), Diff.between(mutant, snapshot)]) {
          assert.isAbove(changes.length, 0, path.join("."))
          for (const change of changes) {
            const text = JSON.stringify(change)
            assert.notMatch(text, /undefined|NaN|Infinity|\[object/, path.join("."))
            assert.isAbove(change.section.length, 0, path.join("."))
          }
        }
      }
    }
  })

  it("sections are those of the document", () => {
    const headings = Markdown.render(designed())
      .split("\n")
      .flatMap((each) => (each.startsWith("#") ? [each.replace(/^#+ /, "").replaceAll("\\", "")] : []))
    const sections = new Set(
      paths
        .filter((path) => path.at(-1) !== "position")
        .flatMap((path) =>
          mutants(path).flatMap((mutant) => Diff.between(snapshot, mutant).map((each) => each.section))
        )
    )
    assert.isAbove(sections.size, 20)
    for (const section of sections) {
      const [, number, title = ""] = /^(?:([\d.]+)(?: |$))?(.*)$/.exec(section) ?? []
      const isThere = (part: string) => headings.some((each) => each.includes(part))
      assert.isTrue(number === undefined || isThere(number), section)
      assert.isTrue(isThere(title), section)
    }
  })

  it("what is the same has no changes, however its fields are ordered", () => {
    for (const path of paths) {
      for (const mutant of mutants(path)) {
        assert.deepStrictEqual(Diff.between(mutant, mutant), [])
        assert.deepStrictEqual(Diff.between(mutant, reversed(mutant) as Snapshot.Snapshot), [])
      }
    }
  })

  it.effect.prop(
    "the changes of two designs do not depend on how they were written down",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 }))), Schema.Array(Schema.Int)],
    ([left, right]) =>
      Effect.gen(function* () {
        const mutate = (chosen: ReadonlyArray<number>) =>
          chosen.reduce<Snapshot.Snapshot>((from, index) => {
            const mutant = at(from, paths[Math.abs(index) % paths.length]!, (leaf) =>
              leaf === undefined ? leaf : altered(leaf)
            )
            return is(mutant) ? mutant : from
          }, snapshot)
        const [before, after] = [mutate(left), mutate(right)]
        const changes = Diff.between(before, after)
        const read = yield* Effect.all([
          Snapshot.decode(Snapshot.encode(before)),
          Snapshot.decode(Snapshot.encode(after))
        ])
        assert.deepStrictEqual(Diff.between(...read), changes)
        assert.strictEqual(changes.length === 0, Snapshot.encode(before) === Snapshot.encode(after))
        const ranks = changes.map(({ kind }) => Diff.kinds.indexOf(kind))
        assert.deepStrictEqual(ranks, ranks.toSorted())
      }),
    { arbitrary: { runs: 100 } }
  )

  it.effect("a snapshot that was changed can be read as long as it is one", () =>
    Effect.gen(function* () {
      for (const path of paths.filter((_, index) => index % 7 === 0)) {
        for (const mutant of mutants(path)) {
          assert.deepStrictEqual(yield* Snapshot.decode(Snapshot.encode(mutant)), mutant)
        }
        const broken = Snapshot.encode(at(snapshot, path, () => ({ no: "value" })))
        const exit = yield* Effect.exit(Snapshot.decode(broken))
        // Parts of any JSON take anything.
        assert.isTrue(Exit.isSuccess(exit) || exit.cause.reasons.every((reason) => reason._tag === "Fail"))
      }
    })
  )
})
