import { Data, Effect } from "effect"
import * as net from "node:net"
import type { StubProvider } from "../../src/testing/index.ts"

export class Failed extends Data.TaggedError("Failed")<{ readonly code: string; readonly error: unknown }> {}

const codeOf = (error: unknown): string => {
  const cause = (error as { cause?: unknown }).cause
  const { code, message, name } = (cause ?? error) as { code?: string; message?: string; name?: string }
  return code ?? message ?? name ?? "unknown"
}

/** One request over fetch, aborted when the fiber is interrupted. */
export const send = (stub: StubProvider.StubProvider, route: string, init?: RequestInit) => {
  const [method, path] = route.split(" ")
  return Effect.tryPromise({
    try: (signal) => fetch(`${stub.url}${path}`, { method: method!, signal, ...init }),
    catch: (error) => new Failed({ code: codeOf(error), error })
  })
}

export const bodyOf = (response: Response) =>
  Effect.tryPromise({ try: () => response.text(), catch: (error) => new Failed({ code: codeOf(error), error }) })

export const jsonOf = (response: Response) =>
  Effect.promise(() => response.json() as Promise<Readonly<Record<string, unknown>>>)

/** Status and body of one request that is answered whole. */
export const ask = (stub: StubProvider.StubProvider, route: string, init?: RequestInit) =>
  Effect.flatMap(send(stub, route, init), (response) =>
    Effect.map(bodyOf(response), (body) => ({ status: response.status, headers: response.headers, body }))
  )

export interface RawConnection {
  readonly socket: net.Socket
  /** Everything that arrived until the server closed; fails with the code of a reset. */
  readonly all: Effect.Effect<string, Failed>
  /** Waits until this text has arrived. */
  readonly until: (text: string) => Effect.Effect<string>
}

export const open = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<RawConnection>((resume) => {
      const socket = net.connect({ host: "127.0.0.1", port })
      let received = ""
      let error: NodeJS.ErrnoException | undefined
      const waiting = new Set<() => void>()
      const changed = () => Array.from(waiting).forEach((check) => check())
      const wait = <A, E>(result: () => Effect.Effect<A, E> | undefined) =>
        Effect.callback<A, E>((resume) => {
          const check = () => {
            const effect = result()
            if (effect !== undefined) {
              waiting.delete(check)
              resume(effect)
            }
          }
          waiting.add(check)
          check()
        })
      socket.on("data", (chunk) => {
        received += chunk.toString("latin1")
        changed()
      })
      socket.on("error", (cause) => {
        error = cause
      })
      socket.on("close", changed)
      socket.once("connect", () =>
        resume(
          Effect.succeed({
            socket,
            all: wait(() =>
              !socket.closed
                ? undefined
                : error !== undefined
                  ? Effect.fail(new Failed({ code: error.code ?? error.message, error }))
                  : Effect.succeed(received)
            ),
            until: (text) => wait(() => (received.includes(text) ? Effect.succeed(received) : undefined))
          })
        )
      )
    }),
    (connection) => Effect.sync(() => void connection.socket.destroy())
  )

/** The bytes that come back for these bytes. */
export const exchange = (port: number, bytes: string) =>
  Effect.flatMap(open(port), (connection) => {
    connection.socket.write(bytes)
    return connection.all
  })

/** How a TCP connect ends. */
export const connect = (address: { readonly host: string; readonly port: number }) =>
  Effect.callback<"connected", Failed>((resume) => {
    const socket = net.connect(address)
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed("connected"))
    })
    socket.once("error", (error) => resume(Effect.fail(new Failed({ code: codeOf(error), error }))))
    return Effect.sync(() => socket.destroy())
  })
