/**
 * The consumers of this process, to be paused and resumed by name: an operator's kill switch.
 *
 * **Example** (Pausing a consumer)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Consumers } from "effect-integration/event"
 *
 * export const maintenance = <A, E, R>(work: Effect.Effect<A, E, R>) =>
 *   Effect.acquireUseRelease(
 *     Consumers.pause("billing", { reason: "the ledger is migrated" }),
 *     () => work,
 *     () => Effect.orDie(Consumers.resume("billing"))
 *   )
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Control from "./internal/control.ts"

/**
 * No consumer of this name runs in this process.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoSuchConsumer extends Schema.TaggedError<NoSuchConsumer>()("NoSuchConsumer", {
  name: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const known = this.known.length === 0 ? "none runs" : `there are ${this.known.join(", ")}`
    return `no consumer is named ${this.name}: ${known}`
  }
}

/**
 * How a consumer does: `running`; `outage`, paused by itself until what it needs is back; `paused` by an operator;
 * `starting`, subscribing again.
 *
 * @category models
 * @since 0.1.0
 */
export interface Status extends Control.Status {}

const controls = Effect.map(Control.Registry, (registry) => Array.from(registry.values()).flatMap((each) => [...each]))

const find = Effect.fnUntraced(function* (name: string) {
  const all = yield* controls
  const named = all.filter((each) => each.name === name)
  if (named.length === 0) {
    return yield* new NoSuchConsumer({ name, known: Array.from(new Set(all.map((each) => each.name))) })
  }
  return named
})

/** All consumers of the process. @category getters @since 0.1.0 */
export const all: Effect.Effect<ReadonlyArray<Status>> = Effect.flatMap(controls, (each) =>
  Effect.forEach(each, (control) => control.status)
)

/**
 * Pauses the consumers of a name: no more messages are taken, those in hand are ended and settled, the others wait at the
 * broker. Gives how many consumers there were.
 *
 * @category combinators
 * @since 0.1.0
 */
export const pause = Effect.fnUntraced(function* (name: string, options: { readonly reason: string }) {
  const named = yield* find(name)
  yield* Effect.forEach(named, (control) => control.pause(options.reason), { discard: true })
  return named.length
})

/** Resumes the consumers of a name. Gives how many there were. @category combinators @since 0.1.0 */
export const resume = Effect.fnUntraced(function* (name: string) {
  const named = yield* find(name)
  yield* Effect.forEach(named, (control) => control.resume, { discard: true })
  return named.length
})
