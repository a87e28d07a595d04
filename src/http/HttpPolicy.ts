/**
 * A plain `HttpClient` that behaves as a contract: policies, error table, authentication, idempotency keys and request
 * ids, for those who do not describe the API with `HttpApi`.
 *
 * **Details**
 *
 * - Every status of 300 and above fails with the error of its row; a success is a response.
 * - The body of a success is read within the attempt, so that the timeouts and the retries cover it. For long or endless
 *   bodies, `body: "streamed"` leaves it to the caller, outside them.
 *
 * **Gotchas**
 *
 * Make a client once, where the application starts: each has a circuit, limits and a token of its own.
 *
 * **Example** (A client with the whole policy)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpPolicy, StatusTable } from "effect-integration/http"
 * import { RetryPolicy } from "effect-integration/policy"
 *
 * export const program = Effect.gen(function* () {
 *   const client = yield* HttpPolicy.make("stock", {
 *     baseUrl: "https://stock.example.com",
 *     errors: StatusTable.standard,
 *     retry: RetryPolicy.make({ delays: ["100 millis", "300 millis"] })
 *   })
 *   const response = yield* client.get("/v1/items/42")
 *   return yield* response.json
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Option from "../internal/option.ts"
import type * as Bulkhead from "../policy/Bulkhead.ts"
import type * as CircuitBreaker from "../policy/CircuitBreaker.ts"
import * as Policy from "../policy/Policy.ts"
import type * as RateLimit from "../policy/RateLimit.ts"
import type * as RetryPolicy from "../policy/RetryPolicy.ts"
import * as Timeouts from "../policy/Timeouts.ts"
import * as Telemetry from "../Telemetry.ts"
import type { Authentication } from "./Authentication.ts"
import type { NetworkError, ProtocolError } from "./CallError.ts"
import * as Idempotency from "./Idempotency.ts"
import * as Exchange from "./internal/exchange.ts"
import * as Transport from "./internal/transport.ts"
import type { Wire } from "./internal/wire.ts"
import type * as StatusTable from "./StatusTable.ts"

/**
 * What a contract over HTTP says, whether its API is described or not.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Rows, Auth, Breaker, Limit, Load> {
  /** The error table. */
  readonly errors: StatusTable.StatusTable<Rows>
  readonly baseUrl: Config.Config<URL> | URL | string
  readonly authentication?: Auth
  /**
   * Whether unsafe requests carry an idempotency key, so that they may be retried, and a 409 means that the work is done.
   * Default false. An object names the headers.
   */
  readonly idempotent?: boolean | { readonly headers: ReadonlyArray<string> }
  /** Default: no retries, whatever the rows of the table say. */
  readonly retry?: RetryPolicy.RetryPolicy
  readonly breaker?: Breaker
  /** One circuit per key of a request: a host, a tenant. Default: one for the contract. */
  readonly circuitKey?: (request: HttpClientRequest.HttpClientRequest) => string
  /** Without limits of its own, a contract still waits where the provider answers 429 with Retry-After. */
  readonly rateLimit?: Limit
  readonly bulkhead?: Load
  /** Default: connect 5 seconds, attempt 30 seconds, total 1 minute. */
  readonly timeouts?: Timeouts.Timeouts
  /** Adds `metadata: { sourceSystem, timestamp }` to JSON bodies of unsafe requests. */
  readonly sourceSystem?: string
  /** Names of fields that are personal data, redacted in the bodies that errors carry. */
  readonly personalData?: ReadonlyArray<string>
}

/** What is known of the options when only the policies matter. @category models @since 0.1.0 */
export interface Any extends Options<
  unknown,
  Authentication<any>,
  CircuitBreaker.Options,
  RateLimit.Options,
  Bulkhead.Options
> {}

/**
 * What can go wrong with any call, besides the statuses: a provider may answer 429 to any call, so a call can always be
 * held back (`RateLimitExceeded`).
 *
 * @category models
 * @since 0.1.0
 */
export type CallError<Auth, Breaker, Limit, Load> =
  | NetworkError
  | ProtocolError
  | Timeouts.Timeout
  | RateLimit.RateLimitExceeded
  | (Auth extends Authentication<infer E> ? E : never)
  | (Breaker extends object ? CircuitBreaker.CircuitOpen : never)
  | (Limit extends object ? ("perDay" extends keyof Limit ? RateLimit.QuotaExhausted : never) : never)
  | (Load extends object ? Bulkhead.BulkheadFull : never)

/** The timeouts of a contract that names none. @category constants @since 0.1.0 */
export const defaultTimeouts: { readonly [K in "connect" | "attempt" | "total"]: Duration.Input } = {
  connect: "5 seconds",
  attempt: "30 seconds",
  total: "1 minute"
}

