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
 * - A 401, 408, 421, 425, 429 or 5xx is not kept, nor a failure of the handler: the next request does the work.
 * - `metadata` of a JSON body (section 3.1) is no part of what the request says: it tells when it was sent.
 * - A handler that has begun goes on when its client hangs up, so that the retry finds its response.
 * - The store is down: 503, and the handler is not run.
 *
 * **Gotchas**
 *
 * A process that dies in the middle of a handler leaves the key to whoever comes after the lease: the work may then be
 * done twice, unless the handler and the store share a transaction. What is added to a response after the handler has
 * given it (pre-response handlers) is not replayed, and neither is a status text of its own. Put this inside authentication, which must not be
 * replayed. The principal must stay the same when the client's token is renewed.
 *
 * **Example** (A route with required keys)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { IdempotencyMiddleware, IdempotencyStore } from "effect-integration/http"
 *
 * const createCharge = Effect.succeed(HttpServerResponse.jsonUnsafe({ id: "c1" }, { status: 201 }))
 *
 * export const app = createCharge.pipe(
 *   IdempotencyMiddleware.make({
 *     principal: (request) => Effect.succeed(request.headers["x-client-id"] ?? "anonymous"),
 *     timeToLive: "24 hours"
 *   })
 * )
 *
 * export const routes = HttpRouter.add("POST", "/v1/charges", app).pipe(
 *   HttpRouter.provideRequest(IdempotencyStore.layerMemory)
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Fiber from "effect/Fiber"
import * as Cookies from "effect/http/Cookies"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Predicate from "effect/Predicate"
import * as Option from "../internal/option.ts"
import * as Idempotency from "./Idempotency.ts"
import { IdempotencyStore, type StoredResponse } from "./IdempotencyStore.ts"
import * as BufferedRequest from "./internal/bufferedRequest.ts"
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
  const methods = new Set((options.methods ?? ["POST", "PATCH"]).map((method) => method.toUpperCase()))
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
      const target = request.originalUrl.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "")
      const [path = "", query = ""] = target.split(/\?(.*)/s)
      const key = JSON.stringify([yield* options.principal(request), request.method, path, parsed])
      // Not from `IdGenerator`, which need not be unique among processes: this one fences.
      const owner = globalThis.crypto.randomUUID()
      const body = new Uint8Array(yield* request.arrayBuffer)
      const fingerprint = yield* digest(query, body)

      const renew = store.renew({ key, owner, lease }).pipe(
        Effect.catchCause((cause) =>
          Effect.as(Effect.logWarning("an idempotency key could not be renewed", cause), true)
        ),
        Effect.delay(Duration.divideUnsafe(lease, 3)),
        Effect.repeat({ while: (held: boolean) => held })
      )
      const handle = Effect.gen(function* () {
        const renewing = yield* Effect.forkDetach(renew)
        const exit = yield* app.pipe(
          Effect.provideService(HttpServerRequest.HttpServerRequest, BufferedRequest.make(request, body)),
          Effect.flatMap((response) =>
            Effect.map(isFinal(response.status) ? stored(response) : Effect.undefined, (kept) => ({ kept, response }))
          ),
          Effect.exit
        )
        const kept = exit._tag === "Success" ? exit.value.kept : undefined
        if (kept === undefined) yield* giveBack(store.release({ key, owner }))
        else yield* keep(store.complete({ key, owner, response: kept, timeToLive }))
        renewing.interruptUnsafe()
        return kept === undefined ? (yield* exit).response : restore(kept)
      }).pipe(Effect.scoped)
      return yield* Effect.uninterruptibleMask((restoreInterrupts) =>
        Effect.flatMap(claim(store.claim({ key, fingerprint, owner, lease })), (claimed) => {
          switch (claimed?._tag) {
            case undefined:
              return Effect.succeed(storeDown)
            case "Claimed":
              // The handler is not interrupted with its client: what it does is known to whoever asks again.
              return Effect.flatMap(Effect.forkDetach(Effect.interruptible(handle)), (fiber) =>
                restoreInterrupts(Fiber.join(fiber))
              )
            case "Running":
              return Effect.succeed(inProgress)
            case "Mismatch":
              return Effect.succeed(keyReused)
            case "Completed":
              return Effect.succeed(replay(claimed.response))
          }
        })
      )
    })
}

const claim = <A, E>(claiming: Effect.Effect<A, E>): Effect.Effect<A | undefined> =>
  Effect.catchCause(claiming, (cause) =>
    Effect.as(Effect.logError("the idempotency store could not claim a key; the request was refused", cause), undefined)
  )

/** What says that the request should be made again is no final word. */
const isFinal = (status: number): boolean => !again.has(status) && status < 500
const again: ReadonlySet<number> = new Set([401, 408, 421, 425, 429])

const stored = Effect.fnUntraced(function* (response: HttpServerResponse.HttpServerResponse) {
  const web = HttpServerResponse.toWeb(response, { context: yield* Effect.context<never>() })
  const body = new Uint8Array(yield* Effect.promise(() => web.arrayBuffer()))
  const { "set-cookie": _, ...headers } = Object.fromEntries(web.headers)
  const kept: StoredResponse = { status: web.status, headers, cookies: web.headers.getSetCookie(), body }
  return kept
})

/** The work is done, so the response is given whether it could be kept or not. */
const keep = <E>(complete: Effect.Effect<boolean, E>): Effect.Effect<void> => {
  const lost = "a response could not be kept under its idempotency key: a retry may do the work again"
  return complete.pipe(
    Effect.catchCause((cause) => Effect.as(Effect.logError(lost, cause), true)),
    Effect.flatMap((kept) => (kept ? Effect.void : Effect.logError(`${lost}, since its lease has ended`)))
  )
}

const giveBack = <E>(release: Effect.Effect<void, E>): Effect.Effect<void> =>
  Effect.catchCause(release, (cause) =>
    Effect.logError("an idempotency key could not be given back; its lease must end", cause)
  )

const restore = ({ body, cookies, headers, status }: StoredResponse): HttpServerResponse.HttpServerResponse => {
  const contentType = headers["content-type"]
  const options = { status, headers, cookies: Cookies.fromSetCookie(cookies) }
  if (contentType !== undefined) return HttpServerResponse.uint8Array(body, { ...options, contentType })
  return body.byteLength === 0 ? HttpServerResponse.empty(options) : HttpServerResponse.raw(body, options)
}

const replay = (response: StoredResponse): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.setHeader(restore(response), "idempotency-replayed", "true")

/**
 * SHA-256 of what the request says, so that a key cannot be used for two. The `metadata` of a JSON body says when and by
 * whom it was sent, which may differ when it is sent again.
 */
const digest = (query: string, body: Uint8Array): Effect.Effect<string> =>
  Effect.promise(async () => {
    const said = new TextEncoder().encode(`${query}\n${withoutMetadata(new TextDecoder().decode(body))}`)
    return Hex.encode(new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", said)))
  })

const withoutMetadata = (text: string): string => {
  try {
    const value: unknown = JSON.parse(text)
    if (!Predicate.isObject(value) || !("metadata" in value)) return text
    const { metadata: _, ...rest } = value
    return JSON.stringify(rest)
  } catch {
    return text
  }
}

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
