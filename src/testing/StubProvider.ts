/**
 * A provider for tests: a real HTTP server on loopback that answers by script and records what it received.
 *
 * **When to use**
 *
 * Use to prove what a client does when its provider is slow, wrong, broken or gone: faults happen on the socket, below
 * every HTTP library.
 *
 * **Details**
 *
 * Each route has a script of replies, given one after another; the last one repeats. `on` may be called again at any
 * time, and the new script starts from its beginning. A request that no route matches is answered 404 with the code
 * `NO_ROUTE`. Tests wait for what happened with `until`, `awaitRequests` and `awaitSockets`, never for a duration. When
 * the scope closes, the port and every socket are freed.
 *
 * **Gotchas**
 *
 * - Idle connections stay open until the client closes them, so a socket that is left open is the client's.
 * - Replies are chosen when a request has arrived whole, in that order.
 * - Delays, token lifetimes and rate limits run on the `Clock` of the fiber that called `make`.
 *
 * **Example** (A charge that succeeds at the third attempt)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpClient } from "effect/http"
 * import { Reply, StubProvider } from "effect-integration/testing"
 *
 * export const program = Effect.gen(function*() {
 *   const stub = yield* StubProvider.make()
 *   yield* stub.on("POST /v1/charges", Reply.times(2, Reply.status(503)), Reply.json(201, { id: "c1" }))
 *   const response = yield* HttpClient.post(`${stub.url}/v1/charges`).pipe(
 *     Effect.repeat({ until: (response) => response.status === 201 })
 *   )
 *   const requests = yield* stub.requestsTo("POST /v1/charges")
 *   return [response.status, requests.length] // [201, 3]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as journal from "./internal/journal.ts"
import * as server from "./internal/server.ts"
import type { RecordedRequest } from "./RecordedRequest.ts"
import * as Route from "./Route.ts"
import * as Script from "./Script.ts"

export type { Snapshot } from "./internal/journal.ts"

/**
 * A running stub provider.
 *
 * @category models
 * @since 0.1.0
 */
export interface StubProvider {
  /** As in `http://127.0.0.1:40123`, without a slash at the end. */
  readonly url: string
  readonly port: number
  /** Gives a route its script, in place of the one it had. */
  readonly on: (route: Route.Route, ...script: Script.Script) => Effect.Effect<void>
  /** What was received since the start or the last `reset`, in the order of arrival. */
  readonly requests: Effect.Effect<ReadonlyArray<RecordedRequest>>
  /** The requests that were answered by the script of this route. */
  readonly requestsTo: (route: Route.Route) => Effect.Effect<ReadonlyArray<RecordedRequest>>
  /** Forgets the records; scripts go on where they are. */
  readonly reset: Effect.Effect<void>
  /** Connections that are open, idle ones included. */
  readonly openSockets: Effect.Effect<number>
  /** Waits until the predicate holds, and never by polling. */
  readonly until: (predicate: (snapshot: journal.Snapshot) => boolean) => Effect.Effect<journal.Snapshot>
  /** Waits until at least this many requests have arrived, and returns them. */
  readonly awaitRequests: (count: number, route?: Route.Route) => Effect.Effect<ReadonlyArray<RecordedRequest>>
  /** Waits until exactly this many connections are open. */
  readonly awaitSockets: (count: number) => Effect.Effect<void>
}

interface Scripted {
  readonly pattern: Route.Pattern
  readonly script: Script.Script
  given: number
}

const sentTo = (requests: ReadonlyArray<RecordedRequest>, route: Route.Route | undefined) => {
  const wanted = route === undefined ? undefined : Route.parse(route).route
  return wanted === undefined ? requests : requests.filter((request) => request.route === wanted)
}

/**
 * Starts a stub provider on a free port of 127.0.0.1, or on the port that is given.
 *
 * **Gotchas**
 *
 * A port that cannot be had is a defect, and so is a route that is none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options?: {
  readonly port?: number | undefined
}): Effect.fn.Return<StubProvider, never, Scope.Scope> {
  const seen = journal.make()
  const routes = new Map<string, Scripted>()

  const find = server.routerOf(() =>
    Array.from(routes.values(), (scripted) => ({
      pattern: scripted.pattern,
      next: () => Script.at(scripted.script, scripted.given++)
    }))
  )
  const port = yield* server.listen({ port: options?.port ?? 0, journal: seen, find })

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    on: (route, ...script) =>
      Effect.sync(() => {
        const pattern = Route.parse(route)
        routes.set(pattern.route, { pattern, script, given: 0 })
      }),
    requests: Effect.sync(() => seen.snapshot().requests),
    requestsTo: (route) => Effect.sync(() => sentTo(seen.snapshot().requests, route)),
    reset: Effect.sync(seen.forget),
    openSockets: Effect.sync(() => seen.snapshot().openSockets),
    until: seen.until,
    awaitRequests: (count, route) =>
      Effect.map(
        seen.until((now) => sentTo(now.requests, route).length >= count),
        (now) => sentTo(now.requests, route)
      ),
    awaitSockets: (count) => Effect.asVoid(seen.until((now) => now.openSockets === count))
  }
})
