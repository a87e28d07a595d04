import type * as amqp from "amqplib/callback_api"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { monotonicMillis } from "../../internal/monotonic.ts"
import { type BrokerError, PublishError } from "../../event/BrokerError.ts"
import type { Connection } from "./connection.ts"
import * as link from "./link.ts"
import { Deadlines, Pending, type Target, WaitingLine } from "./pending.ts"
import type { Settings } from "./settings.ts"
import { HeaderTables, type Outgoing, tagHeader } from "./wire.ts"

/** Between two attempts at what the broker refused without a word about the message. */
const pause = 200

/** A confirm channel of one connection. Its tags mean nothing to another. */
interface Session {
  readonly link: link.Link
  readonly channel: amqp.ConfirmChannel
  /** By delivery tag, in the order in which they were sent. */
  readonly inFlight: Map<number, Pending>
  tag: number
  open: boolean
  /** Whether the write buffer waits to be drained. */
  full: boolean
}

/**
 * Publishes with confirms: bounded in flight, in the order of the calls, again after a lost channel or connection.
 *
 * What becomes of a message: it waits in line; it is sent on the current session, under the next delivery tag; it is
 * confirmed, returned or refused under this tag. Where the session ends before, it goes to the head of the line. Whatever
 * happens, its deadline ends it.
 */
export class Publisher {
  readonly #connection: Connection
  readonly #settings: Settings
  readonly #clock: Clock.Clock
  readonly #fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  readonly #headers = new HeaderTables()
  readonly #line = new WaitingLine()
  readonly #deadlines: Deadlines
  #session: Session | undefined
  #opening: link.Link | undefined
  #slots = 0
  /** One of several that were lost when the broker closed a channel: it is sent alone, to see whether it is the cause. */
  #suspect: Pending | undefined
  #pumping = false
  #closing = false

  constructor(connection: Connection, settings: Settings, clock: Clock.Clock, context: Context.Context<never>) {
    this.#connection = connection
    this.#settings = settings
    this.#clock = clock
    this.#fork = Effect.runForkWith(context)
    this.#deadlines = new Deadlines(clock, this.#fork, (due) => this.#expireAll(due))
    connection.onChange(() => this.#reconcile())
    this.#reconcile()
  }

  publish(target: Target, make: () => Outgoing): Effect.Effect<void, PublishError> {
    return Effect.callback<void, PublishError>((resume) => {
      const deadline = monotonicMillis(this.#clock) + this.#settings.publishTimeout
      let outgoing: Outgoing
      // Here and in #send try, not Effect.try: every message comes by.
      try {
        outgoing = make()
      } catch (error) {
        return resume(
          Effect.fail(new PublishError({ reason: "refused", channel: target.channel, description: `${error}` }))
        )
      }
      const pending = new Pending(target, outgoing, deadline, resume)
      if (this.#closing) return this.#fail(pending, "unavailable", "the broker is being closed")
      this.#deadlines.add(pending)
      this.#line.push(pending)
      this.#pump()
      return Effect.sync(() => this.#leave(pending))
    })
  }

  /** Takes no more, waits a while for the confirms, and fails what is left. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#closing = true
      const grace = Math.min(this.#settings.publishTimeout, 5000)
      return Effect.andThen(
        Effect.timeoutOption(this.#deadlines.emptied, grace),
        Effect.sync(() => {
          this.#expireAll(this.#deadlines.all(), "the broker is being closed")
          this.#deadlines.stop()
        })
      )
    })
  }

  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    for (let next = this.#line.first(); next !== undefined; next = this.#line.first()) {
      const session = this.#session
      if (session === undefined || session.full || session.link.blocked !== undefined) break
      if (this.#slots >= this.#settings.maxInFlight || this.#suspect !== undefined) break
      if (next.suspect && this.#slots > 0) break
      this.#line.shift()
      if (next.target.plan.ready()) this.#send(session, next)
      else this.#prepare(next)
    }
    this.#pumping = false
  }

  #send(session: Session, pending: Pending): void {
    const { outgoing, target } = pending
    const tag = session.tag + 1
    const { body, options } = outgoing
    options.headers[tagHeader] = tag
    try {
      const room = session.channel.publish(
        target.exchange,
        target.routingKey,
        body,
        { ...options, headers: this.#headers.of(options.headers) },
        (error: Error | null) => this.#confirmed(session, tag, error)
      )
      session.full = !room
    } catch (error) {
      // The library could not write it down: a header of 300 characters, a priority of 1000.
      return this.#fail(pending, "refused", this.#settings.scrub(String(error)))
    }
    session.tag = tag
    session.inFlight.set(tag, pending)
    pending.session = session
    pending.tag = tag
    pending.sent = true
    this.#slots++
    if (pending.suspect) this.#suspect = pending
  }

  #confirmed(session: Session, tag: number, error: Error | null): void {
    const pending = session.inFlight.get(tag)
    // Interrupted, expired, or taken back because the channel was lost.
    if (pending === undefined) return
    if (error !== null) this.#fail(pending, "refused", "the broker did not accept it (basic.nack)")
    else if (pending.returned !== undefined) {
      pending.target.plan.forget()
      this.#fail(pending, "unroutable", pending.returned)
    } else this.#end(pending, Effect.void)
    this.#pump()
  }

  /** The end of a message, whatever it is. */
  #end(pending: Pending, exit: Effect.Effect<void, PublishError>): void {
    this.#leave(pending)
    pending.resume(exit)
  }
  #fail(pending: Pending, reason: PublishError["reason"], description: string): void {
    const { messageId } = pending.outgoing.options
    const id = messageId === undefined ? {} : { messageId }
    this.#end(pending, Effect.fail(new PublishError({ reason, channel: pending.target.channel, description, ...id })))
  }
  #leave(pending: Pending): void {
    if (pending.done) return
    pending.done = true
    this.#detach(pending)
    this.#line.left(pending)
    this.#deadlines.remove(pending)
    if (this.#line.first() !== undefined && !this.#pumping) this.#pump()
  }
  #detach(pending: Pending): void {
    const session = pending.session as Session | undefined
    if (session === undefined) return
    session.inFlight.delete(pending.tag)
    pending.session = undefined
    this.#slots--
    if (this.#suspect === pending) this.#suspect = undefined
  }
  /** The place of one is not given to another whose time has come as well. */
  #expireAll(due: ReadonlyArray<Pending>, why = `after ${this.#settings.publishTimeout} ms`): void {
    this.#pumping = true
    for (const pending of due) if (!pending.done) this.#expire(pending, why)
    this.#pumping = false
    this.#pump()
  }
  #expire(pending: Pending, why: string): void {
    if (pending.sent) return this.#fail(pending, "unknown", `${why}: it was sent, and there is no answer`)
    this.#fail(pending, "unavailable", `${why}: ${this.#connection.problem ?? pending.problem ?? "still waiting"}`)
  }

