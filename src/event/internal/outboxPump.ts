import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Span from "../../internal/span.ts"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import type * as Telemetry from "../../Telemetry.ts"
import type * as Broker from "../Broker.ts"
import type { PublishError } from "../BrokerError.ts"
import type * as Channel from "../Channel.ts"
import { InvalidEvent } from "../CloudEvent.ts"
import type { Outbox } from "../Outbox.ts"
import { Backlog, keysWith, type Lane } from "./backlog.ts"
import { BrokerOutage, pauseAfter } from "./brokerOutage.ts"
import { messageOf, recorderOf } from "./building.ts"
import * as Payload from "./cloudEventData.ts"
import * as Structured from "./cloudEventStructured.ts"
import { OutboxRemoval } from "./outboxRemoval.ts"
import * as Report from "./outboxReport.ts"
import { textOf } from "./report.ts"
import type { Lease, OutboxError, Pending, Reason, SetAside } from "./storedEvent.ts"
import { isSynthetic } from "./synthetic.ts"
import * as Tracing from "./tracing.ts"

/** What the pumps of a relay have in common. */
export interface Setup {
  readonly owner: string
  readonly outbox: Outbox["Service"]
  readonly broker: Broker.Broker["Service"]
  readonly context: Context.Context<never>
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly concurrency: number
  readonly maxAttempts: number
  /** Milliseconds. */
  readonly poll: { readonly shortest: number; readonly longest: number }
  readonly onSetAside: (event: SetAside) => Effect.Effect<unknown, unknown>
}

/** Events of a channel that are here at most, that are read at once, and of one key that are enough to read others. */
const most = 1000
const readAtOnce = 250
const enoughOfKey = 16

/** Why an event failed; `undefined` where the broker cannot take any now. */
const reasonOf = (error: unknown): Reason | undefined => {
  if (error instanceof InvalidEvent) return "invalid"
  const reason = (error as { readonly reason?: PublishError["reason"] }).reason
  if (ErrorAction.tagOf(error) !== "PublishError") return "defect"
  return reason === "refused" || reason === "unroutable" ? reason : undefined
}

/** Publishes the stored events of one channel: one of a key at a time, those of many keys at once. */
export class OutboxPump {
  readonly channel: Channel.Any
  readonly removal: OutboxRemoval
  readonly #name: string
  readonly #setup: Setup
  readonly #recorder: Telemetry.Recorder
  readonly #traced: boolean
  readonly #backlog = new Backlog()
  readonly #outage = new BrokerOutage()
  readonly #fibers = new Set<Fiber.Fiber<unknown>>()
  /** Synthetic events. */
  readonly #unrecorded = new WeakSet<Pending>()
  #held = new Map<number, { readonly token: number; readonly until: number }>()
  #changed = Deferred.makeUnsafe<void>()
  #more = false
  /** Keys that had much of what was read last: once they are left out, so that others are seen behind them. */
  #hot: ReadonlyArray<string> = []
  #isClosing = false
  #isDispatching = false
  #confirmed = 0
  /** How often in a row the store could not be read. */
  #unread = 0

  constructor(channel: Channel.Any, setup: Setup) {
    this.channel = channel
    this.#setup = setup
    this.#name = `outbox relay of ${channel.name}`
    this.#recorder = recorderOf(channel)
    this.#traced = Span.isTraced(setup.context)
    this.removal = new OutboxRemoval(this.#name, setup.outbox.remove, (position) =>
      this.#backlog.known.delete(position)
    )
  }

