import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import { boundaries, boundaryOf } from "./durations.ts"

/** What the catalogue says of a metric of an integration. */
export interface Definition {
  readonly id: string
  readonly description: string
  readonly label?: string
}

type Ctx = Context.Context<never>

/**
 * Shows a state in the registry. The registry asks for it when it is read: to record is to change a number, since
 * recording is to cost next to nothing beside what it is about.
 */
const register = <State>(metric: Metric.Metric<any, State>, context: Ctx, get: () => State): Metric.Registration =>
  Metric.registerUnsafe(metric, context, { get, update: ignored, modify: ignored })
const ignored = () => {}

/** Counts what is yet to be counted, before a state is read. */
type Flush = () => void
const nothing: Flush = () => {}

/** A counter, which is there from its first event on. */
export class Counter {
  #count = 0
  readonly #flush: Flush
  readonly #metric: () => Metric.Counter<number>
  readonly #context: Ctx
  constructor(
    { description, id }: Definition,
    context: Ctx,
    attributes?: Metric.Metric.AttributeSet,
    flush: Flush = nothing
  ) {
    this.#flush = flush
    this.#metric = () =>
      Metric.counter(id, { description, incremental: true, ...(attributes === undefined ? undefined : { attributes }) })
    this.#context = context
  }
  add(times: number): void {
    if (this.#count === 0) {
      register(this.#metric(), this.#context, () => {
        this.#flush()
        return { count: this.#count, incremental: true }
      })
    }
    this.#count += times
  }
}

/** Values of a label; those that come later share `other`. */
const maximumLabels = 64

/** Counters that differ in one label, made when a value first appears; past the bound they share `other`. */
export class LabelledCounter {
  readonly #counters = new Map<string, Counter>()
  readonly #definition: Definition
  readonly #context: Ctx
  #value: string | undefined
  #counter: Counter | undefined
  readonly #flush: Flush | undefined
  constructor(definition: Definition, context: Ctx, flush?: Flush) {
    this.#definition = definition
    this.#context = context
    this.#flush = flush
  }
  add(value: string, times = 1): void {
    if (value !== this.#value) {
      this.#counter = this.#counters.get(value) ?? this.#make(this.#counters.size < maximumLabels ? value : "other")
      this.#value = value
    }
    this.#counter!.add(times)
  }
  #make(label: string): Counter {
    const known = this.#counters.get(label)
    if (known !== undefined) return known
    const made = new Counter(this.#definition, this.#context, { [this.#definition.label!]: label }, this.#flush)
    this.#counters.set(label, made)
    return made
  }
}

/** A histogram of durations. */
export class Histogram {
  readonly #definition: Definition
  readonly #context: Ctx
  readonly #counts = new Float64Array(boundaries.length + 1)
  /** Sum, shortest and longest: an array of numbers that does not allocate one for each change. */
  readonly #values = Float64Array.of(0, Infinity, -Infinity)
  #count = 0
  readonly #flush: Flush
  constructor(definition: Definition, context: Ctx, flush: Flush = nothing) {
    this.#definition = definition
    this.#context = context
    this.#flush = flush
  }
  add(millis: number, bucket: number): void {
    this.#counts[boundaryOf(millis, bucket)]! += 1
    const values = this.#values
    values[0]! += millis
    if (millis < values[1]!) values[1] = millis
    if (millis > values[2]!) values[2] = millis
    if (this.#count++ === 0) {
      const { description, id } = this.#definition
      register(Metric.histogram(id, { description, boundaries }), this.#context, () => this.#state())
    }
  }
  #state(): Metric.HistogramState {
    this.#flush()
    let below = 0
    return {
      buckets: boundaries.map((boundary, place): [number, number] => [boundary, (below += this.#counts[place]!)]),
      count: this.#count,
      min: this.#values[1]!,
      max: this.#values[2]!,
      sum: this.#values[0]!
    }
  }
}

/** A gauge, which is there while it has a value. */
export class Gauge {
  readonly #metric: Metric.Gauge<number>
  readonly #context: Ctx
  constructor({ description, id }: Definition, context: Ctx) {
    this.#metric = Metric.gauge(id, { description })
    this.#context = context
  }
  set(value: number | undefined): void {
    if (value === undefined) Metric.removeUnsafe(this.#metric, this.#context)
    else this.#metric.updateUnsafe(value, this.#context)
  }
}
