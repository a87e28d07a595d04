import { NodeHttpServer } from "@effect/platform-node"
import { it } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import { Headers, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as http from "node:http"
import type * as net from "node:net"
import { IdempotencyStore, layerMemory } from "../../src/http/IdempotencyStore.ts"
import { type Line, observed } from "../policy/observe.ts"

type App<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>

/** Serves an app on a free loopback port until the scope ends; gives its URL. */
export const listen = Effect.fnUntraced(function* <E, R>(app: App<E, R>) {
  const node = http.createServer()
  const server = yield* NodeHttpServer.make(() => node, {
    port: 0,
    host: "127.0.0.1",
    gracefulShutdownTimeout: "1 millis"
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
  yield* server.serve(app)
  return `http://127.0.0.1:${(node.address() as net.AddressInfo).port}`
})

export interface Answer {
  readonly status: number
  readonly statusText: string
  readonly headers: http.IncomingHttpHeaders
  readonly bytes: Buffer
  readonly text: string
}

export interface Ask {
  readonly method?: string
  /** `Idempotency-Key`, as it is. */
  readonly key?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** The target as it is written in the request line. Default: the path of the URL. */
  readonly target?: string
}

/** One request on a connection of its own. It is cut off when the fiber is interrupted. */
export const ask = (url: string, options: Ask = {}): Effect.Effect<Answer, Error> =>
  Effect.callback((resume) => {
    const { body, key, target } = options
    const request = http.request(url, {
      method: options.method ?? "POST",
      agent: false,
      ...(target === undefined ? undefined : { path: target }),
      headers: {
        ...(body === undefined ? undefined : { "content-length": String(Buffer.byteLength(body)) }),
        ...(key === undefined ? undefined : { "idempotency-key": key }),
        ...options.headers
      }
    })
    request.on("error", (error) => resume(Effect.fail(error)))
    request.on("response", (response) => {
      const chunks: Array<Buffer> = []
      response.on("error", (error) => resume(Effect.fail(error)))
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("end", () => {
        const bytes = Buffer.concat(chunks)
        const { headers, statusCode, statusMessage } = response
        resume(
          Effect.succeed({
            status: statusCode!,
            statusText: statusMessage!,
            headers,
            bytes,
            text: bytes.toString("utf8")
          })
        )
      })
    })
    request.end(body)
    return Effect.sync(() => request.destroy())
  })

/** The problem details of an answer. */
export const problemOf = (answer: { readonly text: string }) =>
  JSON.parse(answer.text) as {
    readonly type: string
    readonly title: string
    readonly status: number
    readonly detail: string
    readonly code?: string
  }

/** Asks an app without a socket, so that the clock can be a test's. */
export const askApp = <E, R>(
  app: App<E, R>,
  options: Ask & { readonly url?: string } = {}
): Effect.Effect<Answer, E, Exclude<R, HttpServerRequest.HttpServerRequest>> =>
  Effect.gen(function* () {
    const { body, key, method = "POST" } = options
    const source = new Request(options.url ?? "http://provider.test/v1/charges", {
      method,
      ...(body === undefined ? undefined : { body: typeof body === "string" ? body : new Uint8Array(body) })
    })
    const headers = Headers.fromInput({
      ...options.headers,
      ...(key === undefined ? undefined : { "idempotency-key": key })
    })
    const request = HttpServerRequest.fromWeb(source).modify({ headers })
    const response = yield* Effect.provideService(app, HttpServerRequest.HttpServerRequest, request)
    const web = HttpServerResponse.toWeb(response)
    const bytes = Buffer.from(yield* Effect.promise(() => web.arrayBuffer()))
    return {
      status: web.status,
      statusText: web.statusText,
      headers: Object.fromEntries(web.headers),
      bytes,
      text: bytes.toString("utf8")
    }
  }) as Effect.Effect<Answer, E, Exclude<R, HttpServerRequest.HttpServerRequest>>

export type Store = IdempotencyStore["Service"]

/** A store of its own, of which some operations are replaced. */
export const makeStore = (
  replace: (store: Store) => Partial<Store> = () => ({})
): Effect.Effect<Store, never, Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(layerMemory)), (context) => {
    const store = Context.get(context, IdempotencyStore)
    return { ...store, ...replace(store) }
  })

/** A test over real sockets; log lines are kept, not printed. */
export const live = <A, E>(
  name: string,
  test: (lines: ReadonlyArray<Line>) => Effect.Effect<A, E, Scope.Scope>,
  timeout?: number
) => it.live(name, () => observed(test), timeout)

/** Waits until something is so, as long as the test may last. */
export const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (condition() ? Effect.void : Effect.andThen(Effect.sleep("2 millis"), until(condition))))
