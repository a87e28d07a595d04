import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

interface Waiter<A, B, E> {
  readonly request: A
  readonly resume: (exit: Exit.Exit<B, E>) => void
}

/** Smaller ones are not worth a round trip of their own. */
const leastRows = 128

interface Entry<A, B, E> {
  readonly row: string
  readonly request: A
  readonly waiters: Array<Waiter<A, B, E>>
}

export interface Options<A, B, E, F = E> {
  /** The row that a request is about. A batch touches each row once, in the order of these texts. */
  readonly row: (request: A) => string
  /** Whether a request can have its answer from that of an equal one that still waits. */
  readonly isSame: (one: A, two: A) => boolean
  /** The answer of the others, where one request has got this one. */
  readonly follow: (answer: B, request: A) => B
  /** One answer for each request, in their order. */
  readonly run: (requests: ReadonlyArray<A>) => Effect.Effect<ReadonlyArray<B>, E>
  /** Whether the failure may be of one request only, so that smaller batches can succeed. */
  readonly isDivisible: (error: E) => boolean
  /** An answer that nobody waits for any longer. */
  readonly abandoned: (request: A, answer: B) => void
  /** The failure as whoever asked has it. */
  readonly failed: (error: E) => F
  readonly closed: () => F
  readonly maxRows: number
  readonly maxBatches: number
}

/**
 * Sends the requests of many fibers together: what arrives while `maxBatches` are under way goes with the next. Without
 * load a request is sent at once. Many that arrive at once are shared by as many batches as may be under way, so that
 * the database is at work on one while the answers of another are dealt out.
 *
 * A batch runs on a fiber of its own, so it is outside of its callers' transactions, and goes on when one of them is
 * interrupted.
 */
export const make = Effect.fnUntraced(function* <A, B, E, F = E>(
  options: Options<A, B, E, F>
): Effect.fn.Return<(request: A) => Effect.Effect<B, F>, never, Scope.Scope> {
  type Queued = Entry<A, B, F>
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const fibers = new Set<Fiber.Fiber<void>>()
  let queue: Array<Queued> = []
  const queued = new Map<string, Queued>()
  let underWay = 0
  let closed = false

  const settle = (entry: Queued, exit: Exit.Exit<B, F>): void => {
    const [first, ...others] = entry.waiters.splice(0)
    if (first === undefined) {
      if (Exit.isSuccess(exit)) options.abandoned(entry.request, exit.value)
      return
    }
    first.resume(exit)
    for (const other of others) other.resume(Exit.map(exit, (answer) => options.follow(answer, other.request)))
  }

  const take = (): ReadonlyArray<Queued> => {
    const share = Math.max(leastRows, Math.ceil(queue.length / (options.maxBatches - underWay)))
    const most = Math.min(options.maxRows, share)
    const batch = new Map<string, Queued>()
    const rest: Array<Queued> = []
    for (const entry of queue) {
      if (entry.waiters.length === 0) {
        if (queued.get(entry.row) === entry) queued.delete(entry.row)
      } else if (batch.size >= most || batch.has(entry.row)) rest.push(entry)
      else {
        batch.set(entry.row, entry)
        if (queued.get(entry.row) === entry) queued.delete(entry.row)
      }
    }
    queue = rest
    return Array.from(batch.values()).toSorted((a, b) => (a.row < b.row ? -1 : a.row > b.row ? 1 : 0))
  }

  const serve = (batch: ReadonlyArray<Queued>): Effect.Effect<void> =>
    Effect.suspend(() => options.run(batch.map((entry) => entry.request))).pipe(
      Effect.matchCauseEffect({
        onSuccess: (answers) =>
          Effect.sync(() => batch.forEach((entry, index) => settle(entry, Exit.succeed(answers[index]!)))),
        onFailure: (cause) => {
          const divisible = cause.reasons.every((reason) => reason._tag === "Fail" && options.isDivisible(reason.error))
          if (divisible && batch.length > 1) {
            const half = batch.length >> 1
            return Effect.andThen(serve(batch.slice(0, half)), serve(batch.slice(half)))
          }
          const failed = Exit.failCause(Cause.map(cause, options.failed))
          return Effect.sync(() => batch.forEach((entry) => settle(entry, failed)))
        }
      })
    )

  const work: Effect.Effect<void> = Effect.suspend(() => {
    const batch = take()
    if (batch.length === 0) return Effect.void
    const fail = () => batch.forEach((entry) => settle(entry, Exit.fail(options.closed())))
    underWay++
    return Effect.andThen(
      Effect.onExit(serve(batch), (exit) =>
        Effect.sync(() => {
          underWay--
          if (Exit.hasInterrupts(exit)) fail()
        })
      ),
      work
    )
  })

  const start = (): void => {
    // Fibers that run in this turn of the scheduler join the first batch.
    const fiber = fork(Effect.andThen(Effect.yieldNow, work))
    fibers.add(fiber)
    fiber.addObserver(() => {
      fibers.delete(fiber)
      if (queue.length > 0 && !closed) start()
    })
  }

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closed = true
      const waiting = queue
      queue = []
      return Effect.andThen(
        Fiber.interruptAll(fibers),
        Effect.sync(() => waiting.forEach((entry) => settle(entry, Exit.fail(options.closed()))))
      )
    })
  )

  return (request) =>
    Effect.callback<B, F>((resume) => {
      if (closed) return resume(Effect.fail(options.closed()))
      const row = options.row(request)
      const waiter: Waiter<A, B, F> = { request, resume }
      let entry = queued.get(row)
      if (entry === undefined || entry.waiters.length === 0 || !options.isSame(entry.request, request)) {
        entry = { row, request, waiters: [] }
        queued.set(row, entry)
        queue.push(entry)
      }
      const { waiters } = entry
      waiters.push(waiter)
      if (fibers.size < options.maxBatches) start()
      return Effect.sync(() => {
        const at = waiters.indexOf(waiter)
        if (at >= 0) waiters.splice(at, 1)
      })
    })
})
