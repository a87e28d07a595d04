/**
 * An OAuth2 token endpoint for client credentials (RFC 6749 4.4), with the tokens that it issued.
 *
 * **Details**
 *
 * The client authenticates with HTTP Basic, its id and secret form-encoded first (RFC 6749 2.3.1), and sends a
 * form-encoded body. Tokens are `token-1`, `token-2` and so on. No refresh token is issued. Lifetimes are measured on
 * the `Clock` of the stub that asks.
 *
 * **Example** (A token that expires while a client holds it)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Reply, StubProvider, TokenIssuer } from "effect-integration/testing"
 *
 * export const program = Effect.gen(function*() {
 *   const stub = yield* StubProvider.make()
 *   const issuer = yield* TokenIssuer.make({ clients: { shop: "secret" } })
 *   yield* stub.on("POST /oauth/token", issuer.endpoint)
 *   yield* stub.on("GET /v1/charges", Reply.requireToken(issuer, Reply.json(200, [])))
 *   yield* issuer.expireAll
 *   return yield* issuer.issued
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import { answer, atLeast, type Reply } from "./internal/reply.ts"
import { refusal } from "./internal/tokenRequest.ts"

/**
 * What an issuer says of a token.
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict = "valid" | "unknown" | "expired" | "revoked"

/**
 * A token endpoint and its tokens.
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenIssuer {
  /** The endpoint, to be mounted with `stub.on("POST /oauth/token", issuer.endpoint)`. */
  readonly endpoint: Reply
  readonly verify: (token: string) => Effect.Effect<Verdict>
  /** How many tokens were issued. */
  readonly issued: Effect.Effect<number>
  /** The token that was issued last, or undefined. */
  readonly latest: Effect.Effect<string | undefined>
  /** Expires every token issued so far. */
  readonly expireAll: Effect.Effect<void>
  readonly revoke: (token: string) => Effect.Effect<void>
  /** The endpoint's next requests get this reply instead of a token: 503, if not said. */
  readonly failNext: (count: number, reply?: Reply) => Effect.Effect<void>
}

interface State {
  /** The fate of each token; a number is the monotonic nanosecond of its end. */
  readonly tokens: ReadonlyMap<string, bigint | "expired" | "revoked">
  readonly failures: ReadonlyArray<Reply>
}

/**
 * Makes an issuer that knows these clients.
 *
 * **Details**
 *
 * - `clients`: secrets by client id; several where a rotation overlaps.
 * - `lifetime`: how long a token is valid; 1 hour, if not said.
 * - `expiresIn`: what the endpoint says in `expires_in`; the lifetime, if not said. `false` leaves it out, and a
 *   duration other than the lifetime is a provider that lies.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly clients: Readonly<Record<string, string | ReadonlyArray<string>>>
  readonly lifetime?: Duration.Input | undefined
  readonly expiresIn?: Duration.Input | false | undefined
}): Effect.fn.Return<TokenIssuer> {
  const lifetime = Duration.fromInputUnsafe(options.lifetime ?? "1 hour")
  const announced = options.expiresIn === false ? undefined : Duration.fromInputUnsafe(options.expiresIn ?? lifetime)
  const state = yield* Ref.make<State>({ tokens: new Map(), failures: [] })

  const withTokens = (f: (tokens: Map<string, bigint | "expired" | "revoked">) => void) =>
    Ref.update(state, (self) => {
      const tokens = new Map(self.tokens)
      f(tokens)
      return { ...self, tokens }
    })

  const issue = Effect.flatMap(Clock.monotonicTimeNanos, (now) =>
    Ref.modify(state, (self): readonly [string, State] => {
      const token = `token-${self.tokens.size + 1}`
      const end = now + Duration.toNanosUnsafe(lifetime)
      return [token, { ...self, tokens: new Map(self.tokens).set(token, end) }]
    })
  )

  const scripted = Ref.modify(state, (self): readonly [Reply | undefined, State] => [
    self.failures[0],
    { ...self, failures: self.failures.slice(1) }
  ])

  const endpoint: Reply = {
    _tag: "Dynamic",
    respond: Effect.fnUntraced(function* (request) {
      const refused = (yield* scripted) ?? refusal(request, options.clients)
      if (refused !== undefined) {
        return refused
      }
      const scope = new URLSearchParams(request.body).get("scope")
      const body = {
        access_token: yield* issue,
        token_type: "Bearer",
        ...(announced === undefined ? {} : { expires_in: Math.floor(Duration.toSeconds(announced)) }),
        ...(scope === null ? {} : { scope })
      }
      return answer(200, JSON.stringify(body), { "cache-control": "no-store" }, "application/json")
    })
  }

  const verify = Effect.fnUntraced(function* (token: string): Effect.fn.Return<Verdict> {
    const now = yield* Clock.monotonicTimeNanos
    const end = (yield* Ref.get(state)).tokens.get(token)
    return end === undefined ? "unknown" : typeof end === "string" ? end : now < end ? "valid" : "expired"
  })

  return {
    endpoint,
    verify,
    issued: Effect.map(Ref.get(state), (self) => self.tokens.size),
    latest: Effect.map(Ref.get(state), (self) => Array.from(self.tokens.keys()).at(-1)),
    expireAll: withTokens((tokens) =>
      tokens.forEach((end, token) => end === "revoked" || tokens.set(token, "expired"))
    ),
    revoke: (token) => withTokens((tokens) => tokens.has(token) && tokens.set(token, "revoked")),
    failNext: Effect.fnUntraced(function* (count, reply = answer(503, "", undefined)) {
      const failures = Array.from({ length: atLeast("The number of failures", 1, count) }, () => reply)
      yield* Ref.update(state, (self) => ({ ...self, failures: [...self.failures, ...failures] }))
    })
  }
})
