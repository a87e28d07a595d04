import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { PublishError } from "../../event/BrokerError.ts"
import { monotonicMillis } from "../../internal/monotonic.ts"
import type { Plan } from "./plan.ts"
import type { Outgoing } from "./wire.ts"

/** Where a message goes, and what must be there before. */
export interface Target {
  /** The name of the channel, for errors. */
  readonly channel: string
  readonly exchange: string
  readonly routingKey: string
  readonly plan: Plan
}

/** A message on its way to the broker. */
export class Pending {
  readonly target: Target
  readonly outgoing: Outgoing
  /** In monotonic milliseconds. */
  readonly deadline: number
  readonly resume: (exit: Effect.Effect<void, PublishError>) => void
  /** The session that it was sent on, until its answer; its tag there. */
  session: object | undefined = undefined
  tag = 0
  /** Ever. */
  sent = false
  returned: string | undefined = undefined
  problem: string | undefined = undefined
  suspect = false
  done = false
  inLine = false
  previous: Pending | undefined = undefined
  next: Pending | undefined = undefined
  constructor(
    target: Target,
    outgoing: Outgoing,
    deadline: number,
    resume: (exit: Effect.Effect<void, PublishError>) => void
  ) {
    this.target = target
    this.outgoing = outgoing
    this.deadline = deadline
    this.resume = resume
  }
}

/** How many that have left the line may still be in it. */
const mostGone = 1000

/** First come, first sent. Who leaves before its turn is only skipped. */
export class WaitingLine {
  #items: Array<Pending> = []
  #head = 0
  #gone = 0
  push(pending: Pending): void {
    pending.inLine = true
    this.#items.push(pending)
  }
  first(): Pending | undefined {
    for (; this.#head < this.#items.length; this.#gone--) {
      const next = this.#items[this.#head]!
      if (!next.done) return next
      this.#skip()
    }
    return undefined
  }
  shift(): void {
    this.#items[this.#head]!.inLine = false
    this.#skip()
  }
  unshift(pendings: ReadonlyArray<Pending>): void {
    for (const pending of pendings) pending.inLine = true
    this.#items = [...pendings, ...this.#items.slice(this.#head)]
    this.#head = 0
  }
  /** Somebody in the line is done. */
  left(pending: Pending): void {
    if (!pending.inLine || ++this.#gone < mostGone || this.#gone * 2 < this.#items.length - this.#head) return
    this.#items = this.#items.slice(this.#head).filter((each) => !each.done)
    this.#head = 0
    this.#gone = 0
  }
  #skip(): void {
    this.#head++
    if (this.#head === this.#items.length) this.#items = []
    else if (this.#head < mostGone || this.#head * 2 < this.#items.length) return
    else this.#items = this.#items.slice(this.#head)
    this.#head = 0
  }
}

/** All that is pending, by deadline, and one timer. Most come in the order of their deadlines. */
export class Deadlines {
  #first: Pending | undefined
  #last: Pending | undefined
  #timer: Fiber.Fiber<void> | undefined
  #whenEmpty: Array<() => void> = []
  readonly #clock: Clock.Clock
  readonly #fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  readonly #expire: (due: ReadonlyArray<Pending>) => void
  constructor(
    clock: Clock.Clock,
    fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>,
    expire: (due: ReadonlyArray<Pending>) => void
  ) {
    this.#clock = clock
    this.#fork = fork
    this.#expire = expire
  }
  add(pending: Pending): void {
    let before = this.#last
    while (before !== undefined && before.deadline > pending.deadline) before = before.previous
    const after = before === undefined ? this.#first : before.next
    pending.previous = before
    pending.next = after
    if (before === undefined) this.#first = pending
    else before.next = pending
    if (after === undefined) this.#last = pending
    else after.previous = pending
    if (this.#timer === undefined) this.#arm(pending.deadline)
  }
  remove(pending: Pending): void {
    const { next, previous } = pending
    if (previous === undefined && this.#first !== pending) return
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    pending.previous = pending.next = undefined
    if (this.#first === undefined) for (const tell of this.#whenEmpty.splice(0)) tell()
  }
  all(): ReadonlyArray<Pending> {
    const found: Array<Pending> = []
    for (let each = this.#first; each !== undefined; each = each.next) found.push(each)
    return found
  }
  get emptied(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.#first === undefined) resume(Effect.void)
      else this.#whenEmpty.push(() => resume(Effect.void))
    })
  }
  stop(): void {
    this.#timer?.interruptUnsafe()
  }
  /** It is not stopped when the first one leaves: it then finds nothing to do, which costs less. */
  #arm(at: number): void {
    const wait = Math.max(1, at - monotonicMillis(this.#clock))
    const ring = Effect.sync(() => {
      this.#timer = undefined
      const now = monotonicMillis(this.#clock)
      const due: Array<Pending> = []
      for (let each = this.#first; each !== undefined && each.deadline <= now; each = each.next) due.push(each)
      this.#expire(due)
      if (this.#first !== undefined) this.#arm(this.#first.deadline)
    })
    this.#timer = this.#fork(Effect.andThen(this.#clock.sleep(Duration.millis(wait)), ring))
  }
}
