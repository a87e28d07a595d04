import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { monotonicMillis } from "../monotonic.ts"
import { CallWindow } from "./callWindow.ts"
import { Circuits } from "./circuits.ts"
import { bucketOf } from "./durations.ts"
import { type Reading, watch } from "./samplers.ts"
import { Counter, type Definition, Gauge, Histogram, LabelledCounter } from "./series.ts"
import { PerTarget, targetOf } from "./target.ts"

type Ctx = Context.Context<never>

/** Records what happens in one integration. */
export interface Recorder {
  readonly name: string
  /**
   * A logical call ended, after so many milliseconds, with `success` or the tag of its error. `now` (monotonic
   * milliseconds) is asked of the context's clock where it is not known.
   */
  readonly call: (outcome: string, millis: number, context: Ctx, now?: number) => void
  /** A request was sent. */
  readonly attempt: (context: Ctx) => void
  /** A call will be tried again because of an error with this tag. */
  readonly retry: (reason: string, context: Ctx) => void
  /** A call was made to wait for the rate limit. */
  readonly rateLimitWait: (context: Ctx) => void
  /** A token endpoint was asked: `success` or the tag of the error. */
  readonly tokenRefresh: (outcome: string, context: Ctx) => void
  /** A delivery was settled: `done`, `duplicate`, `retried`, `dead-lettered` and so on. */
  readonly delivery: (outcome: string, context: Ctx) => void
  /** A handler ended, after so many milliseconds. */
  readonly handled: (millis: number, context: Ctx) => void
  /** A consumer was paused, by an outage or by an operator, or goes on; `undefined`: it is gone. */
  readonly paused: (paused: boolean | undefined, context: Ctx) => void
  /** An event was published: `confirmed`, or the reason why not. */
  readonly published: (outcome: string, context: Ctx) => void
  /** There are circuits, as long as somebody else keeps this. */
  readonly circuits: (circuits: object, context: Ctx) => void
  /** A circuit has left the closed state. What is given says that it is closed again, or not used any more. */
  readonly opened: (circuit: object, context: Ctx) => () => void
  /** People were told of an error. */
  readonly notice: (kind: "alert" | "escalate", context: Ctx) => void
  /** A saga has ended: `completed`, `rolledBack` or `abandoned`; or is `stuck`. */
  readonly saga: (outcome: string, context: Ctx) => void
  /** A synthetic probe ended, after so many milliseconds, with `success` or the tag of its error. */
  readonly probe: (outcome: string, millis: number, context: Ctx) => void
  /** A message of an alert was `delivered`, or failed with an error of this tag. */
  readonly alert: (outcome: string, context: Ctx) => void
}

/** The metrics that a recorder records. */
export type Metrics =
  | "requests"
  | "errorRate"
  | "latencyP99"
  | "latency"
  | "attempts"
  | "retries"
  | "circuitOpen"
  | "circuitOpenings"
  | "rateLimitWait"
  | "tokenRefreshes"
  | "notices"
  | "published"
  | "deliveries"
  | "handlingTime"
  | "paused"
  | "sagas"
  | "probes"
  | "probeSuccess"
  | "probeDuration"
  | "alerts"

