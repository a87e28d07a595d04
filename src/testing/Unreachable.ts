/**
 * Addresses on loopback where no connection comes about: one that refuses, and one that never answers.
 *
 * **Example** (A client that must give up connecting)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpClient } from "effect/http"
 * import { Unreachable } from "effect-integration/testing"
 *
 * export const program = Effect.gen(function*() {
 *   const { url } = yield* Unreachable.silent
 *   return yield* HttpClient.get(url).pipe(Effect.timeout("1 second"), Effect.flip)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as net from "node:net"
import { Worker } from "node:worker_threads"

/**
 * Where to connect to in vain.
 *
 * @category models
 * @since 0.1.0
 */
export interface Address {
  readonly host: string
  readonly port: number
  readonly url: string
}

const host = "127.0.0.1"

const addressOf = (port: number): Address => ({ host, port, url: `http://${host}:${port}` })

const portOf = (server: net.Server): number => (server.address() as net.AddressInfo).port

const listening = Effect.acquireRelease(
  Effect.callback<net.Server>((resume) => {
    const server = net.createServer((socket) => void socket.on("error", () => {}))
    server.once("error", (cause) => resume(Effect.die(cause)))
    server.listen(0, host, () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
)

/**
 * A port that refuses connections (`ECONNREFUSED`) as long as the scope is open.
 *
 * **Details**
 *
 * The port is held as the near end of a connection elsewhere, so no free port that anyone asks for is this one. Who asks
 * for it by number gets it: `StubProvider.make({ port })` is the provider that comes up again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const refused: Effect.Effect<Address, never, Scope.Scope> = Effect.gen(function* () {
  const elsewhere = portOf(yield* listening)
  const localPort = yield* Effect.scoped(Effect.map(listening, portOf))
  yield* Effect.acquireRelease(
    Effect.callback<net.Socket>((resume) => {
      const socket = net.connect({ host, port: elsewhere, localAddress: host, localPort })
      socket.on("error", (cause) => resume(Effect.die(cause)))
      socket.once("connect", () => resume(Effect.succeed(socket)))
    }),
    // A reset leaves no TIME_WAIT behind that would hold the port
    (socket) => Effect.sync(() => void socket.resetAndDestroy())
  )
  return addressOf(localPort)
})

// A thread that never gets back to its event loop is a listener that never accepts
const listener = `
const { parentPort, workerData } = require("node:worker_threads")
const server = require("node:net").createServer()
server.listen({ port: 0, host: "${host}", backlog: 1 }, () => {
  parentPort.postMessage(server.address().port)
  Atomics.wait(new Int32Array(workerData), 0, 0)
  process.exit()
})
`

const backlog = 2
const fillers = 8

/**
 * A listener with a full backlog: connecting to it neither succeeds nor fails as long as the scope is open.
 *
 * **When to use**
 *
 * Use to prove connect timeouts without a network.
 *
 * **Gotchas**
 *
 * It relies on a kernel that drops connection requests when the backlog is full, as Linux does; the system's own connect
 * timeout still ends an attempt, after two minutes or so.
 *
 * @category constructors
 * @since 0.1.0
 */
export const silent: Effect.Effect<Address, never, Scope.Scope> = Effect.gen(function* () {
  const gate = new SharedArrayBuffer(4)
  const worker = yield* Effect.acquireRelease(
    Effect.sync(() => new Worker(listener, { eval: true, workerData: gate, execArgv: [] })),
    (worker) =>
      Effect.promise(() => {
        Atomics.store(new Int32Array(gate), 0, 1)
        Atomics.notify(new Int32Array(gate), 0)
        return worker.terminate()
      })
  )
  const port = yield* Effect.callback<number>((resume) => {
    worker.once("message", (port: number) => resume(Effect.succeed(port)))
    worker.once("error", (cause) => resume(Effect.die(cause)))
  })
  yield* Effect.acquireRelease(
    Effect.callback<ReadonlyArray<net.Socket>>((resume) => {
      const sockets = Array.from({ length: fillers }, () => net.connect({ host, port }))
      let connected = 0
      for (const socket of sockets) {
        socket.on("error", () => {})
        socket.once("connect", () => {
          if (++connected === backlog) {
            resume(Effect.succeed(sockets))
          }
        })
      }
    }),
    (sockets) => Effect.sync(() => sockets.forEach((socket) => socket.destroy()))
  )
  return addressOf(port)
})
