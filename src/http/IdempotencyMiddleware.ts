/**
 * Idempotency keys on the provider's side (draft-ietf-httpapi-idempotency-key-header): a request that comes again under
 * the same key is answered with the response of the first, and the work is done once.
 *
 * **Details**
 *
 * - A key belongs to a principal and a route (method and path).
 * - The same key with another query or body: 422, problem type `StatusTable.ProblemType.keyReused`.
 * - The same key while the first request is still running: 409, `inProgress`, with Retry-After.
 * - No key where one is required, or one that is not 1 to 255 visible ASCII characters: 400, `keyMissing`.
 * - A 401, a 429 or a 5xx is not kept, nor a failure of the handler: the next request does the work.
 * - A handler that has begun goes on when its client hangs up, so that the retry finds its response.
 * - The store is down: 503, and the handler is not run.
 *
 * **Gotchas**
 *
 * A process that dies in the middle of a handler leaves the key to whoever comes after the lease: the work may then be
 * done twice, unless the handler and the store share a transaction. Put this inside authentication, which must not be
 * replayed. The principal must stay the same when the client's token is renewed.
 *
 * **Example** (A route with required keys)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpServerRequest, HttpServerResponse } from "effect/http"
 * import { IdempotencyMiddleware } from "effect-integration/http"
 *
 * const createCharge = Effect.succeed(HttpServerResponse.jsonUnsafe({ id: "c1" }, { status: 201 }))
 *
 * export const app = createCharge.pipe(
 *   IdempotencyMiddleware.make({
 *     principal: (request) => Effect.succeed(request.headers["x-client-id"] ?? "anonymous"),
 *     timeToLive: "24 hours"
 *   })
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "../internal/option.ts"
import * as RequestContext from "../policy/RequestContext.ts"
import * as Idempotency from "./Idempotency.ts"
import { IdempotencyStore, type StoredResponse } from "./IdempotencyStore.ts"
import { problem } from "./internal/problemResponse.ts"
import * as StatusTable from "./StatusTable.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options<R> {
  /** Who asks: a tenant, a client; keys of one are not seen by another. */
  readonly principal: (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<string, never, R>
  /** Default true: a request without a key is refused. */
  readonly required?: boolean
  /** How long a response is replayed. Default 24 hours. It must outlast the caller's retries. */
  readonly timeToLive?: Duration.Input
  /** How long a crashed handler blocks its key; renewed while the handler runs. Default 1 minute. */
  readonly lease?: Duration.Input
  /** Methods that take keys; others pass. Default POST and PATCH. */
  readonly methods?: ReadonlyArray<string>
}

const headerNames = ["idempotency-key", "x-idempotency-key"]
const legal = /^[\x21-\x7e]{1,255}$/

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = <RP>(options: Options<RP>) => {
  const where = "IdempotencyMiddleware.make"
  const timeToLive = Duration.millis(Option.millis(where, "timeToLive", options.timeToLive ?? "24 hours"))
  const lease = Duration.millis(Option.millis(where, "lease", options.lease ?? "1 minute"))
  const methods = new Set(options.methods ?? ["POST", "PATCH"])
  const required = options.required ?? true

  return <E, R>(
    app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ): Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    E | HttpServerError.HttpServerError,
    R | RP | IdempotencyStore | HttpServerRequest.HttpServerRequest
  > =>
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      if (!methods.has(request.method)) return yield* app
      const given = headerNames.map((name) => request.headers[name]).find((value) => value !== undefined)
      if (given === undefined && !required) return yield* app
      const parsed = Idempotency.parse(given ?? "")
      if (!legal.test(parsed)) return keyMissing(given !== undefined)

      const store = yield* IdempotencyStore
      const url = new URL(request.url, "http://host")
      const principal = yield* options.principal(request)
      const key = [principal, request.method, url.pathname, parsed].map(encodeURIComponent).join(" ")
      const owner = (yield* RequestContext.IdGenerator)()
      const fingerprint = yield* digest(url.search, yield* request.arrayBuffer)

      const run = Effect.gen(function* () {
        const renewing = yield* store.renew({ key, owner, lease }).pipe(
          Effect.delay(Duration.divideUnsafe(lease, 3)),
          Effect.catch((error) => Effect.as(Effect.logWarning(error.message), true)),
          Effect.repeat({ while: (held: boolean) => held }),
          Effect.forkChild
        )
        const exit = yield* Effect.exit(app)
        yield* Fiber.interrupt(renewing)
        return yield* settle(
          exit,
          (response) => store.complete({ key, owner, response, timeToLive }),
          store.release({ key, owner })
        )
      })
      const claim = yield* Effect.catch(store.claim({ key, fingerprint, owner, lease }), (error) =>
        Effect.as(Effect.logError(`${error.message}; the request was refused`, error.cause), undefined)
      )
      switch (claim?._tag) {
        case undefined:
          return storeDown
        case "Claimed":
          // The handler is not interrupted with its client: what it does is known to whoever asks again.
          return yield* Effect.flatMap(Effect.forkDetach(run), Fiber.join)
        case "Running":
          return inProgress
        case "Mismatch":
          return keyReused
        case "Completed":
          return replay(claim.response)
      }
    })
}

