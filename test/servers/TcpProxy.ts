/**
 * A TCP proxy that misbehaves on demand, to put between a client and a server.
 *
 * "up" is what the client sends, "down" what the server sends. A network that has gone silent tells nobody that the
 * other side is gone: while a direction is stalled or swallowed, the end of its sender is kept back as well.
 */
import { Effect, type Scope } from "effect"
import * as net from "node:net"
import { freePort } from "./Port.ts"

export type Direction = "up" | "down"

export interface TcpProxy {
  readonly port: number
  /** The URL of the server, by way of the proxy. */
  readonly url: (from: string) => string
  /** Resets every connection. New ones are accepted. */
  readonly cut: Effect.Effect<void>
  /** Forwards nothing more, of new connections neither; what is sent waits in the buffers. Default: both directions. */
  readonly stall: (direction?: Direction) => Effect.Effect<void>
  /** Reads and discards what is sent. A stream with a gap is broken: `cut` before you `resume`. Default: both. */
  readonly swallow: (direction?: Direction) => Effect.Effect<void>
  /** Forwards again, and first what has waited. */
  readonly resume: Effect.Effect<void>
  /** Ends one direction of every connection, as the sender would with FIN; the other stays open. */
  readonly halfClose: (direction: Direction) => Effect.Effect<void>
  /** Refuses new connections; the open ones stay. */
  readonly refuse: Effect.Effect<void>
  /** Accepts new connections again, on the same port. */
  readonly accept: Effect.Effect<void>
  /** How many connections are open. */
  readonly connections: Effect.Effect<number>
  /** How many connections there have been. */
  readonly accepted: Effect.Effect<number>
}

type Mode = "flow" | "stall" | "swallow"

interface Pair {
  readonly client: net.Socket
  readonly server: net.Socket
}

const both: ReadonlyArray<Direction> = ["up", "down"]

const senderOf = (pair: Pair, direction: Direction): net.Socket => (direction === "up" ? pair.client : pair.server)

const receiverOf = (pair: Pair, direction: Direction): net.Socket => (direction === "up" ? pair.server : pair.client)

/** A proxy to a loopback port, until the scope closes. */
export const make = Effect.fnUntraced(function* (target: {
  readonly port: number
}): Effect.fn.Return<TcpProxy, never, Scope.Scope> {
  const pairs = new Set<Pair>()
  const modes: Record<Direction, Mode> = { up: "flow", down: "flow" }
  let accepted = 0

  const forward = (pair: Pair, direction: Direction): void => {
    const sender = senderOf(pair, direction)
    const receiver = receiverOf(pair, direction)
    sender.on("data", (chunk) => {
      if (modes[direction] === "flow" && !receiver.write(chunk)) sender.pause()
    })
    receiver.on("drain", () => {
      if (modes[direction] !== "stall") sender.resume()
    })
    sender.on("end", () => {
      if (modes[direction] === "flow") receiver.end()
    })
    sender.on("error", () => {})
    sender.on("close", () => settle(pair))
    if (modes[direction] === "stall") sender.pause()
  }

  /** Passes the end of a sender on, unless the direction is silent. */
  const settle = (pair: Pair): void => {
    for (const direction of both) {
      const sender = senderOf(pair, direction)
      const receiver = receiverOf(pair, direction)
      if (modes[direction] !== "flow") continue
      if (sender.readableEnded) receiver.end()
      else if (sender.closed) receiver.resetAndDestroy()
    }
    if (pair.client.closed && pair.server.closed) pairs.delete(pair)
  }

  const meet = (client: net.Socket): void => {
    accepted += 1
    const server = net.connect({ port: target.port, host: "127.0.0.1", allowHalfOpen: true })
    const pair = { client, server }
    pairs.add(pair)
    for (const direction of both) forward(pair, direction)
  }

  const listen = (port: number): Effect.Effect<net.Server> =>
    Effect.callback((resume) => {
      const server = net.createServer({ allowHalfOpen: true }, meet)
      server.on("error", (error) => resume(Effect.die(error)))
      server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server)))
    })

  const reset = Effect.sync(() => {
    for (const { client, server } of pairs) {
      client.resetAndDestroy()
      server.resetAndDestroy()
    }
    pairs.clear()
  })

  const port = yield* freePort
  let listening: net.Server | undefined = yield* listen(port)

  const refuse = Effect.sync(() => {
    listening?.close()
    listening = undefined
  })
  yield* Effect.addFinalizer(() => Effect.andThen(refuse, reset))

  const set = (directions: ReadonlyArray<Direction>, mode: Mode) =>
    Effect.sync(() => {
      for (const direction of directions) {
        modes[direction] = mode
        for (const pair of pairs) {
          if (mode === "stall") senderOf(pair, direction).pause()
          else senderOf(pair, direction).resume()
        }
      }
      for (const pair of pairs) settle(pair)
    })

  return {
    port,
    url: (from) => {
      const url = new URL(from)
      url.host = `127.0.0.1:${port}`
      return url.href
    },
    cut: reset,
    stall: (direction) => set(direction === undefined ? both : [direction], "stall"),
    swallow: (direction) => set(direction === undefined ? both : [direction], "swallow"),
    resume: set(both, "flow"),
    halfClose: (direction) =>
      Effect.sync(() => {
        for (const pair of pairs) receiverOf(pair, direction).end()
      }),
    refuse,
    accept: Effect.suspend(() =>
      listening === undefined
        ? Effect.map(listen(port), (server) => {
            listening = server
          })
        : Effect.void
    ),
    connections: Effect.sync(() => pairs.size),
    accepted: Effect.sync(() => accepted)
  }
})