  /** Something may be there to be read. */
  readonly wake = (): void => {
    Deferred.doneUnsafe(this.#changed, Effect.void)
  }

  /** The leases that are held from now on, until a time. What was read under others is forgotten. */
  hold(leases: ReadonlyArray<Lease>, until: number): void {
    const before = this.#held
    this.#held = new Map(leases.map(({ bucket, token }) => [bucket, { token, until }]))
    for (const lane of this.#backlog.lanes.values()) {
      if (this.#held.get(lane.bucket)?.token !== lane.token) this.#backlog.drop(lane)
    }
    if (leases.some(({ bucket, token }) => before.get(bucket)?.token !== token)) this.wake()
  }

  /** Whether nothing of a bucket is under way. */
  isIdle(bucket: number): boolean {
    for (const lane of this.#backlog.lanes.values()) if (lane.bucket === bucket && lane.underWay) return false
    return true
  }

  /** Reads and publishes until interrupted. */
  readonly run: Effect.Effect<never> = Effect.suspend(() => this.#run(this.#read))

  readonly #run = Effect.fnUntraced({ self: this }, function* (read: Effect.Effect<number | undefined>) {
    const { now, poll } = this.#setup
    let idle = poll.shortest
    for (;;) {
      this.#changed = Deferred.makeUnsafe()
      const found = yield* read
      idle = found !== undefined && found > 0 ? poll.shortest : Math.min(idle * 2, poll.longest)
      const awake = this.#backlog.awake(now())
      this.#dispatch()
      const wait = this.#unread > 0 ? pauseAfter(this.#unread) : idle
      const next = Math.min(wait, awake - now(), this.#outage.next - now())
      yield* Effect.timeoutOption(Deferred.await(this.#changed), Math.max(next, 1))
    }
  })

  /** Publishes nothing more, and waits until what is under way has ended and is removed. */
  readonly drain: Effect.Effect<void> = Effect.suspend(() => {
    this.#isClosing = true
    const ended = Effect.forEach(Array.from(this.#fibers), Fiber.await, { discard: true })
    return Effect.andThen(ended, this.removal.settled)
  })

  /** Ends what is under way. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    this.#isClosing = true
    return Fiber.interruptAll(this.#fibers)
  })

  get #hasRoom(): boolean {
    return this.#backlog.size <= most - readAtOnce
  }

  /** Reads what may be published, and gives how much there was; `undefined` where the store is down. */
  readonly #read: Effect.Effect<number | undefined> = Effect.suspend(() => {
    const backlog = this.#backlog
    if (!this.#hasRoom) return Effect.succeed(0)
    this.#more = false
    // During an outage others are read only where there is no probe left but what has failed.
    const isInVain = this.#held.size === 0 || (this.#outage.isOn && backlog.isReady)
    if (this.#isClosing || isInVain) return Effect.succeed(0)
    const query = {
      owner: this.#setup.owner,
      channel: this.channel.name,
      known: Array.from(backlog.known),
      busy: [...backlog.busy(enoughOfKey), ...this.#hot],
      limit: readAtOnce
    }
    const wasHot = this.#hot.length > 0
    backlog.begin()
    return Effect.matchCauseEffect(this.#setup.outbox.pending(query), {
      onSuccess: (events) => {
        backlog.add(events, ({ bucket, token }) => this.#held.get(bucket)?.token === token)
        const isFull = events.length === readAtOnce
        this.#hot = isFull && !wasHot ? keysWith(enoughOfKey, events) : []
        this.#more = isFull || wasHot
        this.#unread = 0
        return Effect.succeed(events.length)
      },
      onFailure: (cause) => {
        backlog.add([], () => false)
        if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
        const logged =
          this.#unread++ === 0 ? Effect.logWarning(`${this.#name}: the outbox cannot be read`, cause) : Effect.void
        return Effect.as(logged, undefined)
      }
    })
  })

  readonly #dispatch = (): void => {
    // A broker that confirms at once ends a publish before the next one begins.
    if (this.#isDispatching) return
    this.#isDispatching = true
    const { concurrency, now } = this.#setup
    while (!this.#isClosing && this.#backlog.underWay < concurrency && this.#outage.admits(now())) {
      const lane = this.#backlog.next()
      if (lane === undefined) break
      const held = this.#held.get(lane.bucket)
      if (held?.token === lane.token && now() < held.until) {
        this.#outage.probe()
        this.#publish(lane, lane.events[0]!)
      } else {
        this.#backlog.putBack(lane)
        this.#backlog.drop(lane)
      }
    }
    this.#isDispatching = false
    if (this.#more && this.#hasRoom) this.wake()
  }

  #publish(lane: Lane, event: Pending): void {
    const sent = Effect.matchCauseEffect(this.#send(event), {
      onSuccess: () => Effect.sync(() => this.#confirm(lane, event)),
      onFailure: (cause) => {
        if (Cause.hasInterruptsOnly(cause)) return Effect.sync(() => this.#giveBack(lane))
        return this.#failed(
          lane,
          event,
          Option.getOrElse(Cause.findErrorOption(cause), () => Cause.squash(cause))
        )
      }
    })
    const fiber = Effect.runForkWith(this.#setup.context)(sent)
    this.#fibers.add(fiber)
    fiber.addObserver(() => {
      this.#fibers.delete(fiber)
      this.#dispatch()
    })
  }

  #send(event: Pending): Effect.Effect<void, PublishError | InvalidEvent> {
    const { broker } = this.#setup
    return Effect.suspend(() => {
      const read = Structured.read(Payload.writeUtf8(event.event))
      if (read instanceof InvalidEvent) return Effect.fail(read)
      if (isSynthetic(read)) this.#unrecorded.add(event)
      const message = messageOf(this.channel, read, event.key, broker.binding)
      const sent = Effect.flatMap(message, (message) => broker.publish(this.channel, message))
      return this.#traced ? Tracing.relayed(broker, this.channel, read, sent) : sent
    })
  }

  #confirm(lane: Lane, event: Pending): void {
    this.#confirmed++
    if (!this.#unrecorded.has(event)) this.#recorder.published("confirmed", this.#setup.context)
    this.removal.add(event.position)
    this.#backlog.done(lane)
    this.#endOutage()
  }

  #giveBack(lane: Lane): void {
    this.#outage.giveBack()
    this.#backlog.putBack(lane)
  }

  #endOutage(): void {
    if (!this.#outage.end()) return
    Effect.runForkWith(this.#setup.context)(Effect.logInfo(`${this.#name}: the outage is over`))
  }

  /**
   * What the broker cannot take now is nobody's fault: the channel pauses, and no attempt is spent. An event that fails
   * while others succeed does not hold them up.
   */
  readonly #failed = Effect.fnUntraced({ self: this }, function* (lane: Lane, event: Pending, error: unknown) {
    const { context, now } = this.#setup
    const reason = reasonOf(error)
    const isAlone = lane.failures > 0 && this.#confirmed > lane.confirmedBefore
    lane.failures++
    lane.confirmedBefore = this.#confirmed
    if (!this.#unrecorded.has(event)) {
      this.#recorder.published((error as Partial<PublishError>).reason ?? reason ?? "failed", context)
    }
    if (reason !== undefined && (reason !== "refused" || isAlone)) return yield* this.#count(lane, event, reason, error)
    let until = now() + pauseAfter(lane.failures)
    if (reason === undefined && !isAlone) {
      const isNew = this.#outage.begin(now())
      until = this.#outage.until
      if (isNew) yield* Report.outage(this.#name, this.channel.name, error)
    } else this.#outage.giveBack()
    this.#backlog.postpone(lane, until)
    this.wake()
  })

  /** An attempt that the event has spent. */
  readonly #count = Effect.fnUntraced(
    { self: this },
    function* (lane: Lane, event: Pending, reason: Reason, error: unknown) {
      const { maxAttempts, now, onSetAside, outbox, owner } = this.#setup
      const attempt = event.attempts + 1
      const text = textOf(error)
      const { ordering } = this.channel
      const halts = ordering._tag === "Strict" && ordering.exhausted === "halt"
      const isLast = reason === "invalid" || attempt >= maxAttempts
      this.#endOutage()
      const told: Effect.Effect<unknown, OutboxError> = isLast
        ? Effect.tap(outbox.putAside(owner, event, { reason, error: text, halts }), (put) =>
            Option.isSome(put) ? Report.setAside(this.#name, put.value, error, onSetAside) : Effect.void
          )
        : Effect.tap(outbox.attempted(owner, event, text), () =>
            Report.attempt(this.#name, event, { attempt, maxAttempts, text, millis: pauseAfter(lane.failures) })
          )
      const kept = yield* Effect.exit(told)
      if (kept._tag === "Failure") {
        yield* Effect.logWarning(`${this.#name}: a failed attempt could not be counted`, kept.cause)
      }
      if (isLast && kept._tag === "Success") {
        this.#backlog.done(lane)
        this.#backlog.known.delete(event.position)
        if (halts) this.#backlog.drop(lane)
      } else {
        if (kept._tag === "Success") lane.events[0] = { ...event, attempts: attempt }
        this.#backlog.postpone(lane, now() + pauseAfter(lane.failures))
      }
      this.wake()
    }
  )
}
