import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { StatusTable } from "../../src/http/index.ts"
import { ErrorAction } from "../../src/policy/index.ts"
import { Reply, StubProvider, Unreachable } from "../../src/testing/index.ts"
import { circuitOf, connect, counting, failure, good, live, once, unique } from "./payments.ts"

interface Expected {
  readonly name: string
  readonly reply: Reply.Reply
  readonly tag: string
  readonly code: string
  readonly kind: ErrorAction.ErrorAction["kind"]
  /** Level of the line that ends the call. */
  readonly log: "Info" | "Warn" | "Error"
  readonly notify?: "alert" | "escalate"
  readonly circuit: "success" | "failure" | "ignored"
  /** Requests that one call of an idempotent contract with one retry makes. */
  readonly requests: number
  readonly outcome: "unprocessed" | "unknown" | "processed"
}

const problem = (status: number, type: string) =>
  Reply.json(status, { type }, { "content-type": "application/problem+json" })
const fail = { kind: "fail", log: "Error", circuit: "success", requests: 1, outcome: "unprocessed" } as const
const again = {
  tag: "Retriable",
  code: "RETRIABLE",
  kind: "retry",
  log: "Warn",
  circuit: "ignored",
  requests: 2
} as const
const down = {
  tag: "Unavailable",
  code: "UNAVAILABLE",
  kind: "retry",
  log: "Error",
  circuit: "failure",
  requests: 2,
  outcome: "unknown"
} as const
const odd = { ...fail, tag: "UnexpectedStatus", code: "UNEXPECTED_STATUS" } as const
const redirect = { ...fail, tag: "UnexpectedRedirect", code: "UNEXPECTED_REDIRECT", outcome: "unknown" } as const
const at = (status: number, headers: Record<string, string> = {}) => Reply.json(status, { code: "X" }, headers)

const rows: ReadonlyArray<Expected> = [
  { ...redirect, name: "300", reply: at(300) },
  { ...redirect, name: "301 to elsewhere", reply: at(301, { location: "/v1/elsewhere" }) },
  { ...redirect, name: "304", reply: Reply.empty(304) },
  { ...redirect, name: "307", reply: at(307, { location: "/v1/elsewhere" }) },
  { ...fail, name: "400", reply: at(400), tag: "ValidationError", code: "VALIDATION_ERROR" },
  { ...fail, name: "401", reply: at(401), tag: "Unauthorized", code: "UNAUTHORIZED", kind: "refresh" },
  { ...fail, name: "403", reply: at(403), tag: "Forbidden", code: "FORBIDDEN", notify: "alert" },
  { ...fail, name: "404", reply: at(404), tag: "NotFound", code: "NOT_FOUND", log: "Warn" },
  { ...again, name: "408", reply: at(408), outcome: "unknown" },
  {
    ...fail,
    name: "409",
    reply: at(409),
    tag: "Conflict",
    code: "CONFLICT",
    kind: "skip",
    log: "Info",
    outcome: "unknown"
  },
  {
    name: "409 in progress",
    reply: problem(409, StatusTable.ProblemType.inProgress),
    tag: "IdempotencyInProgress",
    code: "IDEMPOTENCY_IN_PROGRESS",
    kind: "wait",
    log: "Info",
    circuit: "ignored",
    requests: 2,
    outcome: "unknown"
  },
  { ...again, name: "421", reply: at(421), outcome: "unprocessed" },
  { ...fail, name: "422", reply: at(422), tag: "BusinessRule", code: "BUSINESS_RULE", notify: "escalate" },
  {
    ...fail,
    name: "422 key reused",
    reply: problem(422, StatusTable.ProblemType.keyReused),
    tag: "IdempotencyKeyReused",
    code: "IDEMPOTENCY_KEY_REUSED",
    notify: "alert"
  },
  { ...again, name: "425", reply: at(425), outcome: "unprocessed" },
  {
    name: "429",
    reply: at(429),
    tag: "RateLimited",
    code: "RATE_LIMITED",
    kind: "wait",
    log: "Warn",
    circuit: "ignored",
    requests: 2,
    outcome: "unprocessed"
  },
  { ...odd, name: "418", reply: at(418) },
  { ...odd, name: "451", reply: at(451) },
  { ...odd, name: "499", reply: at(499) },
  {
    name: "500",
    reply: at(500),
    tag: "InternalError",
    code: "INTERNAL_ERROR",
    kind: "retry",
    log: "Error",
    circuit: "failure",
    requests: 2,
    outcome: "unknown"
  },
  { ...odd, name: "501", reply: at(501) },
  { ...down, name: "502", reply: at(502) },
  { ...down, name: "503", reply: at(503) },
  { ...down, name: "504", reply: at(504) },
  { ...odd, name: "505", reply: at(505) },
  { ...odd, name: "507", reply: at(507), circuit: "failure", outcome: "unknown" },
  { ...odd, name: "599", reply: at(599), circuit: "failure", outcome: "unknown" },
  { ...odd, name: "999, which is no status", reply: at(999), circuit: "failure", outcome: "unknown" }
]