  #prepare(pending: Pending): void {
    const { ensure } = pending.target.plan
    this.#fork(ensure).addObserver((exit: Exit.Exit<void, BrokerError>) => {
      if (pending.done) return
      const failed = exit._tag === "Failure" ? exit.cause.reasons.find((reason) => reason._tag === "Fail") : undefined
      if (failed === undefined) return this.#again([pending])
      if (failed.error._tag === "TopologyMismatch") return this.#fail(pending, "topology", failed.error.message)
      pending.problem = failed.error.description
      this.#fork(Effect.sleep(pause)).addObserver(() => this.#again([pending]))
    })
  }
  #again(pendings: ReadonlyArray<Pending>): void {
    this.#line.unshift(pendings.filter((pending) => !pending.done))
    this.#pump()
  }

  /** Sees to it that there is a session where there is a link. */
  #reconcile(): void {
    const current = this.#connection.link
    if (current === undefined || this.#closing) return
    if (this.#session?.link === current) return this.#pump()
    if (this.#opening === current) return
    this.#opening = current
    let session: Session | undefined
    let closedEarly = false
    const events = {
      closed: (failure: link.Failure | undefined) => {
        if (session === undefined) closedEarly = true
        else this.#lost(session, failure)
      }
    }
    this.#fork(link.openConfirmChannel(current, events)).addObserver((exit) => {
      if (this.#opening === current) this.#opening = undefined
      if (exit._tag === "Failure" || closedEarly) {
        this.#fork(Effect.sleep(pause)).addObserver(() => this.#reconcile())
        return
      }
      session = { link: current, channel: exit.value, inFlight: new Map(), tag: 0, open: true, full: false }
      this.#attach(session)
    })
  }
  #attach(session: Session): void {
    this.#session = session
    const { channel } = session
    channel.on("drain", () => {
      session.full = false
      this.#pump()
    })
    // It comes before the confirm of the same message.
    channel.on("return", (message) => {
      const tag: unknown = message.properties.headers?.[tagHeader]
      const pending = typeof tag === "number" ? session.inFlight.get(tag) : undefined
      const { replyCode, replyText } = message.fields as { replyCode?: number; replyText?: string }
      if (pending !== undefined) pending.returned = `no queue takes it (${replyCode} ${replyText})`
    })
    this.#pump()
  }

  /** Of what was in flight, nobody knows what became of it: it is sent again, in its old order. */
  #lost(session: Session, closed: link.Failure | undefined): void {
    const failure = closed ?? session.link.fault()
    session.open = false
    if (this.#session === session) this.#session = undefined
    const lost = [...session.inFlight.values()]
    for (const pending of lost) this.#detach(pending)
    const missing = failure?.code === 404 ? /no exchange '([^']*)'/.exec(failure.text)?.[1] : undefined
    const text = failure === undefined ? "" : this.#settings.scrub(failure.text)
    const again: Array<Pending> = []
    for (const pending of lost) {
      if (missing !== undefined && pending.target.exchange === missing) {
        pending.target.plan.forget()
        this.#fail(pending, "topology", text)
      } else if (failure !== undefined && missing === undefined && lost.length === 1) {
        this.#fail(pending, "refused", text)
      } else {
        pending.suspect = failure !== undefined && missing === undefined
        again.push(pending)
      }
    }
    this.#line.unshift(again)
    // The connection may be going too, and says so only after its channels.
    queueMicrotask(() => this.#reconcile())
  }
}
