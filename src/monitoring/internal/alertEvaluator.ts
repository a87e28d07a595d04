import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Semaphore from "effect/Semaphore"
import type * as Integration from "../../Integration.ts"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as Secrets from "../../internal/secrets.ts"
import { sampleSparing } from "../../internal/telemetry/samplers.ts"
import type * as ErrorAction from "../../policy/ErrorAction.ts"
import * as Telemetry from "../../Telemetry.ts"
import type * as Alert from "../Alert.ts"
import * as Rule from "../Rule.ts"
import { Notices } from "./alertNotices.ts"
import * as AlertRules from "./alertRules.ts"

type Tell = (alert: Alert.Alert) => Effect.Effect<void>

/** One rule, and what became of it. */
interface Watched {
  readonly rule: Rule.Rule
  readonly growth: AlertRules.Growth
  phase: AlertRules.Phase
  alert: Alert.Alert | undefined
  /** When there was a value, in monotonic milliseconds. */
  seenAt: number
}

/** One gauge that is long in coming does not hold up the rules of the others. It is waited for elsewhere, and hidden in the end. */
const sampled = (sample: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.forkDetach(sample).pipe(
    Effect.flatMap((sampling) => Effect.timeoutOption(Fiber.await(sampling), "1 second")),
    Effect.asVoid
  )

/** Decides when people are told, of rules and of errors. */
export class Evaluator {
  readonly #design: Integration.Integration
  readonly #tell: Tell
  readonly #clock: Clock.Clock
  readonly #context: Context.Context<never>
  readonly #rules: ReadonlyArray<Rule.Rule>
  readonly #watched: ReadonlyArray<Watched>
  readonly #notices: Notices
  readonly #incidents = new Map<string, number>()
  readonly #turn = Semaphore.makeUnsafe(1)
  #isBroken = false

  constructor(design: Integration.Integration, tell: Tell, clock: Clock.Clock, context: Context.Context<never>) {
    this.#design = design
    this.#tell = tell
    this.#clock = clock
    this.#context = context
    // A contract and a consumer of one name share their metrics, and so the rules about them.
    this.#rules = Array.from(new Map(Rule.of(design).map((rule) => [rule.id, rule])).values())
    this.#watched = this.#rules.map((rule) => ({
      rule,
      growth: new AlertRules.Growth(),
      phase: AlertRules.idle,
      alert: undefined,
      seenAt: -Infinity
    }))
    this.#notices = new Notices(design, this.#rules, (id) => this.#incidentOf(id))
  }

  /** What counters have counted until now is not news. */
  static readonly make = Effect.fnUntraced(function* (design: Integration.Integration, tell: Tell) {
    const evaluator = new Evaluator(design, tell, yield* Clock.Clock, yield* Effect.context())
    yield* evaluator.#read()
    return evaluator
  })

  /** Evaluates for ever: at least so often, and when the first rule is due. */
  run(every: number): Effect.Effect<never> {
    return Effect.forever(
      Effect.suspend(() => {
        const next = this.#now() + every
        return Effect.andThen(
          this.#survived,
          Effect.suspend(() => Effect.sleep(Math.max(Math.min(next, this.#nextDue) - this.#now(), 1)))
        )
      })
    )
  }
  /** Whatever goes wrong with one evaluation, the next one comes. */
  get #survived(): Effect.Effect<void> {
    return Effect.matchCauseEffect(this.#evaluated(sampleSparing), {
      onSuccess: () => Effect.sync(() => void (this.#isBroken = false)),
      onFailure: (cause) => {
        if (this.#isBroken || Cause.hasInterruptsOnly(cause)) return Effect.void
        this.#isBroken = true
        const message = `${this.#design.name}: the rules of alerts could not be evaluated, and will be again`
        return Effect.ignoreCause(Effect.logError(message, Secrets.ofCause(cause)))
      }
    })
  }
  get #nextDue(): number {
    return Math.min(this.#notices.nextQuiet, ...this.#watched.map(({ phase, rule }) => AlertRules.dueAt(rule, phase)))
  }

  get evaluate(): Effect.Effect<void> {
    return this.#evaluated(Telemetry.sample)
  }
  #evaluated(sample: Effect.Effect<void>): Effect.Effect<void> {
    const evaluated = sampled(sample).pipe(
      Effect.andThen(this.#read()),
      Effect.flatMap((value) => this.#compare(value))
    )
    return this.#turn.withPermit(Effect.provideContext(evaluated, this.#context))
  }

  /** The value of each rule. For notices: how many were counted that did not come here. */
  #read(): Effect.Effect<(rule: Rule.Rule) => number> {
    return Effect.suspend(() => {
      const valueOf = AlertRules.readings(this.#rules, this.#context)
      const value = (rule: Rule.Rule): number => {
        if (rule.metric !== "notices") return valueOf(rule)
        const counted = valueOf(rule)
        return (Number.isNaN(counted) ? 0 : counted) - this.#notices.seen(rule.label ?? "", rule.subject)
      }
      // What was counted just now is on its way here, on a fiber of its own.
      const arrived = Effect.andThen(Effect.yieldNow, Effect.yieldNow)
      return Effect.as(arrived, value)
    }).pipe(
      Effect.tap((value) =>
        Effect.sync(() => {
          for (const { growth, rule } of this.#watched) {
            if (rule.comparison._tag === "Increased") growth.read(value(rule), this.#now())
          }
        })
      )
    )
  }

  #compare(valueOf: (rule: Rule.Rule) => number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const now = this.#now()
      const at = this.#at(now, now)
      const changed: Array<Alert.Alert> = [...this.#notices.quietened(now, at)]
      for (const each of this.#watched) {
        const { growth, phase, rule } = each
        const { comparison } = rule
        const value = valueOf(rule)
        const holds =
          comparison._tag === "Increased"
            ? growth.within(Duration.toMillis(comparison.within), now)
            : AlertRules.isBeyond(comparison, value)
        if (!Number.isNaN(value)) each.seenAt = now
        if (each.alert !== undefined && AlertRules.isUnknown(rule, value, each.seenAt, now)) {
          each.alert = this.#measured(each.alert, value)
          continue
        }
        each.phase = AlertRules.step(rule, phase, holds, now)
        if (each.phase._tag === "Firing" && each.alert === undefined) {
          each.alert = this.#fired(rule, value, this.#at(each.phase.since, now))
          changed.push(each.alert)
        } else if (each.phase._tag !== "Firing" && each.alert !== undefined) {
          changed.push({ ...this.#measured(each.alert, value), state: "resolved", resolvedAt: at })
          each.alert = undefined
        } else if (each.alert !== undefined) each.alert = this.#measured(each.alert, value)
      }
      return Effect.forEach(changed, this.#tell, { discard: true })
    })
  }

  #fired(rule: Rule.Rule, value: number, since: DateTime.Utc): Alert.Alert {
    const { monitoring, name } = this.#design
    const { comparison, condition, metric, routes, severity, subject, summary } = rule
    const id = `${name}/${rule.id}`
    return {
      id,
      incident: this.#incidentOf(id),
      state: "firing",
      design: name,
      condition,
      severity,
      subject,
      summary,
      since,
      measured: { metric, name: Rule.metricName(rule), value, comparison, for: rule.for },
      ids: [],
      count: 1,
      earlier: 0,
      routes,
      ...(monitoring?.dashboard === undefined ? undefined : { dashboard: monitoring.dashboard })
    }
  }
  #measured(alert: Alert.Alert, value: number): Alert.Alert {
    if (alert.measured === undefined) return alert
    return { ...alert, measured: { ...alert.measured, value: Number.isNaN(value) ? undefined : value } }
  }

  /** An error whose action tells people. */
  notice(notice: ErrorAction.Notice): Effect.Effect<void> {
    return Effect.suspend(() => {
      const now = this.#now()
      const alert = this.#notices.take(notice, now, this.#at(now, now))
      return alert === undefined ? Effect.void : this.#tell(alert)
    })
  }

  get firing(): Effect.Effect<ReadonlyArray<Alert.Alert>> {
    return Effect.sync(() => [
      ...this.#watched.flatMap(({ alert }) => (alert === undefined ? [] : [alert])),
      ...this.#notices.firing
    ])
  }

  #incidentOf(id: string): number {
    const incident = (this.#incidents.get(id) ?? 0) + 1
    this.#incidents.set(id, incident)
    return incident
  }
  #now(): number {
    return monotonicMillis(this.#clock)
  }
  /** The time of day of a monotonic time. */
  #at(then: number, now: number): DateTime.Utc {
    return DateTime.makeUnsafe(Math.round(this.#clock.currentTimeMillisUnsafe() - (now - then)))
  }
}
