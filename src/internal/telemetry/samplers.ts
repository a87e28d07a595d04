import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import { monotonicMillis } from "../monotonic.ts"
import * as Secrets from "../secrets.ts"

/** What a gauge is to show. */
export interface Reading {
  readonly id: string
  readonly description: string
  readonly value: number
}

/** How long one sampler may take. */
const limit: Duration.Input = "2 seconds"

/**
 * Who asks each second leaves alone what took long, for so many times as long as it took. A store that is slow, since there
 * is much in it, is not to be kept busy with counting.
 */
const rests = 20
const longestRest = 15_000

/** What a gauge shows of each sampler that has a value for it. */
interface Shown {
  readonly gauge: Metric.Gauge<number>
  readonly values: Map<Sampler, number>
}

/** The samplers whose gauges are in one registry. */
class Samplers {
  readonly all = new Set<Sampler>()
  readonly #shown = new Map<string, Shown>()

  /** Two that show the same, two consumers of a group in one process, say, share a gauge: it shows the higher value. */
  show(sampler: Sampler, { description, id, value }: Reading): void {
    let shown = this.#shown.get(id)
    if (shown === undefined)
      this.#shown.set(id, (shown = { gauge: Metric.gauge(id, { description }), values: new Map() }))
    shown.values.set(sampler, value)
    shown.gauge.updateUnsafe(Math.max(...shown.values.values()), sampler.context)
  }
  hide(sampler: Sampler, id: string): void {
    const shown = this.#shown.get(id)
    if (shown === undefined || !shown.values.delete(sampler)) return
    if (shown.values.size > 0) return shown.gauge.updateUnsafe(Math.max(...shown.values.values()), sampler.context)
    this.#shown.delete(id)
    Metric.removeUnsafe(shown.gauge, sampler.context)
  }
}

const registries = new WeakMap<Metric.MetricRegistry, Samplers>()

const samplersOf = (registry: Metric.MetricRegistry): Samplers => {
  let samplers = registries.get(registry)
  if (samplers === undefined) registries.set(registry, (samplers = new Samplers()))
  return samplers
}

/** Something that is asked for what its gauges are to show. */
export class Sampler {
  readonly context: Context.Context<never>
  readonly #read: Effect.Effect<ReadonlyArray<Reading>, unknown>
  readonly #samplers: Samplers
  #ids: ReadonlySet<string> = new Set()
  #asking: Fiber.Fiber<void> | undefined
  #restsUntil = -Infinity
  constructor(context: Context.Context<never>, read: Effect.Effect<ReadonlyArray<Reading>, unknown>) {
    this.context = context
    this.#read = read
    this.#samplers = samplersOf(Context.get(context, Metric.MetricRegistry))
    this.#samplers.all.add(this)
  }

  /** Its gauges are gone at once, but for those that others show too. */
  remove(): void {
    this.#samplers.all.delete(this)
    this.#asking?.interruptUnsafe()
    this.show([])
  }

  /** What is no number is not shown, and what is not among the readings is not shown any more. */
  show(readings: ReadonlyArray<Reading>): void {
    const live = this.#samplers.all.has(this) ? readings.filter(({ value }) => !Number.isNaN(value)) : []
    const ids = new Set(live.map(({ id }) => id))
    for (const id of this.#ids) if (!ids.has(id)) this.#samplers.hide(this, id)
    for (const reading of live) this.#samplers.show(this, reading)
    this.#ids = ids
  }

  /** Who asks while another asks waits for the same answer. One that does not come is no value. */
  get sample(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const asking = this.#asking ?? this.#ask()
      return Effect.flatMap(Effect.timeoutOption(Fiber.await(asking), limit), (ended) => {
        if (Option.isSome(ended)) return Effect.void
        asking.interruptUnsafe()
        this.#restsUntil = this.#now + longestRest
        this.show([])
        return Effect.logDebug("telemetry: a sampler did not answer in time")
      })
    })
  }
  /** The same, for who asks often: what took long is as it was for a while. */
  get sampleSparing(): Effect.Effect<void> {
    return Effect.suspend(() => (this.#now < this.#restsUntil ? Effect.void : this.sample))
  }
  get #now(): number {
    return monotonicMillis(Context.get(this.context, Clock.Clock))
  }
  #ask(): Fiber.Fiber<void> {
    const asked = Effect.matchCauseEffect(this.#read, {
      onSuccess: (readings) => Effect.sync(() => this.show(readings)),
      onFailure: (cause) => {
        this.show([])
        if (Cause.hasInterruptsOnly(cause)) return Effect.void
        return Effect.logDebug("telemetry: a sampler failed", Secrets.ofCause(cause))
      }
    })
    const begun = this.#now
    const fiber = Effect.runForkWith(this.context)(Effect.withTracerEnabled(asked, false))
    if (fiber.pollUnsafe() !== undefined) return fiber
    fiber.addObserver(() => {
      this.#asking = undefined
      const now = this.#now
      this.#restsUntil = Math.max(this.#restsUntil, now + Math.min(longestRest, rests * (now - begun)))
    })
    this.#asking = fiber
    return fiber
  }
}

const all = (ask: (each: Sampler) => Effect.Effect<void>): Effect.Effect<void> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const { all } = samplersOf(Context.get(context, Metric.MetricRegistry))
    return Effect.forEach(Array.from(all), ask, { concurrency: "unbounded", discard: true })
  })

/** Asks all samplers of a registry, once and at the same time. */
export const sample: Effect.Effect<void> = all((each) => each.sample)

/** For who asks each second. */
export const sampleSparing: Effect.Effect<void> = all((each) => each.sampleSparing)

/** A sampler that is there for as long as its registry. */
export const watch = (context: Context.Context<never>, read: Effect.Effect<ReadonlyArray<Reading>, unknown>): Sampler =>
  new Sampler(context, read)
