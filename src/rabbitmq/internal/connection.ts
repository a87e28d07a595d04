import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as link from "./link.ts"
import type { Settings } from "./settings.ts"

/** Full jitter: anything from nothing to the exponential delay, so that clients do not come back together. */
export const backoff = (settings: Settings, attempt: number): Effect.Effect<number> =>
  Effect.map(
    Random.next,
    (random) => random * Math.min(settings.backoff.cap, settings.backoff.base * 2 ** Math.min(attempt, 30))
  )

/** A connection that lasts at least so long makes the next backoff begin from the start. */
const stable = 10_000

export type State =
  | { readonly _tag: "Connected"; readonly epoch: number }
  | { readonly _tag: "Blocked"; readonly epoch: number; readonly reason: string }
  | { readonly _tag: "Connecting"; readonly attempt: number; readonly nextIn: number; readonly problem: string }

/** A connection that comes back for ever. */
export class Connection {
  readonly #listeners = new Set<() => void>()
  readonly role: string
  link: link.Link | undefined
  state: State = { _tag: "Connecting", attempt: 0, nextIn: 0, problem: "not connected yet" }
  constructor(role: string) {
    this.role = role
  }
  /** Tells of each change; at once, and in the midst of it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
  become(state: State, next: link.Link | undefined): void {
    this.state = state
    this.link = next
    for (const listener of Array.from(this.#listeners)) listener()
  }
  /** The link, now or as soon as there is one. */
  get connected(): Effect.Effect<link.Link> {
    return Effect.suspend(() => {
      if (this.link !== undefined) return Effect.succeed(this.link)
      return Effect.callback<link.Link>((resume) => {
        const stop = this.onChange(() => {
          if (this.link === undefined) return
          stop()
          resume(Effect.succeed(this.link))
        })
        return Effect.sync(stop)
      })
    })
  }
  get problem(): string | undefined {
    const { state } = this
    if (state._tag === "Connected") return undefined
    return state._tag === "Blocked" ? `the broker blocks publishers: ${state.reason}` : state.problem
  }
}

/** Connects, and connects again, until the scope closes. `failed` is told of each attempt that failed. */
export const make = Effect.fnUntraced(function* (
  settings: Settings,
  role: string,
  failed: (problem: string) => void
): Effect.fn.Return<Connection, never, Scope.Scope> {
  const self = new Connection(role)
  const clock = yield* Clock.Clock
  const annotate = Effect.annotateLogs({ broker: settings.endpoint, connection: role })
  const log = Effect.runForkWith(yield* Effect.context<never>())
  let epoch = 0
  let attempt = 0
  let announced = false
  let current: link.Opened | undefined

  const connect = Effect.gen(function* () {
    const over = Deferred.makeUnsafe<string>()
    const opened = yield* link.open(settings, role, {
      opened: (opened) => {
        current = opened
      },
      blocked: (reason) => {
        const now = self.link
        if (now === undefined) return
        now.blocked = reason
        const state: State =
          reason === undefined ? { _tag: "Connected", epoch: now.epoch } : { _tag: "Blocked", epoch: now.epoch, reason }
        log(annotate(reason === undefined ? Effect.logInfo("unblocked") : Effect.logWarning(`blocked: ${reason}`)))
        self.become(state, now)
      },
      closed: (reason) => {
        if (self.link?.epoch === epoch) {
          self.become({ _tag: "Connecting", attempt: 0, nextIn: 0, problem: reason }, undefined)
        }
        Deferred.doneUnsafe(over, Effect.succeed(reason))
      }
    })
    epoch++
    const since = monotonicMillis(clock)
    if (announced) yield* annotate(Effect.logInfo("connected to RabbitMQ again"))
    announced = false
    const { blocked, fault, model } = opened
    const next: link.Link = { epoch, model, blocked, fault }
    // It may have been lost while it was announced.
    if (Deferred.isDoneUnsafe(over)) return yield* Deferred.await(over)
    self.become(
      blocked === undefined ? { _tag: "Connected", epoch } : { _tag: "Blocked", epoch, reason: blocked },
      next
    )
    const reason = yield* Deferred.await(over)
    current = undefined
    if (monotonicMillis(clock) - since >= stable) attempt = 0
    return reason
  })

  const run = Effect.gen(function* () {
    while (true) {
      const problem = yield* Effect.catch(connect, (problem) =>
        Effect.sync(() => {
          failed(problem)
          return problem
        })
      )
      const nextIn = yield* backoff(settings, attempt++)
      self.become({ _tag: "Connecting", attempt, nextIn, problem }, undefined)
      if (!announced) yield* annotate(Effect.logWarning(`no connection to RabbitMQ: ${problem}`))
      announced = true
      yield* Effect.sleep(nextIn)
    }
  })

  yield* Effect.addFinalizer(() => {
    const opened = current
    self.become({ _tag: "Connecting", attempt: 0, nextIn: 0, problem: "closed" }, undefined)
    return opened === undefined ? Effect.void : link.close(opened)
  })
  yield* Effect.forkScoped(run)
  return self
})