/** Keeps a response that says something final, gives the key back otherwise. */
const settle = Effect.fnUntraced(function* <E, X>(
  exit: Exit.Exit<HttpServerResponse.HttpServerResponse, E>,
  complete: (response: StoredResponse) => Effect.Effect<boolean, X>,
  release: Effect.Effect<void, X>
) {
  if (exit._tag === "Failure" || !isFinal(exit.value.status)) {
    yield* Effect.catch(release, () =>
      Effect.logError("an idempotency key could not be given back; its lease must end")
    )
    return yield* exit
  }
  const web = HttpServerResponse.toWeb(exit.value, { context: yield* Effect.context<never>() })
  const body = new Uint8Array(yield* Effect.promise(() => web.arrayBuffer()))
  const response: StoredResponse = { status: web.status, headers: Object.fromEntries(web.headers), body }
  const kept = yield* Effect.catch(complete(response), () => Effect.succeed(false))
  if (!kept)
    yield* Effect.logError("a response could not be kept under its idempotency key: a retry does the work again")
  return restore(response)
})

const isFinal = (status: number): boolean => status !== 401 && status !== 429 && status < 500

const restore = (response: StoredResponse): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.uint8Array(response.body, {
    status: response.status,
    headers: response.headers,
    ...(response.headers["content-type"] === undefined ? undefined : { contentType: response.headers["content-type"] })
  })

const replay = (response: StoredResponse): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.setHeader(restore(response), "idempotency-replayed", "true")

/** SHA-256 of what the request says, so that a key cannot be used for two. */
const digest = (query: string, body: ArrayBuffer): Effect.Effect<string> =>
  Effect.promise(async () => {
    const prefix = new TextEncoder().encode(`${query}\n`)
    const bytes = new Uint8Array(prefix.byteLength + body.byteLength)
    bytes.set(prefix)
    bytes.set(new Uint8Array(body), prefix.byteLength)
    return Hex.encode(new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", bytes)))
  })

const { ProblemType } = StatusTable
const keyMissing = (malformed: boolean) =>
  problem(400, {
    type: ProblemType.keyMissing,
    title: malformed ? "Idempotency-Key is malformed" : "Idempotency-Key is missing",
    detail: "This operation needs an Idempotency-Key of 1 to 255 visible ASCII characters."
  })
const keyReused = problem(422, {
  type: ProblemType.keyReused,
  title: "Idempotency-Key is already used",
  detail: "The key was used for a request with another query or body. Use a new key for a new operation."
})
const inProgress = problem(
  409,
  {
    type: ProblemType.inProgress,
    title: "A request is outstanding for this Idempotency-Key",
    detail: "The first request with this key is still running. Ask again later with the same key."
  },
  { "retry-after": "1" }
)
const storeDown = problem(
  503,
  { type: "about:blank", title: "Service Unavailable", detail: "The request was not processed." },
  { "retry-after": "1" }
)
