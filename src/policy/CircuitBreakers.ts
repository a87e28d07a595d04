/**
 * The circuits of a process: found by name, so that an operator can open and close them at run time, and kept by key, so
 * that one policy can guard many hosts or tenants.
 *
 * **Details**
 *
 * A circuit is found for as long as something uses it. Finding does not keep it alive.
 *
 * **Example** (A kill switch)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreakers } from "effect-integration/policy"
 *
 * export const stop = CircuitBreakers.forceOpen("payments", { reason: "provider asked us to stop" })
 * export const resume = Effect.asVoid(CircuitBreakers.forceClosed("payments"))
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { monotonicMillis } from "../internal/monotonic.ts"
import * as Option from "../internal/option.ts"
import * as CircuitBreaker from "./CircuitBreaker.ts"
import * as Registry from "./internal/circuitRegistry.ts"

/**
 * Circuits of one name, by key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Keyed {
  readonly name: string
  /** The circuit of a key, made closed where there is none yet. */
  readonly get: (key: string) => CircuitBreaker.CircuitBreaker
  /** The circuits there are. */
  readonly circuits: Effect.Effect<ReadonlyArray<CircuitBreaker.CircuitBreaker>>
}

/**
 * No circuit has this name (and key) now. `known` lists the names there are.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoSuchCircuit extends Schema.TaggedError<NoSuchCircuit>()("NoSuchCircuit", {
  name: Schema.String,
  key: Schema.optionalKey(Schema.String),
  known: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const asked = this.key === undefined ? this.name : `${this.name} with key ${this.key}`
    return `no circuit is named ${asked}; there are: ${this.known.join(", ") || "none"}`
  }
}

/**
 * One circuit per key, a host or a tenant, made when the key is first used.
 *
 * **Details**
 *
 * At most `maximumKeys` (10,000 by default) are kept: past that, the one that was not used for longest is forgotten, a
 * closed one where there is any.
 *
 * **Gotchas**
 *
 * Throws `InvalidOption` for options that make no sense.
 *
 * @category constructors
 * @since 0.1.0
 */
export const keyed = (
  name: string,
  options: CircuitBreaker.Options & { readonly maximumKeys?: number }
): Effect.Effect<Keyed> => {
  const family = CircuitBreaker.makeFamily(name, options)
  const where = "CircuitBreakers.keyed"
  const most = Option.number(where, "maximumKeys", options.maximumKeys ?? 10_000, { min: 1, integer: true })
  return Effect.suspend(() => {
    const circuits = new KeyedCircuits(name, family(), most)
    return Effect.as(Registry.register(circuits), circuits)
  })
}

type Member = Registry.Member<CircuitBreaker.CircuitBreaker>

const members: Effect.Effect<ReadonlyArray<Member>> = Effect.map(Registry.Registry, (registry) =>
  Array.from(registry.values()).flatMap((each) =>
    Array.from(each).flatMap((reference) => (reference.deref() as Member | undefined) ?? [])
  )
)

/** All circuits of the process. @category getters @since 0.1.0 */
export const all: Effect.Effect<ReadonlyArray<CircuitBreaker.CircuitBreaker>> = Effect.map(members, (each) =>
  each.flatMap((member) => member.present())
)

/** The circuits of a name or of one of its keys; a name without a key also holds for keys that are yet to come. */
const find = Effect.fnUntraced(function* (name: string, key: string | undefined, forced: Registry.Forced | undefined) {
  const known = yield* members
  const named = known.filter((each) => each.name === name)
  const circuits = named.flatMap((each) => each.present()).filter((each) => key === undefined || each.key === key)
  if (named.length === 0 || (key !== undefined && circuits.length === 0)) {
    const names = Array.from(new Set(known.map((each) => each.name)))
    return yield* new NoSuchCircuit({ name, known: names, ...(key === undefined ? undefined : { key }) })
  }
  if (key === undefined) for (const each of named) each.force?.(forced)
  return circuits
})

/**
 * Opens the circuits of a name (or one of its keys) until they are closed again. Gives how many there were.
 *
 * **Details**
 *
 * Without a key, circuits of keys that are used later begin open too.
 *
 * @category combinators
 * @since 0.1.0
 */
export const forceOpen = Effect.fnUntraced(function* (
  name: string,
  options: { readonly reason: string; readonly key?: string }
) {
  const { key, reason } = options
  const since = monotonicMillis(yield* Clock.Clock)
  const circuits = yield* find(name, key, { reason, since })
  yield* Effect.forEach(circuits, (circuit) => circuit.forceOpen(reason), { discard: true })
  return circuits.length
})

/**
 * Closes the circuits of a name (or one of its keys), forced open or not. Gives how many there were.
 *
 * @category combinators
 * @since 0.1.0
 */
export const forceClosed = Effect.fnUntraced(function* (name: string, options?: { readonly key?: string }) {
  const circuits = yield* find(name, options?.key, undefined)
  yield* Effect.forEach(circuits, (circuit) => circuit.forceClosed, { discard: true })
  return circuits.length
})

class KeyedCircuits implements Keyed, Member {
  readonly #circuits = new Map<string, CircuitBreaker.CircuitBreaker>()
  readonly #make: CircuitBreaker.MakeCircuit
  readonly #most: number
  #forced: Registry.Forced | undefined
  readonly name: string
  constructor(name: string, make: CircuitBreaker.MakeCircuit, most: number) {
    this.name = name
    this.#make = make
    this.#most = most
  }
  get(key: string): CircuitBreaker.CircuitBreaker {
    const known = this.#circuits.get(key)
    if (known === undefined && this.#circuits.size >= this.#most) this.#forget()
    const circuit = known ?? this.#make(key, this.#forced)
    // A map keeps the order of insertion, so the first key is the one that was not used for longest.
    this.#circuits.delete(key)
    this.#circuits.set(key, circuit)
    return circuit
  }
  #forget(): void {
    let oldest: string | undefined
    for (const [key, circuit] of this.#circuits) {
      oldest ??= key
      if (circuit.stateUnsafe(0)._tag === "Closed") return void this.#circuits.delete(key)
    }
    if (oldest === undefined) return
    this.#circuits.get(oldest)?.dropUnsafe()
    this.#circuits.delete(oldest)
  }
  force(forced: Registry.Forced | undefined): void {
    this.#forced = forced
  }
  present(): ReadonlyArray<CircuitBreaker.CircuitBreaker> {
    return Array.from(this.#circuits.values())
  }
  get circuits(): Effect.Effect<ReadonlyArray<CircuitBreaker.CircuitBreaker>> {
    return Effect.sync(() => this.present())
  }
}
