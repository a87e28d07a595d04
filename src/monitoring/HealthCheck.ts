/**
 * Something that `Health` asks, added to what it asks by itself.
 *
 * **Details**
 *
 * - A check has a time limit and cannot take others with it: one that fails, dies or hangs is an entry of the report.
 * - What it fails with is not shown, since nobody knows what is in it: only its tag is. To say more, give an
 *   `Observation` whose status is `warn` or `fail`.
 * - It is about readiness, except where `about` says else. Let a check be about liveness only where a restart mends what
 *   it sees: a process that is restarted because its database is down is down twice.
 *
 * **Example** (A cache that the integration can do without)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Health, HealthCheck } from "effect-integration/monitoring"
 *
 * declare const ping: Effect.Effect<void, Error>
 *
 * export const Cache = Health.layerCheck(
 *   HealthCheck.make("cache:responseTime", { type: "datastore", severity: "warn", run: ping })
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Option from "../internal/option.ts"
import type { Status } from "./HealthReport.ts"

/** @category models @since 0.1.0 */
export const types = ["component", "datastore", "system"] as const

/** What a check can be about: whether the process does its work, or whether it lives. @category models @since 0.1.0 */
export const subjects = ["ready", "live"] as const

/**
 * What a check has seen.
 *
 * @category models
 * @since 0.1.0
 */
export interface Observation {
  readonly status: Status
  readonly value?: string | number | boolean
  readonly unit?: string
  /** Why it does not pass: a sentence without secrets. */
  readonly output?: string
  /** Which instance of the component. */
  readonly id?: string
  /** When it was seen. Default: now. */
  readonly time?: DateTime.Utc
}

/**
 * @category models
 * @since 0.1.0
 */
export interface HealthCheck<out E = never, out R = never> {
  /** Its key in the report: `component:measurement`. */
  readonly name: string
  readonly type: (typeof types)[number]
  readonly about: ReadonlyArray<(typeof subjects)[number]>
  /** The worst that it can make of a report. */
  readonly severity: "warn" | "fail"
  readonly timeout: Duration.Duration | undefined
  readonly run: Effect.Effect<Observation | void, E, R>
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Options<E, R> {
  /** Asks. Success without an observation passes. */
  readonly run: Effect.Effect<Observation | void, E, R>
  /** Default: component. */
  readonly type?: (typeof types)[number]
  /** Default: ready. */
  readonly about?: ReadonlyArray<(typeof subjects)[number]>
  /** The worst that it can make of a report. Default: fail. */
  readonly severity?: "warn" | "fail"
  /** How long it may take. Default: as long as `Health.layer` says. */
  readonly timeout?: Duration.Input
}

const where = "HealthCheck.make"

/** A check. Throws `InvalidOption` for options that make no sense. @category constructors @since 0.1.0 */
export const make = <E = never, R = never>(name: string, options: Options<E, R>): HealthCheck<E, R> => {
  const about = options.about ?? ["ready"]
  if (about.length === 0) Option.reject(where, "about", about, "ready, live or both")
  for (const subject of about) Option.word(where, "about", subject, subjects)
  return {
    name: Option.name(where, name),
    type: Option.word(where, "type", options.type ?? "component", types),
    about,
    severity: Option.word(where, "severity", options.severity ?? "fail", ["warn", "fail"]),
    timeout:
      options.timeout === undefined ? undefined : Duration.millis(Option.millis(where, "timeout", options.timeout)),
    run: options.run
  }
}