/** What is recorded of an integration in one registry. */
class Sheet {
  readonly requests: LabelledCounter
  readonly latency: Histogram
  readonly attempts: Counter
  readonly retries: LabelledCounter
  readonly openings: Counter
  readonly waits: Counter
  readonly tokens: LabelledCounter
  readonly notices: LabelledCounter
  readonly published: LabelledCounter
  readonly deliveries: LabelledCounter
  readonly handling: Histogram
  readonly paused: Gauge
  readonly sagas: LabelledCounter
  readonly probes: LabelledCounter
  readonly probeSuccess: Gauge
  readonly probeDuration: Gauge
  readonly alerts: LabelledCounter
  readonly circuits: Circuits
  readonly clock: Clock.Clock
  readonly #context: Ctx
  readonly #define: (metric: Metrics) => Definition
  #window: CallWindow | undefined
  readonly #notes = new Float64Array(atOnce)
  #noted = 0
  #from = Infinity
  #until = -Infinity
  constructor(define: (metric: Metrics) => Definition, context: Ctx) {
    const labelled = (metric: Metrics) => new LabelledCounter(define(metric), context)
    const counter = (metric: Metrics) => new Counter(define(metric), context)
    const gauge = (metric: Metrics) => new Gauge(define(metric), context)
    const flush = () => this.#flush()
    this.requests = new LabelledCounter(define("requests"), context, flush)
    this.latency = new Histogram(define("latency"), context, flush)
    this.attempts = counter("attempts")
    this.retries = labelled("retries")
    this.openings = counter("circuitOpenings")
    this.waits = counter("rateLimitWait")
    this.tokens = labelled("tokenRefreshes")
    this.notices = labelled("notices")
    this.published = labelled("published")
    this.deliveries = labelled("deliveries")
    this.handling = new Histogram(define("handlingTime"), context)
    this.paused = gauge("paused")
    this.sagas = labelled("sagas")
    this.probes = labelled("probes")
    this.probeSuccess = gauge("probeSuccess")
    this.probeDuration = gauge("probeDuration")
    this.alerts = labelled("alerts")
    this.circuits = new Circuits(define("circuitOpen"), context)
    this.clock = Context.get(context, Clock.Clock)
    this.#context = context
    this.#define = define
  }
  /**
   * A call has ended. Those that succeed, which is most of them, are only noted, and counted when something is read or many
   * are there: together they cost a fraction.
   */
  call(outcome: string, millis: number, now: number): void {
    if (outcome === "success" && now < this.#until && now >= this.#from && this.#noted < atOnce) {
      this.#notes[this.#noted++] = millis
    } else this.#count(outcome, millis, now)
  }
  #count(outcome: string, millis: number, now: number): void {
    this.#flush()
    const bucket = bucketOf(millis)
    this.requests.add(outcome)
    this.latency.add(millis, bucket)
    // It is sampled from its first call on, for as long as its registry is there.
    this.#window ??= this.#watched(new CallWindow())
    this.#window.add(now, millis, outcome === "success", bucket)
    if (outcome !== "success") return
    const { from, until } = this.#window.slot
    this.#from = from
    this.#until = until
  }
  /** What was noted is all of one slot of the window. */
  #flush(): void {
    const noted = this.#noted
    if (noted === 0) return
    this.#noted = 0
    this.requests.add("success", noted)
    for (let n = 0; n < noted; n++) {
      const millis = this.#notes[n]!
      const bucket = bucketOf(millis)
      this.latency.add(millis, bucket)
      this.#window!.add(this.#from, millis, true, bucket)
    }
  }
  #watched(window: CallWindow): CallWindow {
    const [errorRate, p99] = [this.#define("errorRate"), this.#define("latencyP99")]
    const read = Effect.clockWith((clock) =>
      Effect.sync((): ReadonlyArray<Reading> => {
        this.#flush()
        const shown = window.read(monotonicMillis(clock))
        if (shown === undefined) return []
        return [
          { ...errorRate, value: shown.errorRate },
          { ...p99, value: shown.p99 }
        ]
      })
    )
    watch(this.#context, read)
    return window
  }
}

/** Successful calls that are noted at most before they are counted. */
const atOnce = 256

export const make = (name: string, define: (metric: Metrics) => Definition): Recorder => {
  const sheets = new PerTarget((context) => new Sheet(define, context))
  const sheetOf = (context: Ctx) => sheets.of(targetOf(context))
  /** None for synthetic traffic. */
  const businessOf = (context: Ctx): Sheet | undefined => {
    const target = targetOf(context)
    return target.isSynthetic ? undefined : sheets.of(target)
  }
  return {
    name,
    call(outcome, millis, context, now) {
      const sheet = businessOf(context)
      if (sheet === undefined) return
      sheet.call(outcome, millis, now ?? monotonicMillis(sheet.clock))
    },
    attempt: (context) => businessOf(context)?.attempts.add(1),
    retry: (reason, context) => businessOf(context)?.retries.add(reason),
    rateLimitWait: (context) => businessOf(context)?.waits.add(1),
    tokenRefresh: (outcome, context) => businessOf(context)?.tokens.add(outcome),
    delivery: (outcome, context) => businessOf(context)?.deliveries.add(outcome),
    handled: (millis, context) => businessOf(context)?.handling.add(millis, bucketOf(millis)),
    paused: (paused, context) => sheetOf(context).paused.set(paused === undefined ? undefined : paused ? 1 : 0),
    published: (outcome, context) => businessOf(context)?.published.add(outcome),
    circuits: (circuits, context) => sheetOf(context).circuits.add(circuits),
    opened(circuit, context) {
      const sheet = sheetOf(context)
      sheet.openings.add(1)
      return sheet.circuits.opened(circuit)
    },
    notice: (kind, context) => businessOf(context)?.notices.add(kind),
    saga: (outcome, context) => businessOf(context)?.sagas.add(outcome),
    probe(outcome, millis, context) {
      const sheet = sheetOf(context)
      sheet.probes.add(outcome)
      sheet.probeSuccess.set(outcome === "success" ? 1 : 0)
      sheet.probeDuration.set(millis)
    },
    alert: (outcome, context) => sheetOf(context).alerts.add(outcome)
  }
}
