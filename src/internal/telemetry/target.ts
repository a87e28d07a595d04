import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"

/** Whether what runs is synthetic traffic. */
export const Synthetic = Context.Reference<boolean>("effect-integration/Telemetry/Synthetic", {
  defaultValue: () => false
})

/** Where a fiber records. */
export interface Target {
  readonly context: Context.Context<never>
  readonly registry: Metric.MetricRegistry
  /** What the fiber adds to the labels, which makes it another series. */
  readonly attributes: Metric.Metric.AttributeSet
  readonly isSynthetic: boolean
}

const resolve = (context: Context.Context<never>): Target => ({
  context,
  registry: Context.get(context, Metric.MetricRegistry),
  attributes: Context.get(context, Metric.CurrentMetricAttributes),
  isSynthetic: Context.get(context, Synthetic)
})

/** Where a context records. A call asks more than once, and the next one mostly comes from the same fiber. */
export const targetOf = (context: Context.Context<never>): Target =>
  context === last.context ? last : (last = resolve(context))
let last = resolve(Context.empty())

/** What is kept of the context that series were first recorded in: not all of what a fiber has. */
export const keptOf = (context: Context.Context<never>): Context.Context<never> =>
  Context.make(Metric.MetricRegistry, Context.get(context, Metric.MetricRegistry)).pipe(
    Context.add(Metric.CurrentMetricAttributes, Context.get(context, Metric.CurrentMetricAttributes)),
    Context.add(Clock.Clock, Context.get(context, Clock.Clock))
  ) as Context.Context<any>

/** Attributes as one text, the same for those that are equal. */
const textOf = (attributes: Metric.Metric.AttributeSet): string =>
  JSON.stringify(Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1)))

/** Something that there is once for each registry, and for each set of attributes in it. */
export class PerTarget<A> {
  readonly #make: (context: Context.Context<never>) => A
  readonly #all = new WeakMap<Metric.MetricRegistry, Map<string, A>>()
  #registry: Metric.MetricRegistry | undefined
  #attributes: Metric.Metric.AttributeSet | undefined
  #value: A | undefined
  constructor(make: (context: Context.Context<never>) => A) {
    this.#make = make
  }
  of(target: Target): A {
    return target.registry === this.#registry && target.attributes === this.#attributes
      ? this.#value!
      : this.#find(target)
  }
  #find({ attributes, context, registry }: Target): A {
    const known = this.#all.get(registry) ?? new Map<string, A>()
    this.#all.set(registry, known)
    const text = textOf(attributes)
    const value = known.get(text) ?? this.#make(keptOf(context))
    known.set(text, value)
    this.#registry = registry
    this.#attributes = attributes
    this.#value = value
    return value
  }
}
