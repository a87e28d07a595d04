import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { Buffer } from "node:buffer"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import type { RecordedRequest } from "../RecordedRequest.ts"
import * as Route from "../Route.ts"
import { answer, type Reply } from "./reply.ts"
import { perform } from "./exchange.ts"
import type { Journal } from "./journal.ts"

/** The route that answers a request, and the next reply of its script. */
export interface Match {
  readonly route: string
  readonly params: Readonly<Record<string, string>>
  readonly next: () => Reply
}

interface Candidate {
  readonly pattern: Route.Pattern
  readonly next: () => Reply
}

/** Finds the most literal of the routes that match. */
export const routerOf = (candidates: () => ReadonlyArray<Candidate>) => (method: string, path: string) => {
  const matches = candidates().flatMap(({ next, pattern }) =>
    Option.match(Route.match(pattern, method, path), {
      onNone: () => [],
      onSome: (params) => [{ rank: pattern.rank, match: { route: pattern.route, params, next } satisfies Match }]
    })
  )
  return matches.toSorted((a, b) => (a.rank < b.rank ? -1 : 1))[0]?.match
}

const noRoute = (method: string, path: string): Reply =>
  answer(
    404,
    JSON.stringify({ code: "NO_ROUTE", message: `no script answers ${method} ${path}` }),
    undefined,
    "application/json"
  )

const parseJson = Option.liftThrowable((text: string): unknown => JSON.parse(text))

const pairsOf = (raw: ReadonlyArray<string>): ReadonlyArray<readonly [string, string]> =>
  Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i]!, raw[2 * i + 1]!])

const joined = (pairs: ReadonlyArray<readonly [string, string]>): Readonly<Record<string, string>> => {
  const headers: Record<string, string> = {}
  for (const [name, value] of pairs) {
    const key = name.toLowerCase()
    headers[key] = key in headers ? `${headers[key]}, ${value}` : value
  }
  return headers
}

const describe = (request: http.IncomingMessage, body: string) => {
  const url = request.url ?? "/"
  const question = url.indexOf("?")
  const rawHeaders = pairsOf(request.rawHeaders)
  return {
    method: request.method ?? "GET",
    url,
    path: question < 0 ? url : url.slice(0, question),
    query: new URLSearchParams(question < 0 ? "" : url.slice(question + 1)),
    headers: joined(rawHeaders),
    rawHeaders,
    body,
    json: Option.getOrUndefined(parseJson(body))
  } satisfies Partial<RecordedRequest>
}

/** Listens on loopback until the scope closes; every exchange is a fiber of that scope. */
export const listen = Effect.fnUntraced(function* (options: {
  readonly port: number
  readonly journal: Journal
  readonly find: (method: string, path: string) => Match | undefined
}): Effect.fn.Return<number, never, Scope.Scope> {
  const { journal } = options
  const clock = yield* Clock.Clock
  const run = yield* FiberSet.makeRuntime<never, void, never>()

  const handle = (request: http.IncomingMessage, response: http.ServerResponse) => {
    const { socket } = request
    const at = Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    const connection = journal.connectionOf(socket)
    const gone = Latch.makeUnsafe()
    const chunks: Array<Buffer> = []
    let recorded: RecordedRequest | undefined

    const record = (outcome: "hanging" | "aborted") => {
      const arrived = describe(request, Buffer.concat(chunks).toString("utf8"))
      const match = options.find(arrived.method, arrived.path)
      recorded = journal.record({
        ...arrived,
        at,
        connection,
        route: match?.route,
        params: match?.params ?? {},
        status: undefined,
        outcome
      })
      return [recorded, match] as const
    }

    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const [recorded, match] = record("hanging")
      const exchange = {
        recorded,
        response,
        socket,
        gone,
        answered: (status: number) => journal.amend(recorded.id, { status }),
        settled: (outcome: RecordedRequest["outcome"]) => journal.amend(recorded.id, { outcome })
      }
      run(perform(exchange, match === undefined ? noRoute(recorded.method, recorded.path) : match.next()))
    })
    // Errors of either stream are followed by the close that tells the fate of the request
    request.on("error", () => {})
    response.on("error", () => {})
    response.on("close", () => {
      gone.openUnsafe()
      if (recorded === undefined) {
        record("aborted")
        return
      }
      const outcome = journal.outcomeOf(recorded.id)
      if (outcome === "hanging" || (outcome === "answered" && response.headersSent && !response.writableFinished)) {
        journal.amend(recorded.id, { outcome: "aborted" })
      }
    })
  }

  const server = http.createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 }, handle)
  server.on("connection", (socket) => {
    socket.on("error", () => {})
    journal.connected(socket)
  })
  server.on("clientError", (_error, socket) => {
    if (socket.writable) {
      socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
    } else {
      socket.destroy()
    }
  })

  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.once("error", (cause) =>
        resume(Effect.die(new Error(`A stub provider cannot listen on 127.0.0.1:${options.port}`, { cause })))
      )
      server.listen(options.port, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        journal.destroySockets()
      })
  )
  return (server.address() as AddressInfo).port
})
