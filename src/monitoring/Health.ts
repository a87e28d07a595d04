/**
 * How a running integration does: whether its process lives, and whether it is ready to do its work (section 7).
 * `HealthRoute` tells it over HTTP, `integration health <url>` on the command line.
 *
 * **Details**
 *
 * It asks what is there: the circuits, consumers and probes of this process, and of the services that the layer is given
 * the `Broker`, `DedupStore`, `Parking`, `SagaStore` and `Outbox`. Other things are added with `HealthCheck`.
 *
 * What makes an integration *not ready*, since its process cannot do its work:
 *
 * - `broker:connection`: there is no connection.
 * - `{consumer}:subscription`: fewer consumers are there than wanted, whatever the connection says.
 * - `{consumer}:consumer`: one is not subscribed yet, or does not run though it is among `consumers`.
 * - `{store}:responseTime`: a store does not answer.
 * - a check of yours whose severity is `fail`.
 *
 * What only *warns*: the process does its work, and somebody should look.
 *
 * - `{contract}:circuit`: it is open. Calls fail fast, as was wanted, and no other process would be better off.
 * - `{consumer}:consumer`: it is paused by an operator, or by an outage, which ends by itself.
 * - `{channel}:outboxAge`: events wait for longer than the design allows, for no relay, or for an operator.
 * - `{probe}:probe`: the last synthetic probe has failed.
 *
 * *Alive* is a process that answers. Nothing outside of it makes it dead, since to restart it would mend nothing: an open
 * circuit, a broker or a database that is down are all the same to the next process. Only checks of yours that are about
 * `live` can say that it is dead.
 *
 * Each question has a time limit (2 seconds), so that one that hangs or dies is an entry of the report and no more. An
 * answer is kept for a second, and who asks at the same time shares one question: a load balancer that probes cannot
 * hammer the stores.
 *
 * **Gotchas**
 *
 * - The layer cannot ask a service that it was not given: provide it what the consumers get. A consumer of this process
 *   whose `Broker` or stores are not asked is told of (`health:coverage`).
 * - Of an HTTP service that many processes share, mind what is shared by all: where the database is down, all of them are
 *   not ready, and the load balancer answers in their place. `warnOnly: ["stores"]` leaves the answer to them.
 *
 * **Example** (What a load balancer asks)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import type { Integration } from "effect-integration"
 * import { DedupStore, MemoryBroker } from "effect-integration/event"
 * import { Health, HealthRoute } from "effect-integration/monitoring"
 *
 * declare const design: Integration.Integration
 *
 * const HealthLive = Health.layer(design).pipe(Layer.provide([MemoryBroker.layer, DedupStore.layerMemory]))
 *
 * // GET /health/live and GET /health/ready
 * export const Server = HttpRouter.serve(HealthRoute.layer()).pipe(Layer.provide(HealthLive))
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Integration from "../Integration.ts"
import * as Option from "../internal/option.ts"
import type * as HealthCheck from "./HealthCheck.ts"
import { type Entry, type Report, worst } from "./HealthReport.ts"
import { type Part, parts } from "./internal/healthAsked.ts"
import * as Sources from "./internal/healthSources.ts"
import { shown } from "./internal/healthText.ts"
import { type Entries, type Source, Watch } from "./internal/healthWatch.ts"

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class Health extends Context.Service<
  Health,
  {
    /** Whether the process lives. */
    readonly live: Effect.Effect<Report>
    /** Whether it does its work. */
    readonly ready: Effect.Effect<Report>
    /** Adds a check for as long as the scope is open. */
    readonly add: <E, R>(
      check: HealthCheck.HealthCheck<E, R>
    ) => Effect.Effect<void, never, Exclude<R, Scope.Scope> | Scope.Scope>
    /** How long an answer is kept. */
    readonly cache: Duration.Duration
  }
>()("effect-integration/monitoring/Health") {}

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Consumers that are to run in this process. Without, those that run are looked at, and none is missed. */
  readonly consumers?: ReadonlyArray<{ readonly name: string }>
  /** What warns, where it would make the integration not ready. Default: nothing. */
  readonly warnOnly?: ReadonlyArray<Part>
  /** How long one question may take. Default: 2 seconds. */
  readonly timeout?: Duration.Input
  /** How long an answer is kept. Default: 1 second. */
  readonly cache?: Duration.Input
  /** Of this deployment, for example a commit. */
  readonly releaseId?: string
}

const where = "Health.layer"

