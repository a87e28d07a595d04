import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Predicate from "effect/Predicate"
import * as Secrets from "../../internal/secrets.ts"
import * as Telemetry from "../../Telemetry.ts"

/** How a probe has ended. */
export interface Result {
  readonly probe: string
  /** `success`, the tag of the error, `defect` or `interrupted`. */
  readonly outcome: string
  readonly millis: number
  /** When it ended. */
  readonly at: DateTime.Utc
}

/** A probe that runs in this process, and how it has last ended. */
export interface Running {
  last: Result | undefined
}

export const Registry = Context.Reference<Set<Running>>("effect-integration/monitoring/SyntheticProbe/Registry", {
  defaultValue: () => new Set()
})

export const results: Effect.Effect<ReadonlyArray<Result>> = Effect.map(Registry, (registry) =>
  Array.from(registry).flatMap(({ last }) => last ?? [])
)

/** Known for as long as the scope is open. Then its gauges go too: they would tell of probes that nobody runs. */
export const running = (name: string) =>
  Effect.flatMap(Effect.context<never>(), (context) =>
    Effect.flatMap(Registry, (registry) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const probe: Running = { last: undefined }
          registry.add(probe)
          return probe
        }),
        (probe) =>
          Effect.sync(() => {
            registry.delete(probe)
            for (const metric of ["probeSuccess", "probeDuration"] as const) {
              Metric.removeUnsafe(gaugeOf(metric, name), context)
            }
          })
      )
    )
  )

const gaugeOf = (metric: "probeSuccess" | "probeDuration", name: string) =>
  Metric.gauge(Telemetry.metricName(metric, name), { description: Telemetry.catalogue[metric].description })

/** A tag, which is bounded, and no message. */
export const outcomeOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "success"
  const failure = exit.cause.reasons.find(Cause.isFailReason)
  if (failure === undefined) return Cause.hasInterruptsOnly(exit.cause) ? "interrupted" : "defect"
  const { error } = failure
  const tag = Predicate.hasProperty(error, "_tag") ? error._tag : Predicate.isError(error) ? error.name : undefined
  return typeof tag === "string" && tag !== "success" ? tag : "failure"
}

/** Nobody knows what is in the error of somebody else, so that only its tag is seen by all. */
export const logged = (
  name: string,
  exit: Exit.Exit<unknown, unknown>,
  outcome: string,
  before: string | undefined
) => {
  const said = Exit.isSuccess(exit)
    ? Effect.when(
        Effect.logInfo(`probe ${name}: succeeds again`),
        Effect.succeed(before !== undefined && before !== outcome)
      )
    : Effect.andThen(
        Effect.logWarning(`probe ${name}: failed (${outcome})`),
        Effect.logDebug(Secrets.ofCause(exit.cause))
      )
  return Effect.annotateLogs(said, { [Telemetry.Attribute.integration]: name, [Telemetry.Attribute.errorTag]: outcome })
}
