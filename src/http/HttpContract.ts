/**
 * A contract over HTTP (section 3.1) as one value: the API, the error table, and the policies. From it come a service
 * with a typed client, and the layer that makes it real.
 *
 * **Details**
 *
 * - The methods of the client are those of the `HttpApi`. Their error channel lists exactly what can go wrong: the errors
 *   of the table, those that an endpoint declares itself, and those of the call. `HttpClientError` and `SchemaError` do
 *   not come out.
 * - A declared error is decoded first; the row of its status still decides the action. Where it cannot be decoded, the
 *   error of the row is given.
 * - Each attempt carries X-Request-ID, the credentials and, for an unsafe request of an idempotent contract, the
 *   idempotency key of the call. Decoding belongs to the attempt, so that the timeouts cover the body.
 * - Client middleware of the API runs once per call, outside the policies.
 *
 * **Gotchas**
 *
 * - `layer` is one value: layers are shared by identity, so all users of it have the same circuit and the same limits.
 * - The elements of a streamed response come after the call has ended: no timeout covers them.
 * - Redirects are an error: they are not followed, with any client.
 * - Without `retry`, the rows that say so are not retried.
 *
 * **Example** (A contract, and a call)
 *
 * ```ts
 * import { Config, Schema } from "effect"
 * import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 * import { HttpContract, StatusTable } from "effect-integration/http"
 *
 * const Charge = Schema.Struct({ id: Schema.String, amount: Schema.Int })
 *
 * const PaymentsApi = HttpApi.make("payments").add(
 *   HttpApiGroup.make("charges").add(
 *     HttpApiEndpoint.get("get", "/v1/charges/:id", { params: { id: Schema.String }, success: Charge })
 *   )
 * )
 *
 * class Payments extends HttpContract.Service<Payments>()("payments", {
 *   api: PaymentsApi,
 *   baseUrl: Config.URL("PAYMENTS_URL"),
 *   errors: StatusTable.standard
 * }) {}
 *
 * export const charge = Payments.use((payments) => payments.charges.get({ params: { id: "c1" } }))
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiClient from "effect/http-api/HttpApiClient"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import type * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Simplify } from "effect/Types"
import * as Bulkhead from "../policy/Bulkhead.ts"
import * as CircuitBreaker from "../policy/CircuitBreaker.ts"
import type * as ErrorAction from "../policy/ErrorAction.ts"
import * as RateLimit from "../policy/RateLimit.ts"
import * as Timeouts from "../policy/Timeouts.ts"
import { AuthenticationFailed, type Authentication } from "./Authentication.ts"
import { NetworkError, ProtocolError } from "./CallError.ts"
import * as HttpPolicy from "./HttpPolicy.ts"
import * as Endpoints from "./internal/endpoints.ts"
import * as Mocked from "./internal/mocked.ts"
import * as StatusTable from "./StatusTable.ts"

/**
 * Errors that an endpoint or its middleware declares; the row of their status gives them their action. A declared error
 * that is no object cannot carry one: its row's error comes instead.
 *
 * @category models
 * @since 0.1.0
 */
export type Declared<Endpoint extends HttpApiEndpoint.ConstraintRequest> = ErrorAction.WithAction<
  Extract<
    | Endpoint["~Error"]["Type"]
    | HttpApiMiddleware.Error<Endpoint["~Middleware"]>
    | HttpApiMiddleware.ClientError<Endpoint["~Middleware"]>,
    object
  >
>

/** Inside a streamed response the errors of the client are those of the contract too. @category models @since 0.1.0 */
export type Success<S> =
  S extends Stream.Stream<infer A, infer E, infer R>
    ? Stream.Stream<
        A,
        Exclude<E, HttpClientError.HttpClientError | Schema.SchemaError> | NetworkError | ProtocolError,
        R
      >
    : S

type Request<
  Endpoint extends HttpApiEndpoint.ConstraintRequest,
  Mode extends HttpApiEndpoint.ClientResponseMode
> = Simplify<
  HttpApiEndpoint.ClientRequest<
    Endpoint["~Params"],
    Endpoint["~Query"],
    Endpoint["~Payload"],
    Endpoint["~Headers"],
    Mode
  >
>

// A conditional type, so that a hover prints the function and not this alias with its endpoint.
type Method<Endpoint, E> = Endpoint extends HttpApiEndpoint.ConstraintRequest
  ? <Mode extends HttpApiEndpoint.ClientResponseMode = "decoded-only">(
      request: Request<Endpoint, Mode>
    ) => Effect.Effect<
      HttpApiClient.Client.Response<Success<HttpApiClient.SuccessType<Endpoint["~Success"]>>, Mode>,
      E | Declared<Endpoint>,
      HttpApiEndpoint.ClientServices<Endpoint>
    >
  : never

type Calls<Groups extends HttpApiGroup.Constraint, E> = {
  readonly [G in Extract<Groups, { readonly topLevel: false }> as G["identifier"]]: {
    readonly [K in keyof G["endpoints"]]: Method<G["endpoints"][K], E>
  }
} & {
  readonly [
    T in HttpApiGroup.Endpoints<Extract<Groups, { readonly topLevel: true }>> as HttpApiEndpoint.Identifier<T>
  ]: Method<T, E>
}

