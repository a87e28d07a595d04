import { Effect } from "effect"
import * as crypto from "node:crypto"
import * as net from "node:net"

/** Whether a server could listen on a loopback port now. */
const isFree = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const server = net.createServer()
    server.on("error", () => resume(Effect.succeed(false)))
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(true))))
  })

/**
 * A loopback port that is free now; another process may take it before you do.
 *
 * It is below those that the system gives to outgoing connections. From among them, a client that calls a server which is
 * down for a moment may get the very port it calls: it would be connected to itself, and the port taken.
 */
export const freePort: Effect.Effect<number> = Effect.suspend(() => {
  const port = crypto.randomInt(16_384, 32_768)
  return Effect.flatMap(isFree(port), (free) => (free ? Effect.succeed(port) : freePort))
})

/** Whether something accepts connections on a loopback port. */
export const isOpen = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = net.connect({ port, host: "127.0.0.1" })
    const answer = (open: boolean) => () => {
      socket.destroy()
      resume(Effect.succeed(open))
    }
    socket.on("connect", answer(true))
    socket.on("error", answer(false))
    return Effect.sync(() => socket.destroy())
  })