/**
 * Checks the options. Throws `InvalidOption` for what makes no sense.
 *
 * @category constructors
 * @since 0.1.0
 */
export const check = (name: string, options: Any): void => {
  Option.name("HttpPolicy.check", name)
  const { idempotent } = options
  const headers = typeof idempotent === "object" ? idempotent.headers : undefined
  if (headers?.length === 0 || headers?.some((each) => !Option.isHeaderName(each))) {
    Option.reject("HttpPolicy.check", "idempotent.headers", headers, "a list of header names (RFC 9110, 5.1)")
  }
  if (typeof options.baseUrl === "string" && !Option.isHttpUrl(options.baseUrl)) {
    // The text may hold a password.
    Option.reject("HttpPolicy.check", "baseUrl", "<text>", "an absolute URL of http or https")
  }
  Policy.check(name, policiesOf(options))
}

const policiesOf = (options: Any) => ({
  timeouts: options.timeouts ?? defaultTimeouts,
  rateLimit: options.rateLimit ?? {},
  phases: true,
  ...(options.retry === undefined ? undefined : { retry: options.retry }),
  ...(options.breaker === undefined ? undefined : { breaker: options.breaker }),
  ...(options.bulkhead === undefined ? undefined : { bulkhead: options.bulkhead })
})

/** @internal */
export const makeWire = Effect.fnUntraced(function* (
  name: string,
  options: Any
): Effect.fn.Return<Wire, Config.ConfigError, HttpClient.HttpClient | Scope.Scope> {
  Transport.observe()
  const httpClient = yield* HttpClient.HttpClient
  const { authentication, circuitKey, idempotent = false } = options
  const recorder = Telemetry.recorder(name)
  return {
    name,
    httpClient,
    baseUrl: yield* baseUrlOf(options.baseUrl),
    policy: yield* Policy.make(name, policiesOf(options)),
    table: options.errors,
    authenticator:
      authentication === undefined
        ? undefined
        : yield* authentication.make({ integration: name, httpClient, recorder }),
    idempotent: idempotent !== false,
    keyHeaders: typeof idempotent === "object" ? idempotent.headers : Idempotency.defaultHeaders,
    sourceSystem: options.sourceSystem,
    personalData: new Set(options.personalData),
    circuitKey,
    connectMillis: Timeouts.toMillis(options.timeouts ?? defaultTimeouts).connect
  }
})

const baseUrlOf = Effect.fnUntraced(function* (
  given: Config.Config<URL> | URL | string
): Effect.fn.Return<string, Config.ConfigError> {
  const url = Config.isConfig(given) ? yield* given as Config.Config<URL> : (given as URL | string)
  return url.toString()
})

/**
 * A client of one provider. Its circuit, rate limit and token live as long as the client.
 *
 * **Gotchas**
 *
 * Throws `InvalidOption` for options that make no sense.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  Rows,
  Auth extends Authentication<any> | undefined = undefined,
  Breaker extends CircuitBreaker.Options | undefined = undefined,
  const Limit extends RateLimit.Options | undefined = undefined,
  Load extends Bulkhead.Options | undefined = undefined
>(
  name: string,
  options: Options<Rows, Auth, Breaker, Limit, Load> & { readonly body?: "buffered" | "streamed" }
): Effect.Effect<
  HttpClient.HttpClient.With<StatusTable.Errors<Rows> | CallError<Auth, Breaker, Limit, Load>>,
  Config.ConfigError,
  HttpClient.HttpClient | Scope.Scope
> => {
  check(name, options as Any)
  return Effect.gen(function* () {
    const wire = yield* makeWire(name, options as Any)
    const read = (response: HttpClientResponse.HttpClientResponse) =>
      response.status >= 300
        ? undefined
        : options.body === "streamed"
          ? Effect.succeed(response)
          : Effect.map(response.arrayBuffer, (bytes) => buffered(response, new Uint8Array(bytes)))
    return HttpClient.makeWith(
      (request: Effect.Effect<HttpClientRequest.HttpClientRequest>) =>
        Effect.flatMap(request, (each) => Exchange.exchange(wire, undefined, each, read)),
      Effect.succeed
    ) as any
  })
}

/** A response whose body was read can be read again, as a stream too. */
const buffered = (
  response: HttpClientResponse.HttpClientResponse,
  bytes: Uint8Array
): HttpClientResponse.HttpClientResponse =>
  Object.defineProperty(response, "stream", {
    get: () => (bytes.byteLength === 0 ? Stream.empty : Stream.make(bytes))
  })