/** The client of a contract: its groups and endpoints as methods. @category models @since 0.1.0 */
export type Client<Groups extends HttpApiGroup.Constraint, E> = Simplify<Calls<Groups, E>>

type MockMethod<Endpoint, E> = Endpoint extends HttpApiEndpoint.ConstraintRequest
  ? (
      request: Request<Endpoint, "decoded-only">
    ) => Effect.Effect<Success<HttpApiClient.SuccessType<Endpoint["~Success"]>>, E | Declared<Endpoint>>
  : never

/**
 * Methods for a test: those that it needs, each with its decoded request and its decoded success.
 *
 * @category models
 * @since 0.1.0
 */
export type Mock<Groups extends HttpApiGroup.Constraint, E> = Simplify<
  {
    readonly [G in Extract<Groups, { readonly topLevel: false }> as G["identifier"]]?: {
      readonly [K in keyof G["endpoints"]]?: MockMethod<G["endpoints"][K], E>
    }
  } & {
    readonly [
      T in HttpApiGroup.Endpoints<Extract<Groups, { readonly topLevel: true }>> as HttpApiEndpoint.Identifier<T>
    ]?: MockMethod<T, E>
  }
>

/**
 * @category models
 * @since 0.1.0
 */
export interface Options<
  ApiId extends string,
  Groups extends HttpApiGroup.Constraint,
  Rows,
  Auth,
  Breaker,
  Limit,
  Load
> extends HttpPolicy.Options<Rows, Auth, Breaker, Limit, Load> {
  readonly api: HttpApi.HttpApi<ApiId, Groups>
}

/** Any contract, for a design that lists several. @category models @since 0.1.0 */
export interface Any {
  readonly key: string
  readonly contract: HttpPolicy.Any & { readonly api: HttpApi.Constraint }
  readonly layer: Layer.Layer<any, any, any>
}

/**
 * The class of a contract: the service, its design and its layer.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpContract<
  in out Self,
  Id extends string,
  Groups extends HttpApiGroup.Constraint,
  E
> extends Context.ServiceClass<Self, Id, Client<Groups, E>> {
  /** The real client. Swap it in tests with `mock`. */
  readonly layer: Layer.Layer<Self, Config.ConfigError, HttpClient.HttpClient | HttpApiGroup.MiddlewareClient<Groups>>
  /** A client of these methods; a call of any other is a defect that names it. */
  readonly mock: (methods: Mock<Groups, E>) => Layer.Layer<Self>
  /** The design, from which the document is rendered. */
  readonly contract: HttpPolicy.Any & { readonly api: HttpApi.HttpApi<string, Groups> }
  /** The errors that all calls share, as a schema: what a durable step stores. */
  readonly errors: Schema.Codec<E, unknown>
}

/**
 * Defines a contract as a service.
 *
 * **Gotchas**
 *
 * Throws `InvalidOption` for options that make no sense, when the class is defined.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <
    const Id extends string,
    ApiId extends string,
    Groups extends HttpApiGroup.Constraint,
    Rows,
    Auth extends Authentication<any> | undefined = undefined,
    Breaker extends CircuitBreaker.Options | undefined = undefined,
    const Limit extends RateLimit.Options | undefined = undefined,
    Load extends Bulkhead.Options | undefined = undefined
  >(
    id: Id,
    options: Options<ApiId, Groups, Rows, Auth, Breaker, Limit, Load>
  ): HttpContract<Self, Id, Groups, StatusTable.Errors<Rows> | HttpPolicy.CallError<Auth, Breaker, Limit, Load>> => {
    const contract = options as unknown as HttpPolicy.Any & { readonly api: HttpApi.HttpApi<string, Groups> }
    HttpPolicy.check(id, contract)
    const Base: any = Context.Service<any, any>()(id)
    const make = Effect.gen(function* () {
      return yield* Endpoints.makeClient(
        yield* HttpPolicy.makeWire(id, contract),
        contract.api as unknown as HttpApi.Top
      )
    })
    const mock = (methods: object) =>
      Layer.succeed(Base, Mocked.make(id, contract.api as unknown as HttpApi.Top, methods))
    return Object.assign(Base, { contract, errors: errorsOf(contract), layer: Layer.effect(Base, make), mock })
  }

const errorsOf = (contract: HttpPolicy.Any): Schema.Union<ReadonlyArray<Schema.Constraint>> =>
  Schema.Union([
    ...StatusTable.classes(contract.errors),
    NetworkError,
    ProtocolError,
    Timeouts.Timeout,
    RateLimit.RateLimitExceeded,
    ...(contract.authentication?.kind === "clientCredentials" ? [AuthenticationFailed] : []),
    ...(contract.breaker === undefined ? [] : [CircuitBreaker.CircuitOpen]),
    ...(contract.rateLimit?.perDay === undefined ? [] : [RateLimit.QuotaExhausted]),
    ...(contract.bulkhead === undefined ? [] : [Bulkhead.BulkheadFull])
  ])
