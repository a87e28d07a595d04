import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as net from "node:net"
import { isOpen } from "./Port.ts"
import * as TcpProxy from "./TcpProxy.ts"
import { until } from "./until.ts"

/** What one end of a connection has seen. */
interface Seen {
  readonly socket: net.Socket
  text: string
  ended: boolean
  closed: boolean
}

const watch = (socket: net.Socket): Seen => {
  const seen: Seen = { socket, text: "", ended: false, closed: false }
  socket.setEncoding("utf8")
  socket.on("data", (text: string) => {
    seen.text += text
  })
  socket.on("end", () => {
    seen.ended = true
  })
  socket.on("error", () => {})
  socket.on("close", () => {
    seen.closed = true
  })
  return seen
}

const so = (condition: () => boolean) => until(Effect.sync(condition))

/** A server behind a proxy, and the first connection to it from both ends. */
const connected = Effect.gen(function* () {
  const accepted: Array<Seen> = []
  const server = yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer({ allowHalfOpen: true }, (socket) => void accepted.push(watch(socket)))
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        for (const { socket } of accepted) socket.destroy()
      })
  )
  const proxy = yield* TcpProxy.make({ port: (server.address() as net.AddressInfo).port })
  const connect = Effect.acquireRelease(
    Effect.sync(() => watch(net.connect({ port: proxy.port, host: "127.0.0.1", allowHalfOpen: true }))),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )
  const up = yield* connect
  yield* so(() => accepted.length === 1)
  return { proxy, connect, accepted, up, down: accepted[0]! }
})

const soon = Effect.sleep("100 millis")

describe("the proxy", () => {
  it.live("forwards both ways, and names itself in a URL", () =>
    Effect.gen(function* () {
      const { down, proxy, up } = yield* connected
      up.socket.write("ping")
      yield* so(() => down.text === "ping")
      down.socket.write("pong")
      yield* so(() => up.text === "pong")
      assert.strictEqual(
        proxy.url("amqp://guest:guest@127.0.0.1:5672/v"),
        `amqp://guest:guest@127.0.0.1:${proxy.port}/v`
      )
      assert.strictEqual(yield* proxy.connections, 1)
      up.socket.end()
      yield* so(() => down.ended)
      down.socket.end()
      yield* so(() => up.closed && down.closed)
      yield* until(Effect.map(proxy.connections, (count) => count === 0))
      assert.strictEqual(yield* proxy.accepted, 1)
    })
  )

  it.live("cuts every connection and accepts new ones", () =>
    Effect.gen(function* () {
      const { accepted, connect, down, proxy, up } = yield* connected
      yield* proxy.cut
      yield* so(() => up.closed && down.closed)
      yield* connect
      yield* so(() => accepted.length === 2)
      assert.strictEqual(yield* proxy.connections, 1)
    })
  )

  it.live("stalls one direction, and forwards what has waited when it resumes", () =>
    Effect.gen(function* () {
      const { down, proxy, up } = yield* connected
      yield* proxy.stall("up")
      up.socket.write("ping")
      down.socket.write("pong")
      yield* so(() => up.text === "pong")
      yield* soon
      assert.strictEqual(down.text, "")
      yield* proxy.resume
      yield* so(() => down.text === "ping")
    })
  )

  it.live("keeps from a client that the server is gone while it stalls, and tells when it resumes", () =>
    Effect.gen(function* () {
      const { down, proxy, up } = yield* connected
      yield* proxy.stall()
      down.socket.resetAndDestroy()
      yield* soon
      assert.isFalse(up.ended || up.closed)
      yield* proxy.resume
      yield* so(() => up.ended || up.closed)
    })
  )

  it.live("swallows what is sent one way", () =>
    Effect.gen(function* () {
      const { down, proxy, up } = yield* connected
      yield* proxy.swallow("down")
      down.socket.write("lost")
      up.socket.write("ping")
      yield* so(() => down.text === "ping")
      yield* soon
      assert.strictEqual(up.text, "")
      yield* proxy.resume
      down.socket.write("found")
      yield* so(() => up.text === "found")
    })
  )

  it.live("stalls connections that are made while it is stalled", () =>
    Effect.gen(function* () {
      const { accepted, connect, proxy } = yield* connected
      yield* proxy.stall("up")
      const late = yield* connect
      late.socket.write("late")
      yield* so(() => accepted.length === 2)
      yield* soon
      assert.strictEqual(accepted[1]?.text, "")
      yield* proxy.resume
      yield* so(() => accepted[1]?.text === "late")
    })
  )

  it.live("closes one half", () =>
    Effect.gen(function* () {
      const { down, proxy, up } = yield* connected
      yield* proxy.halfClose("down")
      yield* so(() => up.ended)
      up.socket.write("still here")
      yield* so(() => down.text === "still here")
      assert.isFalse(down.ended)
    })
  )

  it.live("refuses new connections and keeps the open one", () =>
    Effect.gen(function* () {
      const { down, proxy, up } = yield* connected
      yield* proxy.refuse
      assert.isFalse(yield* isOpen(proxy.port))
      up.socket.write("ping")
      yield* so(() => down.text === "ping")
      yield* proxy.accept
      assert.isTrue(yield* isOpen(proxy.port))
    })
  )
})
