import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Latch from "effect/Latch"
import type { ServerResponse } from "node:http"
import type { Socket } from "node:net"
import type { Outcome, RecordedRequest } from "../RecordedRequest.ts"
import { type Answer, answer, type Reply } from "./reply.ts"

/** One request on its socket, and where its fate is told. */
export interface Exchange {
  readonly recorded: RecordedRequest
  readonly response: ServerResponse
  readonly socket: Socket
  /** Opens when the connection is no more. */
  readonly gone: Latch.Latch
  readonly answered: (status: number) => void
  readonly settled: (outcome: Outcome) => void
}

const pause = (exchange: Exchange, duration: Duration.Duration) =>
  Duration.isZero(duration) ? Effect.void : Effect.raceFirst(Effect.sleep(duration), exchange.gone.await)

const send = Effect.fnUntraced(function* (exchange: Exchange, reply: Answer) {
  const { response, socket } = exchange
  response.writeHead(reply.status, reply.headers.flat())
  exchange.answered(reply.status)
  const last = reply.body.length - 1
  for (const [i, piece] of reply.body.entries()) {
    if (!Duration.isZero(piece.after)) {
      response.flushHeaders()
      yield* pause(exchange, piece.after)
    }
    if (exchange.gone.isOpen()) {
      return
    }
    if (i === last && reply.end === "complete") {
      exchange.settled("answered")
      response.end(piece.bytes)
    } else {
      response.flushHeaders()
      response.write(piece.bytes)
    }
  }
  if (reply.end === "hang") {
    yield* exchange.gone.await
  }
  if (reply.end === "truncate") {
    exchange.settled("truncated")
    socket.destroySoon()
  }
})

const reset = (exchange: Exchange) => {
  exchange.settled("reset")
  exchange.socket.resetAndDestroy()
}

const sendRaw = Effect.fnUntraced(function* (exchange: Exchange, reply: Extract<Reply, { _tag: "Raw" }>) {
  const { socket } = exchange
  switch (reply.end) {
    case "close":
      exchange.settled("answered")
      return void socket.end(reply.bytes)
    case "hang":
      socket.write(reply.bytes)
      return yield* exchange.gone.await
    case "reset":
      yield* Effect.callback<void>((resume) => void socket.write(reply.bytes, () => resume(Effect.void)))
      return reset(exchange)
  }
})

const play: (exchange: Exchange, reply: Reply) => Effect.Effect<void> = Effect.fnUntraced(function* (
  exchange: Exchange,
  reply: Reply
) {
  if (exchange.gone.isOpen()) {
    return
  }
  switch (reply._tag) {
    case "Answer":
      return yield* send(exchange, reply)
    case "Hang":
      return yield* exchange.gone.await
    case "Reset":
      return reset(exchange)
    case "Raw":
      return yield* sendRaw(exchange, reply)
    case "Delay":
      yield* pause(exchange, reply.duration)
      return yield* play(exchange, reply.reply)
    case "Dynamic":
      return yield* play(exchange, yield* reply.respond(exchange.recorded))
  }
})

const failed = (cause: Cause.Cause<never>): Answer =>
  answer(500, JSON.stringify({ code: "STUB_FAILED", message: Cause.pretty(cause) }), undefined, "application/json")

/** Performs a reply; a defect of a dynamic one is answered, and never reaches the process. */
export const perform = (exchange: Exchange, reply: Reply): Effect.Effect<void> =>
  Effect.catchCause(play(exchange, reply), (cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.failCause(cause)
      : exchange.response.headersSent
        ? Effect.sync(() => exchange.socket.destroy())
        : play(exchange, failed(cause))
  )
