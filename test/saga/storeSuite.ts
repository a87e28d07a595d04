/** What every store of sagas must do. */
import { assert } from "@effect/vitest"
import { DateTime, Effect, Option } from "effect"
import { SagaStore } from "effect-integration/saga"

const begun = (key: string, saga = "orders"): SagaStore.Entry => ({
  _tag: "Begun",
  saga,
  key,
  digest: `digest of ${key}`,
  definition: "a > b!"
})
const attemptBegun = (attempt: number): SagaStore.Entry => ({
  _tag: "AttemptBegun",
  step: "a",
  phase: "run",
  attempt
})
const failure = { tag: "Declined", description: 'no \u{1f4b3}, "quoted" \\ and \u0000' }
const attemptEnded: SagaStore.Entry = {
  _tag: "AttemptEnded",
  step: "a",
  phase: "run",
  attempt: 1,
  failure,
  next: 1500.25
}
const stuck = (decision: string): SagaStore.Entry => ({
  _tag: "Stuck",
  step: "a",
  phase: "run",
  failure,
  decision,
  skippable: true
})
const decided = (decision: string): SagaStore.Entry => ({
  _tag: "Decided",
  decision,
  verdict: "resume",
  reason: "because",
  by: "ada"
})
const ended = (state: "completed" | "rolledBack" | "abandoned"): SagaStore.Entry => ({
  _tag: "Ended",
  state,
  compensated: state === "completed" ? [] : ["a"],
  ...(state === "completed" ? undefined : { step: "a", failure })
})

const found = (id: string) =>
  SagaStore.SagaStore.use((store) => Effect.map(store.find(id), (found) => Option.getOrThrow(found)))
const record = (id: string, ...entries: ReadonlyArray<SagaStore.Entry>) =>
  SagaStore.SagaStore.use((store) => Effect.forEach(entries, (entry) => store.record(id, entry), { discard: true }))

const plain = ({ begun: _begun, updated: _updated, ...instance }: SagaStore.Instance) => instance

