import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import mermaid from "mermaid"
import { SagaDocument } from "../../src/document/index.ts"
import { RetryPolicy } from "../../src/policy/index.ts"
import { Saga } from "../../src/saga/index.ts"

const Order = Schema.Struct({ orderId: Schema.String })
const compensate = () => Effect.void

const PlaceOrder = Saga.make("place-order", { payload: Order, idempotencyKey: ({ orderId }) => orderId })
  .step("reserve", {
    success: Schema.String,
    run: () => Effect.succeed("r-1"),
    compensate,
    service: "stock; #1",
    compensation: "release the stock | now",
    timeout: "2 seconds"
  })
  .parallel((group) =>
    group
      .step("charge", {
        run: () => Effect.void,
        compensate,
        service: "payments",
        retry: RetryPolicy.make({ delays: ["1 second", "3 seconds"] })
      })
      .step("score", { run: () => Effect.void, compensate, description: "ask for a score" })
  )
  .waitFor("paid", { success: Schema.String, deadline: "3 days", service: "bank" })
  .delay("cool off", "1 hour")
  .step("ship", { run: () => Effect.void, irreversible: "the parcel: has left; end" })
  .step("mail", { run: () => Effect.void, compensate })

it("draws a saga and how it is undone", () => {
  const diagram = SagaDocument.sequenceDiagram(PlaceOrder)
  assert.deepStrictEqual(diagram.split("\n"), [
    "sequenceDiagram",
    "  autonumber",
    "  participant C as Client",
    "  participant O as place-order",
    "  participant S1 as stock#59; #35;1",
    "  participant S2 as payments",
    "  participant S3 as score",
    "  participant S4 as bank",
    "  participant S5 as ship",
    "  participant S6 as mail",
    "  C->>O: start",
    "  O->>S1: reserve",
    "  S1-->>O: reserve result",
    "  par charge",
    "    O->>S2: charge",
    "    S2-->>O: done",
    "  and score",
    "    O->>S3: ask for a score",
    "    S3-->>O: done",
    "  end",
    "  Note over O: Waits for paid, at most 3d",
    "  S4-->>O: paid",
    "  Note over O: Waits 1h (cool off)",
    "  O->>S5: ship",
    "  S5-->>O: done",
    "  Note over O: No way back from here: the parcel: has left#59; end",
    "  O->>S6: mail",
    "  S6-->>O: done",
    "  O-->>C: Completed",
    "  opt A step fails for good",
    "    Note over O: Compensating transactions (reverse order), from the step that failed",
    "    O->>S3: undo score",
    "    S3-->>O: compensated",
    "    O->>S2: undo charge",
    "    S2-->>O: compensated",
    "    O->>S1: release the stock | now",
    "    S1-->>O: compensated",
    "    O-->>C: Transaction rolled back",
    "  end"
  ])
})

it.effect("draws what the parser of Mermaid takes, whatever the names are", () =>
  Effect.gen(function* () {
    const odd = Saga.make("a;b", { payload: Order, idempotencyKey: ({ orderId }) => orderId })
      .step("end", { run: () => Effect.void, compensate, service: 'x: "y" <z>\nnext', description: "%% no # comment" })
      .step("loop", { run: () => Effect.void, irreversible: "end\nend; rect", service: "->> O: ((" })
    for (const saga of [PlaceOrder, odd]) {
      const parsed = yield* Effect.promise(() => mermaid.parse(SagaDocument.sequenceDiagram(saga)))
      assert.strictEqual(parsed && parsed.diagramType, "sequence")
    }
  })
)

it("tables the compensations", () => {
  assert.deepStrictEqual(SagaDocument.compensationTable(PlaceOrder).split("\n"), [
    "| Step | Compensation | Notes |",
    "|---|---|---|",
    "| reserve | release the stock \\| now | tried again 10 times, 1s to 5m apart, then stuck; timeout 2s |",
    "| charge | undo charge | tried again 10 times, 1s to 5m apart, then stuck; the step itself: tried again twice, 1s to 3s apart |",
    "| score | undo score | tried again 10 times, 1s to 5m apart, then stuck |",
    "| ship | none: irreversible | the parcel: has left; end |",
    "| mail | undo mail | never undone: it comes after an irreversible step, and is finished instead |"
  ])
})