const counted = (circuit: Expected["circuit"], calls: number) => ({
  state: "Closed",
  calls: circuit === "ignored" ? 0 : calls,
  failed: circuit === "failure" ? calls : 0
})

describe("StatusTable", () => {
  for (const row of rows) {
    live(
      `${row.name} is ${row.tag}: ${row.kind}, ${row.circuit} for the circuit, ${row.log}, ${row.requests} request(s)`,
      (seen) =>
        Effect.gen(function* () {
          const stub = yield* StubProvider.make()
          yield* stub.on("POST /v1/charges", row.reply)
          const name = unique()
          const { create } = yield* connect({
            name,
            baseUrl: stub.url,
            idempotent: true,
            retry: once,
            breaker: counting
          })
          const error = (yield* failure(create)) as StatusTable.Failure & { readonly _tag: string }
          assert.strictEqual(error._tag, row.tag)
          assert.strictEqual(error.code, row.code)
          assert.strictEqual(error.status, (row.reply as Reply.Answer).status)
          assert.strictEqual(error.errorAction.kind, row.kind)
          assert.strictEqual(error.outcome, row.outcome)
          assert.deepStrictEqual([error.integration, error.method, error.path], [name, "POST", "/v1/charges"])
          assert.lengthOf(yield* stub.requests, row.requests)
          assert.deepStrictEqual(yield* circuitOf(name), counted(row.circuit, row.requests))
          assert.strictEqual(seen.lines.at(-1)?.level, row.log)
          assert.strictEqual(seen.lines.at(-1)?.annotations["integration.error.code"], row.code)
          assert.deepStrictEqual(yield* seen.notified, row.notify === undefined ? [] : [row.notify])
          if (row.requests > 1)
            assert.notStrictEqual(seen.lines[0]?.level, "Error", "what is tried again is no error yet")
        })
    )
  }

  live("409 on a contract that is not idempotent fails and is an error, instead of skip", (seen) =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", at(409))
      const name = unique()
      const { create } = yield* connect({ name, baseUrl: stub.url, retry: once, breaker: counting })
      const error = (yield* failure(create)) as StatusTable.Conflict
      assert.strictEqual(error._tag, "Conflict")
      assert.strictEqual(error.errorAction.kind, "fail")
      assert.strictEqual(seen.lines.at(-1)?.level, "Error")
      assert.deepStrictEqual(yield* circuitOf(name), counted("success", 1))
    })
  )

  live(
    "a user's override changes type, code, action, log, notice, circuit and retries at once; new rows are produced too",
    (seen) =>
      Effect.gen(function* () {
        class Gone extends StatusTable.Error<Gone>()("Gone") {}
        class Teapot extends StatusTable.Error<Teapot>()("Teapot") {}
        class Locked extends StatusTable.Error<Locked>()("Locked") {}
        const errors = StatusTable.override(StatusTable.standard, {
          404: StatusTable.row(Gone, "GONE", ErrorAction.make("retry", { log: "info", notify: "escalate" }), {
            outcome: "unprocessed"
          }),
          418: StatusTable.row(Teapot, "TEAPOT", ErrorAction.make("wait", { notify: "alert", circuit: "failure" })),
          "5xx": StatusTable.row(StatusTable.Unavailable, "OTHER", ErrorAction.retry),
          "409 account locked": StatusTable.row(Locked, "LOCKED", ErrorAction.fail, { problemType: "urn:locked" })
        })
        const stub = yield* StubProvider.make()
        const name = unique()
        const settings = { name, baseUrl: stub.url, idempotent: true, retry: once, breaker: counting }
        const { create } = yield* connect({ ...settings, errors: errors as never })
        const run = Effect.fnUntraced(function* (reply: Reply.Reply) {
          yield* stub.reset
          yield* stub.on("POST /v1/charges", reply)
          const error = (yield* failure(create)) as StatusTable.Failure & { readonly _tag: string }
          return [
            error._tag,
            error.code,
            error.errorAction.kind,
            (yield* stub.requests).length,
            seen.lines.at(-1)?.level,
            (yield* seen.notified).at(-1)
          ]
        })
        assert.deepStrictEqual(yield* run(at(404)), ["Gone", "GONE", "retry", 2, "Info", "escalate"])
        assert.deepStrictEqual(yield* run(at(418)), ["Teapot", "TEAPOT", "wait", 2, "Warn", "alert"])
        assert.deepStrictEqual((yield* run(at(507))).slice(0, 4), ["Unavailable", "OTHER", "retry", 2])
        assert.deepStrictEqual((yield* run(problem(409, "urn:locked"))).slice(0, 4), ["Locked", "LOCKED", "fail", 1])
        assert.deepStrictEqual((yield* run(at(409))).slice(0, 4), ["Conflict", "CONFLICT", "skip", 1])
        // 404, 418 and 507 failed twice each; both 409 were healthy answers.
        assert.deepStrictEqual(yield* circuitOf(name), { state: "Closed", calls: 8, failed: 6 })
      })
  )

  live("network errors: refused and no host are unprocessed, a reset is unknown; each retried, a failure", (seen) =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", Reply.reset)
      const refused = yield* Unreachable.refused
      const cases = [
        [refused.url, "connect", "unprocessed"],
        ["http://no-such-host.invalid", "dns", "unprocessed"],
        [stub.url, "reset", "unknown"]
      ] as const
      for (const [baseUrl, kind, outcome] of cases) {
        const name = unique()
        const { create } = yield* connect({ name, baseUrl, idempotent: true, retry: once, breaker: counting })
        const error = yield* failure(create)
        assert.strictEqual(error._tag, "NetworkError")
        if (error._tag !== "NetworkError") return
        assert.deepStrictEqual([error.kind, error.outcome, error.errorAction.kind], [kind, outcome, "retry"])
        assert.deepStrictEqual(yield* circuitOf(name), { state: "Closed", calls: 2, failed: 2 })
        assert.strictEqual(seen.lines.at(-1)?.level, "Error")
      }
      assert.lengthOf(yield* stub.requests, 2)
    })
  )

  live("an undecodable 2xx is a ProtocolError, processed, a failure for the circuit, and never retried", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", Reply.json(200, { id: 1 }))
      const name = unique()
      const { create } = yield* connect({ name, baseUrl: stub.url, idempotent: true, retry: once, breaker: counting })
      const error = yield* failure(create)
      assert.strictEqual(error._tag, "ProtocolError")
      assert.strictEqual(error.outcome, "processed")
      assert.lengthOf(yield* stub.requests, 1)
      assert.deepStrictEqual(yield* circuitOf(name), { state: "Closed", calls: 1, failed: 1 })
    })
  )

  live("an open circuit sends nothing and fails with CircuitOpen; the quota of the day with QuotaExhausted", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", Reply.status(500))
      const breaker = { ...counting, minimumCalls: 2 }
      const { get } = yield* connect({ baseUrl: stub.url, retry: once, breaker })
      assert.strictEqual((yield* failure(get))._tag, "InternalError")
      assert.strictEqual((yield* failure(get))._tag, "CircuitOpen")
      assert.lengthOf(yield* stub.requests, 2)
      yield* stub.on("GET /v1/charges/:id", Reply.json(200, good))
      const limited = yield* connect({ baseUrl: stub.url, rateLimit: { perDay: 1 } })
      yield* limited.get
      assert.strictEqual((yield* failure(limited.get))._tag, "QuotaExhausted")
      assert.lengthOf(yield* stub.requests, 3)
    })
  )

  live("503 with an open circuit fails fast, in the middle of its retries", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", Reply.status(503))
      const { get } = yield* connect({ baseUrl: stub.url, retry: once, breaker: { ...counting, minimumCalls: 1 } })
      assert.strictEqual((yield* failure(get))._tag, "Unavailable")
      assert.lengthOf(yield* stub.requests, 1)
    })
  )

  it("every status from 300 to 599 has a row, and every row a class", () => {
    for (let status = 300; status < 600; status++) {
      const row = StatusTable.rowOf(StatusTable.standard, status)
      assert.include(StatusTable.classes(StatusTable.standard), row.error)
    }
    assert.lengthOf(StatusTable.classes(StatusTable.standard), 14)
  })

  it("override refuses keys that are no status, problem rows without a type and types without words", () => {
    const row = StatusTable.row(StatusTable.NotFound, "X", ErrorAction.fail)
    const typed = StatusTable.row(StatusTable.NotFound, "X", ErrorAction.fail, { problemType: "urn:x" })
    for (const [key, value] of [
      ["200", row],
      ["2xx", row],
      ["600", row],
      ["4x4", row],
      ["404", typed],
      ["404 with words", row],
      ["4xx with words", typed]
    ] as const) {
      assert.throws(() => StatusTable.override(StatusTable.standard, { [key]: value } as never), /StatusTable.override/)
    }
  })

  live("a row may name a class with a field of its own, or the table is rejected: never a defect of the call", () =>
    Effect.gen(function* () {
      class Strange extends Schema.TaggedError<Strange>()("Strange", {
        errorAction: ErrorAction.ErrorAction,
        chargeId: Schema.String
      }) {}
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", at(409))
      const made = yield* Effect.exit(
        Effect.suspend(() =>
          connect({
            baseUrl: stub.url,
            errors: StatusTable.override(StatusTable.standard, {
              409: StatusTable.row(Strange, "S", ErrorAction.fail)
            }) as never
          })
        )
      )
      if (made._tag === "Success") yield* failure(made.value.create)
    })
  )
})