export const suite: Readonly<Record<string, Effect.Effect<unknown, unknown, SagaStore.SagaStore>>> = {
  "knows nothing at first": Effect.gen(function* () {
    const store = yield* SagaStore.SagaStore
    assert.isTrue(Option.isNone(yield* store.find("none")))
    assert.deepStrictEqual(yield* store.list({}), [])
    assert.deepStrictEqual(yield* store.history("none"), [])
    assert.strictEqual(yield* store.purge(yield* DateTime.now), 0)
  }),

  "follows a saga from its beginning to its end": Effect.gen(function* () {
    const nothing = { step: undefined, failure: undefined, waiting: [] }
    const same = { id: "1", saga: "orders", key: "k", digest: "digest of k", definition: "a > b!" }
    yield* record("1", begun("k"))
    const first = yield* found("1")
    assert.deepStrictEqual(plain(first), { ...same, ...nothing, state: "running" })
    assert.deepStrictEqual(first.updated, first.begun)
    yield* record("1", attemptBegun(1), attemptEnded)
    assert.deepStrictEqual(plain(yield* found("1")), { ...same, ...nothing, state: "running" })
    yield* record("1", stuck("run/a/1"))
    assert.deepStrictEqual(plain(yield* found("1")), {
      ...same,
      ...nothing,
      state: "stuck",
      waiting: [{ step: "a", phase: "run", failure, decision: "run/a/1", skippable: true }]
    })
    yield* record("1", decided("run/a/1"))
    assert.deepStrictEqual(plain(yield* found("1")), { ...same, ...nothing, state: "running" })
    yield* record("1", ended("rolledBack"))
    const last = yield* found("1")
    assert.deepStrictEqual(plain(last), { ...same, state: "rolledBack", step: "a", failure, waiting: [] })
    assert.deepStrictEqual(last.begun, first.begun)
    assert.isAtLeast(DateTime.toEpochMillis(last.updated), DateTime.toEpochMillis(first.updated))
  }),

  "knows each decision that is waited for, until the last is made": Effect.gen(function* () {
    const waiting = Effect.map(found("1"), (instance) => ({
      state: instance.state,
      waiting: instance.waiting.map(({ decision }) => decision)
    }))
    yield* record("1", begun("k"), stuck("run/a/1"), stuck("run/b/1"), stuck("run/a/1"))
    assert.deepStrictEqual(yield* waiting, { state: "stuck", waiting: ["run/a/1", "run/b/1"] })
    yield* record("1", decided("run/a/1"), decided("run/c/1"))
    assert.deepStrictEqual(yield* waiting, { state: "stuck", waiting: ["run/b/1"] })
    yield* record("1", decided("run/b/1"))
    assert.deepStrictEqual(yield* waiting, { state: "running", waiting: [] })
    yield* record("1", stuck("run/b/2"), ended("abandoned"))
    assert.deepStrictEqual(yield* waiting, { state: "abandoned", waiting: [] })
  }),

  "keeps each entry as it was, once, in order, and counts how often it came": Effect.gen(function* () {
    const store = yield* SagaStore.SagaStore
    const entries = [begun("k"), attemptBegun(1), attemptEnded, attemptBegun(2), stuck("run/a/1"), decided("run/a/1")]
    yield* record("1", ...entries, attemptBegun(1), attemptBegun(1), ended("completed"), stuck("run/a/1"))
    const history = yield* store.history("1")
    assert.deepStrictEqual(
      history.map(({ entry }) => entry),
      [...entries, ended("completed")]
    )
    assert.deepStrictEqual(
      history.map(({ runs }) => runs),
      [1, 3, 1, 1, 2, 1, 1]
    )
    const times = history.map(({ at }) => DateTime.toEpochMillis(at))
    assert.deepStrictEqual(
      times,
      times.toSorted((a, b) => a - b)
    )
  }),

  "changes the state of a saga once for an entry that comes again": Effect.gen(function* () {
    yield* record("1", begun("k"), stuck("run/a/1"), decided("run/a/1"), stuck("run/a/1"))
    assert.strictEqual((yield* found("1")).state, "running")
    yield* record("1", stuck("run/a/2"), decided("run/a/1"))
    assert.strictEqual((yield* found("1")).state, "stuck")
    yield* record("1", begun("another"))
    assert.strictEqual((yield* found("1")).key, "k")
  }),

  "keeps the first of two entries of one name": Effect.gen(function* () {
    const store = yield* SagaStore.SagaStore
    yield* record("1", begun("k"), decided("d"), { _tag: "Decided", decision: "d", verdict: "skip", reason: "second" })
    assert.deepStrictEqual((yield* store.history("1"))[1]!.entry, decided("d"))
  }),

  "lists by saga and state, oldest first, so many at most": Effect.gen(function* () {
    const store = yield* SagaStore.SagaStore
    const ids = ["z", "y", "x", "w"]
    for (const id of ids) yield* record(id, begun(id, id === "y" ? "refunds" : "orders"))
    yield* record("x", stuck("run/a/1"))
    yield* record("w", ended("completed"))
    const list = (query: SagaStore.Query) => Effect.map(store.list(query), (all) => all.map(({ id }) => id))
    assert.deepStrictEqual((yield* list({})).toSorted(), ids.toSorted())
    const all = yield* store.list({})
    const times = all.map(({ begun }) => DateTime.toEpochMillis(begun))
    assert.deepStrictEqual(
      times,
      times.toSorted((a, b) => a - b)
    )
    assert.deepStrictEqual((yield* list({ saga: "orders" })).toSorted(), ["w", "x", "z"])
    assert.deepStrictEqual(yield* list({ saga: "orders", state: "running" }), ["z"])
    assert.deepStrictEqual(yield* list({ state: "stuck" }), ["x"])
    assert.deepStrictEqual(yield* list({ state: "completed" }), ["w"])
    assert.deepStrictEqual(yield* list({ state: "abandoned" }), [])
    assert.deepStrictEqual(yield* list({ saga: "order" }), [])
    assert.deepStrictEqual(
      yield* list({ limit: 2 }),
      all.slice(0, 2).map(({ id }) => id)
    )
    assert.deepStrictEqual(yield* list({ limit: 0 }), [])
    const { updated } = yield* found("w")
    assert.deepStrictEqual(yield* list({ endedBefore: DateTime.add(updated, { hours: 1 }) }), ["w"])
    assert.deepStrictEqual(yield* list({ endedBefore: DateTime.subtract(updated, { hours: 1 }) }), [])
  }),

  "lists those that were begun in one moment by their ids": Effect.gen(function* () {
    const store = yield* SagaStore.SagaStore
    yield* Effect.forEach(["c", "a", "d", "b"], (id) => record(id, begun(id)), { concurrency: "unbounded" })
    const all = (yield* store.list({})).map(({ begun, id }) => ({ at: DateTime.toEpochMillis(begun), id }))
    assert.deepStrictEqual(
      all,
      all.toSorted((one, two) => one.at - two.at || (one.id < two.id ? -1 : 1))
    )
  }),

  "lists none for a limit below zero, and all for one without end": Effect.gen(function* () {
    const store = yield* SagaStore.SagaStore
    for (const id of ["1", "2"]) yield* record(id, begun(id))
    assert.strictEqual((yield* store.list({ limit: -1 })).length, 0)
    assert.strictEqual((yield* store.list({ limit: Infinity })).length, 2)
  }),

  "lists a hundred unless it is told else": Effect.gen(function* () {
    const store = yield* SagaStore.SagaStore
    const ids = Array.from({ length: 103 }, (_, n) => `${n}`)
    yield* Effect.forEach(ids, (id) => record(id, begun(id)), { concurrency: "unbounded" })
    assert.strictEqual((yield* store.list({})).length, 100)
    assert.strictEqual((yield* store.list({ limit: 1000 })).length, 103)
  }),

  "forgets what ended before a time, and nothing that goes on": Effect.gen(function* () {
    const store = yield* SagaStore.SagaStore
    for (const id of ["run", "stuck", "completed", "rolledBack", "abandoned"]) yield* record(id, begun(id))
    yield* record("stuck", stuck("run/a/1"))
    for (const state of ["completed", "rolledBack", "abandoned"] as const) yield* record(state, ended(state))
    const { updated } = yield* found("completed")
    assert.strictEqual(yield* store.purge(DateTime.subtract(updated, { hours: 1 })), 0)
    assert.strictEqual(yield* store.purge(DateTime.add(updated, { hours: 1 })), 3)
    assert.deepStrictEqual((yield* store.list({})).map(({ id }) => id).toSorted(), ["run", "stuck"])
    assert.deepStrictEqual(yield* store.history("completed"), [])
    assert.strictEqual((yield* store.history("stuck")).length, 2)
    assert.strictEqual(yield* store.purge(DateTime.add(updated, { hours: 1 })), 0)
  }),

  "takes many sagas at once": Effect.gen(function* () {
    const store = yield* SagaStore.SagaStore
    const ids = Array.from({ length: 200 }, (_, n) => `${n}`)
    yield* Effect.forEach(
      ids,
      (id) => record(id, begun(id), attemptBegun(1), stuck("run/a/1"), decided("run/a/1"), ended("completed")),
      { concurrency: "unbounded" }
    )
    assert.strictEqual((yield* store.list({ state: "completed", limit: 1000 })).length, 200)
    for (const id of ["0", "77", "199"]) {
      assert.deepStrictEqual(
        (yield* store.history(id)).map(({ entry, runs }) => [entry._tag, runs]),
        [
          ["Begun", 1],
          ["AttemptBegun", 1],
          ["Stuck", 1],
          ["Decided", 1],
          ["Ended", 1]
        ]
      )
    }
  })
}
