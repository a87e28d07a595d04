/** Section 3: the error table. */
import { assert } from "@effect/vitest"
import { Effect, Layer, Logger, Metric, Random } from "effect"
import {
  Consumer,
  Consumers,
  CurrentDelivery,
  DeadLetters,
  DedupStore,
  MemoryBroker,
  Parking
} from "../../../src/event/index.ts"
import { StatusTable } from "../../../src/http/index.ts"
import * as Window from "../../../src/policy/internal/outcomeWindow.ts"
import { CircuitBreakers, ErrorAction, RetryPolicy } from "../../../src/policy/index.ts"
import { Billing, Orders } from "../../../examples/orders-to-payments/orders.ts"
import * as Variants from "../variants.ts"
import { place } from "./broker.ts"
import { always, type Case, now, numberIn, obeys, settle, until } from "./case.ts"
import { type Answer, begin, connect, json } from "./provider.ts"

type Table = StatusTable.StatusTable<unknown>

class Strange extends StatusTable.Error<Strange>()("Strange") {}

/** Rows that do what the standard does not. */
const other: Table = StatusTable.override(StatusTable.standard, {
  400: StatusTable.row(
    Strange,
    "STRANGE",
    ErrorAction.make("retry", { log: "info", circuit: "failure", notify: "escalate" })
  ),
  404: StatusTable.row(Strange, "GONE", ErrorAction.make("skip", { log: "warn" })),
  500: StatusTable.row(Strange, "FATAL", ErrorAction.make("fail", { notify: "alert", circuit: "ignored" }), {
    outcome: "unprocessed"
  }),
  503: StatusTable.row(StatusTable.Unavailable, "DOWN", ErrorAction.make("retry"), { retryAfter: false }),
  429: StatusTable.row(StatusTable.RateLimited, "SLOWLY", ErrorAction.make("wait"), { outcome: "unknown" })
})
const tables = [Variants.policies.errors as Table, other] as const

interface Row {
  readonly status: string
  readonly code: string
  readonly action: string
  readonly error: string
  readonly circuit: string
  readonly event: string
}

const rowsIn = (text: string): ReadonlyArray<Row> => {
  const cells = text
    .split("\n\n")
    .find((block) => block.trimStart().startsWith("| HTTP Status"))!
    .trim()
    .split("\n")
    .slice(2)
    .map((line) =>
      line
        .slice(2, -2)
        .split(" | ")
        .map((cell) => cell.replaceAll("`", ""))
    )
  const rows = cells.map(([status, code, action, error, circuit, event]) => ({
    status: status!,
    code: code!,
    action: action!,
    error: error!,
    circuit: circuit!,
    event: event!
  }))
  assert.isAbove(rows.length, 10)
  return rows
}

/** The statuses that a row is printed for. */
const statusesOf = ({ status }: Row): ReadonlyArray<number> => {
  const group = /^(?:other )?([345])xx$/.exec(status)
  if (group !== null) return [{ 3: 302, 4: 418, 5: 599 }[group[1]!]!]
  return status.split("/").map((each) => Number.parseInt(each, 10))
}
const problems: Readonly<Record<string, string>> = {
  "409 in progress": StatusTable.ProblemType.inProgress,
  "422 key reused": StatusTable.ProblemType.keyReused
}
const answered =
  (row: Row, status: number, headers: Record<string, string> = {}): Answer =>
  () => {
    const type = problems[row.status]
    return type === undefined
      ? json(status, {}, headers)
      : json(status, { type }, { ...headers, "content-type": "application/problem+json" })
  }

const over = (table: Table, more: object = {}) => ({
  errors: table as any,
  bulkhead: undefined,
  rateLimit: undefined,
  ...more
})

/** What is printed of a contract with this table, and a call for each of its statuses. */
const each = (
  table: Table,
  look: (
    row: Row,
    seen: {
      readonly tag: string | undefined
      readonly error: any
      readonly attempts: number
      readonly levels: ReadonlyArray<string>
      readonly notices: ReadonlyArray<string>
      readonly circuit: string
    },
    status: number
  ) => void
) =>
  Effect.gen(function* () {
    const { printed } = yield* connect(over(table), () => json(200, {}))
    for (const row of rowsIn(printed("Error Handling"))) {
      for (const status of statusesOf(row)) {
        const levels: Array<string> = []
        const notices: Array<string> = []
        const logger = Logger.make(({ logLevel }) => void levels.push(logLevel))
        yield* Effect.gen(function* () {
          const { asked, create } = yield* connect(over(table), answered(row, status))
          const call = yield* begin(create)
          for (let looks = 0; looks < 100 && call.tag === undefined; looks++) yield* settle
          yield* settle
          const all = yield* CircuitBreakers.all
          const state = yield* all.findLast(({ name }) => name === "payments")!.state
          const { calls, failed } = state._tag === "Closed" ? Window.sum(state) : { calls: 0, failed: 0 }
          const circuit = calls === 0 ? "ignored" : failed === calls ? "failure" : "success"
          look(row, { ...call, attempts: asked.length, levels, notices, circuit }, status)
        }).pipe(
          Effect.scoped,
          Effect.provide(Logger.layer([logger])),
          Effect.provideService(ErrorAction.AlertHook, (notice) => Effect.sync(() => void notices.push(notice.kind)))
        )
      }
    }
  }).pipe(
    // The shortest waits: what is left is what the table says.
    Effect.provideService(Random.Random, always(0)),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )

const attemptsIn = (action: string): number =>
  /up to \d+ retr/.test(action) ? numberIn(action, /up to (\d+) retr/) + 1 : action.includes("retry once") ? 2 : 1

/** What becomes of the event whose handler calls the provider. */
const eventInHand = (table: Table) =>
  Effect.gen(function* () {
    const { printed } = yield* connect(over(table), () => json(200, {}))
    for (const row of rowsIn(printed("Error Handling"))) {
      yield* Effect.gen(function* () {
        const { create } = yield* connect(over(table), answered(row, statusesOf(row)[0]!))
        const attempts: Array<number> = []
        const consumer = Consumer.make("billing", Orders, {
          handlers: {
            "com.acme.order.placed": () =>
              Effect.andThen(
                Effect.map(CurrentDelivery, ({ attempt }) => void attempts.push(attempt)),
                create as Effect.Effect<unknown, ErrorAction.Actionable>
              )
          },
          retry: Billing.options.retry!
        })
        yield* Layer.build(consumer.layer)
        yield* place
        for (let looks = 0; looks < 10; looks++) yield* settle
        const [status] = yield* Consumers.all
        for (let half = 0; half < 7; half++) yield* until((yield* now) + 500)
        const dead = yield* DeadLetters.count(consumer)
        const seen =
          status?.state === "outage"
            ? "the consumer pauses, no attempt is spent"
            : dead > 0
              ? "dead letter"
              : attempts.includes(2)
                ? "delivered again, an attempt is spent"
                : "acknowledged"
        assert.strictEqual(seen, row.event, `${row.status} ${row.action}`)
        if (seen.startsWith("the consumer")) assert.deepStrictEqual([...new Set(attempts)], [1])
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.fresh(Layer.mergeAll(MemoryBroker.layer, DedupStore.layerMemory, Parking.layerMemory)))
      )
    }
  }).pipe(
    Effect.provideService(Random.Random, always(0)),
    Effect.provideService(Metric.MetricRegistry, new Map())
  ) as Effect.Effect<void, unknown, any>

const unprocessed = (outcome: ErrorAction.Outcome) =>
  StatusTable.override(StatusTable.standard, {
    408: StatusTable.row(Strange, "AGAIN", ErrorAction.retry, { outcome })
  }) as Table
const honoured = (retryAfter: boolean) =>
  StatusTable.override(StatusTable.standard, {
    408: StatusTable.row(Strange, "AGAIN", ErrorAction.retry, { retryAfter })
  }) as Table
const rowOf = (text: string, status: string) => rowsIn(text).find((row) => row.status === status)!
const twice = RetryPolicy.make({ delays: ["100 millis"], jitter: "full" })

export const rowCases: ReadonlyArray<Case> = [
  ...obeys("row.error", tables, (table) =>
    each(table, (row, { error }, status) => assert.strictEqual(error._tag, row.error, String(status)))
  ),
  ...obeys("row.code", tables, (table) =>
    each(table, (row, { error }, status) => assert.strictEqual(error.code, row.code, String(status)))
  ),
  ...obeys("row.action", tables, (table) =>
    each(table, (row, { attempts, circuit, levels, notices }, status) => {
      const at = `${status}: ${row.action}`
      assert.strictEqual(attempts, attemptsIn(row.action), at)
      assert.strictEqual(circuit, row.circuit, at)
      const level = /log (\w+)/.exec(row.action)![1]!
      assert.include(
        levels.map((each) => each.toLowerCase()),
        level,
        at
      )
      const told = row.action.includes("alert engineering")
        ? ["alert"]
        : row.action.includes("escalate to the owner")
          ? ["escalate"]
          : []
      assert.deepStrictEqual([...new Set(notices)], told, at)
    })
  ),
  ...obeys("row.action", tables, eventInHand).map((each) => ({ ...each, value: `event in hand, ${each.value}` })),
  ...obeys("row.outcome", ["unknown", "unprocessed"] as const, (outcome) =>
    Effect.gen(function* () {
      const seen = yield* connect({ ...over(unprocessed(outcome)), idempotent: false, retry: twice }, () =>
        json(408, {})
      )
      const { action } = rowOf(seen.printed("Error Handling"), "408")
      const call = yield* begin(seen.create)
      yield* until(1000)
      assert.isDefined(call.tag)
      assert.strictEqual(seen.asked.length, action.includes("but never a POST") ? 1 : attemptsIn(action))
    })
  ),
  ...obeys("row.retryAfter", [true, false], (retryAfter) =>
    Effect.gen(function* () {
      const seen = yield* connect({ ...over(honoured(retryAfter)), retry: twice }, () =>
        json(408, {}, { "retry-after": "3" })
      )
      const { action } = rowOf(seen.printed("Error Handling"), "408")
      yield* begin(seen.create)
      yield* until(2999)
      assert.strictEqual(seen.asked.length, action.includes("Retry-After is honoured") ? 1 : 2)
      yield* until(3100)
      assert.strictEqual(seen.asked.length, 2)
    })
  )
]