/**
 * The health of the integration of this process.
 *
 * **Details**
 *
 * It needs nothing, and asks what it is given. Throws `InvalidOption` for options that make no sense.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (design: Integration.Integration, options: Options = {}): Layer.Layer<Health> => {
  const timeout = Duration.millis(Option.millis(where, "timeout", options.timeout ?? "2 seconds"))
  const cache = Duration.millis(Option.millisOrZero(where, "cache", options.cache ?? "1 second"))
  const warnOnly = options.warnOnly ?? []
  for (const part of warnOnly) Option.word(where, "warnOnly", part, parts)
  const consumers = (options.consumers ?? []).map(({ name }) => name)
  const about = {
    description: `health of ${design.name}`,
    ...(design.version === undefined ? undefined : { version: design.version }),
    ...(options.releaseId === undefined ? undefined : { releaseId: options.releaseId })
  }

  const make = Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const clock = yield* Clock.Clock
    const watches = new Set<Watch>()
    let isClosing = false
    const begin = (source: Source): Watch => {
      const watch = new Watch(source, context, clock, cache)
      watches.add(watch)
      return watch
    }
    const end = (watch: Watch) => {
      watches.delete(watch)
      watch.stop()
    }
    const sources = Sources.of(design, context, { timeout, consumers, warnOnly })
    for (const source of sources) begin(source)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        isClosing = true
        for (const watch of watches) end(watch)
      })
    )
    yield* Effect.logDebug(`health of ${design.name}: asks ${sources.map(({ name }) => name).join(", ")}`)

    const report = (subject: "live" | "ready") =>
      Effect.suspend(() => {
        if (isClosing) return Effect.succeed<Report>({ ...about, status: "fail", output: "it is ending", checks: {} })
        const asked = Array.from(watches).filter(({ source }) => source.about.includes(subject))
        const answers = Effect.forEach(asked, (watch) => watch.ask, { concurrency: "unbounded" })
        return Effect.map(answers, (all) => reportOf(about, all.flat()))
      })

    return Health.of({
      live: report("live"),
      ready: report("ready"),
      cache,
      add: (check) =>
        Effect.flatMap(Effect.context(), (given) =>
          Effect.asVoid(
            Effect.acquireRelease(
              Effect.sync(() => begin(sourceOf(check, given as Context.Context<any>, timeout))),
              (watch) => Effect.sync(() => end(watch))
            )
          )
        ) as Effect.Effect<void, never, any>
    })
  })
  return Layer.effect(Health, make)
}

const sourceOf = (
  { about, name, run, severity, timeout, type }: HealthCheck.HealthCheck<unknown, any>,
  context: Context.Context<any>,
  longest: Duration.Duration
): Source => ({
  name,
  type,
  about,
  severity,
  timeout: timeout ?? longest,
  observe: Effect.scoped(run).pipe(
    Effect.map((seen) => [{ status: "pass", ...(seen ?? undefined), key: name, type } as const]),
    Effect.provideContext(context)
  )
})

const reportOf = (about: Pick<Report, "description" | "version" | "releaseId">, entries: Entries): Report => {
  const checks: Record<string, Array<Entry>> = {}
  for (const [key, entry] of entries.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    checks[key] = [...(checks[key] ?? []), entry]
  }
  const status = worst(entries.map(([, entry]) => entry.status ?? "pass"))
  if (status === "pass") return { ...about, status, checks }
  const culprits = Object.entries(checks).filter(([, each]) => each.some((entry) => entry.status === status))
  return { ...about, status, output: shown(culprits.map(([key]) => key).join(", ")), checks }
}

/** Adds a check for as long as the scope is open. @category combinators @since 0.1.0 */
export const add = <E, R>(
  check: HealthCheck.HealthCheck<E, R>
): Effect.Effect<void, never, Exclude<R, Scope.Scope> | Scope.Scope | Health> =>
  Effect.flatMap(Health, (health) => health.add(check))

/** Adds a check for as long as the layer is there. @category layers @since 0.1.0 */
export const layerCheck = <E, R>(
  check: HealthCheck.HealthCheck<E, R>
): Layer.Layer<never, never, Exclude<R, Scope.Scope> | Health> => Layer.effectDiscard(add(check)) as any

/** Whether the process lives. @category getters @since 0.1.0 */
export const live: Effect.Effect<Report, never, Health> = Health.use((health) => health.live)

/** Whether it does its work. @category getters @since 0.1.0 */
export const ready: Effect.Effect<Report, never, Health> = Health.use((health) => health.ready)
