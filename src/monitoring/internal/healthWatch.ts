import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as Secrets from "../../internal/secrets.ts"
import type * as HealthCheck from "../HealthCheck.ts"
import type { Entry, Status } from "../HealthReport.ts"
import { shown } from "./healthText.ts"

/** What was seen of one instance of a component. */
export interface Seen extends HealthCheck.Observation {
  readonly key: string
  readonly type: HealthCheck.HealthCheck["type"]
}

/** Something that is asked, and may tell of many components. */
export interface Source {
  /** The key where it tells nothing, because it has failed. */
  readonly name: string
  readonly type: HealthCheck.HealthCheck["type"]
  readonly about: HealthCheck.HealthCheck["about"]
  readonly severity: "warn" | "fail"
  readonly timeout: Duration.Duration
  readonly observe: Effect.Effect<ReadonlyArray<Seen>, unknown>
}

export type Entries = ReadonlyArray<readonly [key: string, entry: Entry]>

/**
 * Asks a source: at most once in a while, once at a time, and for no longer than it may take. Who asks meanwhile gets the
 * same answer, and none of them can take the question away from the others by leaving.
 */
export class Watch {
  readonly source: Source
  readonly #context: Context.Context<never>
  readonly #clock: Clock.Clock
  readonly #cacheMillis: number
  #known: { readonly entries: Entries; readonly at: number } | undefined
  #asking: { readonly answer: Deferred.Deferred<Entries>; readonly fiber: Fiber.Fiber<unknown> } | undefined
  /** The question under way. It outlives its answer where it cannot be interrupted. */
  #running: Fiber.Fiber<ReadonlyArray<Seen>, unknown> | undefined
  constructor(source: Source, context: Context.Context<never>, clock: Clock.Clock, cache: Duration.Duration) {
    this.source = source
    this.#context = context
    this.#clock = clock
    this.#cacheMillis = Duration.toMillis(cache)
  }

  get ask(): Effect.Effect<Entries> {
    return Effect.suspend(() => {
      const known = this.#known
      if (known !== undefined && monotonicMillis(this.#clock) - known.at < this.#cacheMillis) {
        return Effect.succeed(known.entries)
      }
      if (this.#asking === undefined) {
        const answer = Deferred.makeUnsafe<Entries>()
        const fiber = Effect.runForkWith(this.#context)(
          Effect.onExit(this.#answer, (exit) =>
            Effect.sync(() => {
              this.#asking = undefined
              const entries = Exit.isSuccess(exit) ? exit.value : this.#failed("could not be asked")
              this.#known = { entries, at: monotonicMillis(this.#clock) }
              Deferred.doneUnsafe(answer, Effect.succeed(entries))
            })
          )
        )
        // What needs no waiting has been answered by now.
        if (this.#known !== known && this.#known !== undefined) return Effect.succeed(this.#known.entries)
        this.#asking = { answer, fiber }
      }
      return Deferred.await(this.#asking.answer)
    })
  }

  /** Ends what is under way, and waits for nothing: what hangs would keep the process from ending. */
  stop(): void {
    this.#running?.interruptUnsafe()
    this.#asking?.fiber.interruptUnsafe()
  }

  get #answer(): Effect.Effect<Entries> {
    const { observe, timeout } = this.source
    return Effect.gen({ self: this }, function* () {
      const late = `has not answered within ${Duration.format(timeout)}`
      if (this.#running !== undefined) return this.#failed(late)
      const running = Effect.runForkWith(this.#context)(observe)
      this.#running = running
      running.addObserver(() => {
        this.#running = undefined
      })
      const exit = yield* Effect.timeoutOption(Fiber.await(running), timeout)
      if (Option.isNone(exit)) {
        running.interruptUnsafe()
        return this.#failed(late)
      }
      if (Exit.isFailure(exit.value)) {
        yield* Effect.logDebug(`health: ${this.source.name} could not be asked`, Secrets.ofCause(exit.value.cause))
        return this.#failed(reasonOf(exit.value.cause))
      }
      const time = yield* DateTime.now
      return exit.value.value.map((seen) => [seen.key, this.#entryOf(seen, time)] as const)
    })
  }

  #failed(output: string): Entries {
    const { name, type } = this.source
    const time = DateTime.makeUnsafe(this.#clock.currentTimeMillisUnsafe())
    return [[name, this.#entryOf({ key: name, type, status: "fail", output }, time)]]
  }

  #entryOf(seen: Seen, now: DateTime.Utc): Entry {
    const { id, output, time = now, type, unit, value } = seen
    const status: Status = seen.status === "fail" ? this.source.severity : seen.status
    return {
      ...(id === undefined ? undefined : { componentId: shown(id) }),
      componentType: type,
      ...(value === undefined ? undefined : { observedValue: typeof value === "string" ? shown(value) : value }),
      ...(unit === undefined ? undefined : { observedUnit: unit }),
      status,
      time: DateTime.formatIso(time),
      ...(output === undefined || status === "pass" ? undefined : { output: shown(output) })
    }
  }
}

/** Nobody knows what is in the error of somebody else, except its tag. */
const reasonOf = (cause: Cause.Cause<unknown>): string => {
  if (Cause.hasInterruptsOnly(cause)) return "was interrupted"
  const failure = cause.reasons.find(Cause.isFailReason)
  if (failure === undefined) return "died"
  const { error } = failure
  if (Predicate.hasProperty(error, "_tag") && typeof error._tag === "string") return `failed: ${error._tag}`
  return Predicate.isError(error) ? `failed: ${error.name}` : "failed"
}
