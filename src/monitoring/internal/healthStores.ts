import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { DedupStore } from "../../event/DedupStore.ts"
import * as Outbox from "../../event/Outbox.ts"
import { Parking } from "../../event/Parking.ts"
import type * as Integration from "../../Integration.ts"
import { monotonicMillis } from "../../internal/monotonic.ts"
import { SagaStore } from "../../saga/SagaStore.ts"
import type { Asked } from "./healthAsked.ts"
import type { Seen } from "./healthWatch.ts"

/** Of nobody: looked for by its key, which is the cheapest question, and never there. */
const group = "effect-integration/health"
const nobody = { source: group, id: group }

/** Whether a store answers, and how fast. What it says is passed on to `more`. */
const answering = <A>(
  name: string,
  question: Effect.Effect<A, { readonly message: string }>,
  more: (answer: A) => ReadonlyArray<Seen> = () => []
): Asked => {
  const key = `${name}:responseTime`
  const observe = Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const begun = monotonicMillis(clock)
    const answer = yield* Effect.result(question)
    // Errors of stores have a description without credentials.
    if (answer._tag === "Failure") {
      return [{ key, type: "datastore", status: "fail", output: answer.failure.message }] satisfies ReadonlyArray<Seen>
    }
    const value = Math.round(monotonicMillis(clock) - begun)
    const seen: Seen = { key, type: "datastore", status: "pass", value, unit: "ms" }
    return [seen, ...more(answer.success)]
  })
  return { name: key, type: "datastore", part: "stores", observe }
}

export const stores = (context: Context.Context<never>): ReadonlyArray<Asked> => [
  ...Option.toArray(Context.getOption(context, DedupStore)).map((store) =>
    answering("dedup-store", store.processed(group, [nobody]))
  ),
  ...Option.toArray(Context.getOption(context, Parking)).map((parking) =>
    answering("parking", parking.lastWorked(group, [group]))
  ),
  ...Option.toArray(Context.getOption(context, SagaStore)).map((store) => answering("saga-store", store.find(group)))
]

/** Whether the outbox answers, and how long events have waited in it. */
export const outbox = (design: Integration.Integration, context: Context.Context<never>): ReadonlyArray<Asked> => {
  const limit = design.monitoring?.outboxAge?.limit
  const most = limit === undefined ? Infinity : Duration.toSeconds(Duration.fromInputUnsafe(limit))
  return Option.toArray(Context.getOption(context, Outbox.Outbox)).map((store) =>
    answering("outbox", store.depth, (channels) => channels.map((each) => ofChannel(each, most)))
  )
}

const ofChannel = ({ channel, oldest, pending, relays, setAside }: Outbox.Depth, most: number): Seen => {
  const age = Option.match(oldest, { onNone: () => 0, onSome: Duration.toSeconds })
  const problems = [
    ...(age > most ? [`the oldest of ${pending} events waits for longer than ${most} s`] : []),
    ...(pending > 0 && relays === 0 ? ["no relay publishes the channel"] : []),
    ...(setAside > 0 ? [`${setAside} events are set aside, and wait for an operator`] : [])
  ]
  return {
    key: `${channel}:outboxAge`,
    type: "component",
    status: problems.length === 0 ? "pass" : "warn",
    value: Math.round(age),
    unit: "s",
    output: problems.join("; ")
  }
}
