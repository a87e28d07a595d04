import * as amqp from "amqplib/callback_api"
import * as Effect from "effect/Effect"
import { nextTick } from "node:process"
import type { Duplex } from "node:stream"
import type { Settings } from "./settings.ts"

/** An open connection. */
export interface Link {
  /** Which connection of its kind it is. What belongs to an older one is void. */
  readonly epoch: number
  readonly model: amqp.Connection
  /** Why the broker takes no messages now; `undefined` where it does. */
  blocked: string | undefined
  /** That the broker could not read what it was sent, and closed the connection for that. */
  readonly fault: () => Failure | undefined
}

export interface Opened {
  readonly model: amqp.Connection
  readonly blocked: string | undefined
  readonly fault: () => Failure | undefined
  /** Destroys the socket. */
  readonly abort: () => void
}

/** Frame, syntax, command, channel, frame order and internal error. */
const faults = new Set([501, 502, 503, 504, 505, 541])

/** How long a socket may take to close by itself when the connection is over. */
const linger = 1000

const describe = (error: unknown): string => {
  if (error instanceof AggregateError) return describe(error.errors[0])
  return error instanceof Error && error.message !== "" ? error.message : String(error)
}

/**
 * Connects once. `events` are listened to from the first moment: nothing that the connection says later can be an
 * unhandled error.
 */
export const open = (
  settings: Settings,
  role: string,
  events: {
    readonly opened: (opened: Opened) => void
    readonly blocked: (reason: string | undefined) => void
    readonly closed: (reason: string) => void
  }
): Effect.Effect<Opened, string> =>
  Effect.callback<Opened, string>((resume) => {
    const controller = new AbortController()
    const abort = () => controller.abort()
    let over = false
    const socket = {
      ...settings.tls(),
      noDelay: true,
      keepAlive: true,
      timeout: settings.connectTimeout,
      // Not in amqplib's types, which hands it to the socket: how else could a dead one be got rid of?
      signal: controller.signal,
      clientProperties: { connection_name: `${settings.connectionName} (${role})` }
    }
    amqp.connect(settings.target(), socket, (error: Error | null, model) => {
      if (over) return
      over = true
      if (error !== null) return resume(Effect.fail(settings.scrub(describe(error))))
      let last = "closed by the server"
      let fault: Failure | undefined
      model.on("error", (error: Error) => {
        last = settings.scrub(describe(error))
        const failure = failureOf(error)
        if (failure.code !== undefined && faults.has(failure.code)) fault = failure
      })
      model.on("handler-error", (error: Error) => {
        last = settings.scrub(describe(error))
      })
      model.on("blocked", (reason: string) => events.blocked(reason))
      model.on("unblocked", () => events.blocked(undefined))
      model.on("close", (error?: Error) => {
        const timer = setTimeout(abort, linger)
        timer.unref()
        events.closed(error === undefined ? last : settings.scrub(describe(error)))
      })
      const { connection } = model as unknown as Inner
      gather(connection.stream)
      const blocked = connection.blocked === true ? "the broker is low on memory or disk" : undefined
      const opened = { model, abort, blocked, fault: () => fault }
      events.opened(opened)
      resume(Effect.succeed(opened))
    })
    return Effect.sync(() => {
      over = true
      abort()
    })
  }).pipe(
    Effect.catchDefect((defect) => Effect.fail(settings.scrub(describe(defect)))),
    Effect.timeoutOrElse({
      duration: settings.connectTimeout,
      orElse: () => Effect.fail(`no connection within ${settings.connectTimeout} ms`)
    })
  )

/** What is written in one turn goes to the socket as one: amqplib would make a system call for each message. */
const gather = (stream: Duplex): void => {
  const write = stream.write.bind(stream) as (...args: ReadonlyArray<unknown>) => boolean
  stream.write = (...args: ReadonlyArray<unknown>) => {
    if (stream.writableCorked === 0) {
      stream.cork()
      nextTick(() => stream.uncork())
    }
    return write(...args)
  }
}

/** What amqplib's types leave out. */
interface Inner {
  readonly connection: { readonly blocked?: boolean; readonly stream: Duplex }
}

/** Closes as the protocol asks, and in any case. */
export const close = (opened: Opened): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    // And not when the server has answered: channels and deliveries learn of it only after that.
    opened.model.once("close", () => resume(Effect.void))
    opened.model.close()
  }).pipe(
    Effect.catchDefect(() => Effect.void),
    Effect.timeoutOption(linger),
    Effect.andThen(Effect.sync(opened.abort))
  )

/** What a request was answered: a reply code and text, or that the channel or connection ended. */
export interface Failure {
  readonly code: number | undefined
  readonly text: string
}

const failureOf = (error: unknown): Failure => ({
  code: error instanceof Error && "code" in error && typeof error.code === "number" ? error.code : undefined,
  text: describe(error)
})

/** A request on a channel. */
export const request = <A>(run: (done: (error: Error | null, value: A) => void) => void): Effect.Effect<A, Failure> =>
  Effect.callback<A, Failure>((resume) => {
    run((error, value) => {
      if (error === null) return resume(Effect.succeed(value))
      // It is told in the midst of closing the channel, which must not be used before that is done.
      queueMicrotask(() => resume(Effect.fail(failureOf(error))))
    })
  }).pipe(Effect.catchDefect((defect) => Effect.fail(failureOf(defect))))

/** What may happen to a channel, told at once. */
export interface ChannelEvents {
  /** First of all that listens: before amqplib tells the callbacks of publishes. */
  readonly closed: (failure: Failure | undefined) => void
}

const watch = (channel: amqp.Channel, events: ChannelEvents): void => {
  let failure: Failure | undefined
  channel.on("error", (error: Error) => {
    failure = failureOf(error)
  })
  channel.on("handler-error", (error: Error) => {
    failure ??= failureOf(error)
  })
  channel.prependListener("close", () => events.closed(failure))
}

const quiet: ChannelEvents = { closed: () => undefined }

export const openChannel = (link: Link, events: ChannelEvents = quiet): Effect.Effect<amqp.Channel, Failure> =>
  request((done) => watch(link.model.createChannel(done), events))

export const openConfirmChannel = (link: Link, events: ChannelEvents): Effect.Effect<amqp.ConfirmChannel, Failure> =>
  request((done) => watch(link.model.createConfirmChannel(done), events))

/** Closes a channel, which gives back what was not settled on it; nothing where it is closed. */
export const closeChannel = (channel: amqp.Channel): Effect.Effect<void> =>
  Effect.ignore(
    Effect.timeoutOption(
      request<unknown>((done) => channel.close(() => done(null, undefined))),
      linger
    )
  )
