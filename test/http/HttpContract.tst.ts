import { type Config, Effect, type Layer, Schema, type Stream } from "effect"
import type { HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware, HttpApiSchema } from "effect/http-api"
import { describe, expect, test } from "tstyche"
import { Authentication, type CallError, HttpContract, HttpPolicy, StatusTable } from "../../src/http/index.ts"
import {
  type Bulkhead,
  type CircuitBreaker,
  ErrorAction,
  type RateLimit,
  type Timeouts
} from "../../src/policy/index.ts"

class NewCharge extends Schema.Class<NewCharge>("NewCharge")({ amount: Schema.Int }) {}
class Charge extends Schema.Class<Charge>("Charge")({ id: Schema.String, amount: Schema.Int }) {}
class CardDeclined extends Schema.TaggedError<CardDeclined>()(
  "CardDeclined",
  { reason: Schema.String },
  { httpApiStatus: 402 }
) {}
class Stamp extends HttpApiMiddleware.Service<Stamp>()("test/Stamp", { requiredForClient: true }) {}

const Api = HttpApi.make("payments").add(
  HttpApiGroup.make("charges").add(
    HttpApiEndpoint.post("create", "/v1/charges", { payload: NewCharge, success: Charge, error: CardDeclined }),
    HttpApiEndpoint.get("get", "/v1/charges/:id", { params: { id: Schema.String }, success: Charge }),
    HttpApiEndpoint.post("text", "/v1/text", { success: Charge, error: Schema.String }),
    HttpApiEndpoint.get("watch", "/v1/watch", { success: HttpApiSchema.StreamNdjson({ schema: Charge }) })
  ),
  HttpApiGroup.make("root", { topLevel: true }).add(HttpApiEndpoint.get("ping", "/ping", { success: Schema.String }))
)
const Stamped = HttpApi.make("stamped").add(
  HttpApiGroup.make("s").add(HttpApiEndpoint.get("get", "/s", { success: Charge }).middleware(Stamp))
)

type Standard =
  | StatusTable.UnexpectedRedirect
  | StatusTable.ValidationError
  | StatusTable.Unauthorized
  | StatusTable.Forbidden
  | StatusTable.NotFound
  | StatusTable.Retriable
  | StatusTable.Conflict
  | StatusTable.IdempotencyInProgress
  | StatusTable.BusinessRule
  | StatusTable.IdempotencyKeyReused
  | StatusTable.RateLimited
  | StatusTable.UnexpectedStatus
  | StatusTable.InternalError
  | StatusTable.Unavailable
type Call = CallError.NetworkError | CallError.ProtocolError | Timeouts.Timeout | RateLimit.RateLimitExceeded

class Payments extends HttpContract.Service<Payments>()("payments", {
  api: Api,
  baseUrl: "http://127.0.0.1",
  errors: StatusTable.standard
}) {}

class Full extends HttpContract.Service<Full>()("full", {
  api: Api,
  baseUrl: "http://127.0.0.1",
  errors: StatusTable.standard,
  authentication: Authentication.clientCredentials({ tokenUrl: "http://127.0.0.1", id: "i", secret: [] }),
  breaker: { failurePercent: 50, window: "10 seconds", openFor: "1 second" },
  rateLimit: { perMinute: 60, perDay: 100 },
  bulkhead: { maxConcurrent: 1 }
}) {}

class Simple extends HttpContract.Service<Simple>()("simple", {
  api: Api,
  baseUrl: "http://127.0.0.1",
  errors: StatusTable.standard,
  authentication: Authentication.apiKey({ key: [] }),
  rateLimit: { perMinute: 60 }
}) {}

class AlreadyCharged extends StatusTable.Error<AlreadyCharged>()("AlreadyCharged") {}
class Teapot extends StatusTable.Error<Teapot>()("Teapot") {}
const table = StatusTable.override(StatusTable.standard, {
  409: StatusTable.row(AlreadyCharged, "ALREADY", ErrorAction.skip),
  418: StatusTable.row(Teapot, "TEAPOT", ErrorAction.fail)
})
class Custom extends HttpContract.Service<Custom>()("custom", {
  api: Api,
  baseUrl: "http://127.0.0.1",
  errors: table
}) {}

class WithMiddleware extends HttpContract.Service<WithMiddleware>()("stamped", {
  api: Stamped,
  baseUrl: "http://127.0.0.1",
  errors: StatusTable.standard
}) {}

const get = Payments.use((payments) => payments.charges.get({ params: { id: "1" } }))
const create = Payments.use((payments) => payments.charges.create({ payload: new NewCharge({ amount: 1 }) }))
const custom = Custom.use((payments) => payments.charges.get({ params: { id: "1" } }))

describe("the error channel", () => {
  test("is the table and the errors of any call, and nothing else", () => {
    expect<Effect.Error<typeof get>>().type.toBe<Standard | Call>()
    expect<Effect.Success<typeof get>>().type.toBe<Charge>()
    expect<Effect.Services<typeof get>>().type.toBe<Payments>()
  })
  test("has the errors that an endpoint declares, with their action", () => {
    expect<Effect.Error<typeof create>>().type.toBe<Standard | Call | (CardDeclined & ErrorAction.Actionable)>()
  })
  test("does not have a declared error that is no object", () => {
    const text = Payments.use((payments) => payments.charges.text())
    expect<Effect.Error<typeof text>>().type.toBe<Standard | Call>()
  })
  test("grows by what a breaker, a quota, a bulkhead and a token endpoint can say", () => {
    const full = Full.use((payments) => payments.ping())
    expect<Effect.Error<typeof full>>().type.toBe<
      | Standard
      | Call
      | CircuitBreaker.CircuitOpen
      | RateLimit.QuotaExhausted
      | Bulkhead.BulkheadFull
      | Authentication.AuthenticationFailed
    >()
  })
  test("does not grow by an API key or a limit without quota", () => {
    const simple = Simple.use((payments) => payments.ping())
    expect<Effect.Error<typeof simple>>().type.toBe<Standard | Call>()
  })
  test("loses an overridden row and wins a new one", () => {
    expect<Effect.Error<typeof custom>>().type.toBe<
      Exclude<Standard, StatusTable.Conflict> | AlreadyCharged | Teapot | Call
    >()
  })
  test("never has the errors of the client or of Schema", () => {
    expect<
      Extract<Effect.Error<typeof create | typeof custom>, HttpClientError.HttpClientError | Schema.SchemaError>
    >().type.toBe<never>()
  })
  test("is narrowed by catchTag", () => {
    const caught = create.pipe(Effect.catchTag(["Conflict", "CardDeclined"], (error) => Effect.succeed(error._tag)))
    expect<Effect.Success<typeof caught>>().type.toBe<Charge | "Conflict" | "CardDeclined">()
    expect<Effect.Error<typeof caught>>().type.toBe<Exclude<Standard, StatusTable.Conflict> | Call>()
  })
  test("does not list what cannot come", () => {
    expect<
      Extract<Effect.Error<typeof create>, { readonly _tag: "CircuitOpen" | "QuotaExhausted" }>
    >().type.toBe<never>()
  })
  test("every member says its action", () => {
    expect<Effect.Error<typeof create>>().type.toBeAssignableTo<ErrorAction.Actionable>()
  })
  test("of a streamed response is that of the contract", () => {
    const watch = Payments.use((payments) => payments.charges.watch())
    type Failure = Effect.Success<typeof watch> extends Stream.Stream<Charge, infer E, never> ? E : "no stream"
    expect<Failure>().type.toBe<CallError.NetworkError | CallError.ProtocolError>()
    expect<Effect.Error<typeof watch>>().type.toBe<Standard | Call>()
  })
})

describe("the methods", () => {
  test("of a top-level group are on the client itself", () => {
    expect<(typeof Payments)["Service"]>().type.toHaveProperty("ping")
    expect<(typeof Payments)["Service"]>().type.not.toHaveProperty("root")
  })
  test("give the response where it is asked for", () => {
    const both = Payments.use((payments) =>
      payments.charges.get({ params: { id: "1" }, responseMode: "decoded-and-response" })
    )
    expect<Effect.Success<typeof both>>().type.toBe<[Charge, HttpClientResponse.HttpClientResponse]>()
    const only = Payments.use((payments) =>
      payments.charges.get({ params: { id: "1" }, responseMode: "response-only" })
    )
    expect<Effect.Success<typeof only>>().type.toBe<HttpClientResponse.HttpClientResponse>()
  })
  test("take what the endpoint declares", () => {
    expect<(typeof Payments)["Service"]["charges"]["get"]>().type.not.toBeCallableWith({ params: { id: 1 } })
    expect<(typeof Payments)["Service"]["charges"]["get"]>().type.not.toBeCallableWith({})
  })
})

describe("the layer", () => {
  test("needs an HttpClient, may lack configuration, and gives the service", () => {
    expect(Payments.layer).type.toBe<Layer.Layer<Payments, Config.ConfigError, HttpClient.HttpClient>>()
    expect(Full.layer).type.toBe<Layer.Layer<Full, Config.ConfigError, HttpClient.HttpClient>>()
  })
  test("needs the client middleware of the API", () => {
    expect(WithMiddleware.layer).type.toBe<
      Layer.Layer<WithMiddleware, Config.ConfigError, HttpClient.HttpClient | HttpApiMiddleware.ForClient<Stamp>>
    >()
  })
})

describe("the errors as a schema", () => {
  test("are those that all calls share", () => {
    expect<(typeof Payments)["errors"]["Type"]>().type.toBe<Standard | Call>()
    expect<(typeof Custom)["errors"]["Type"]>().type.toBe<Effect.Error<typeof custom>>()
  })
  test("need no services", () => {
    expect<(typeof Full)["errors"]["DecodingServices"]>().type.toBe<never>()
    expect<(typeof Full)["errors"]["EncodingServices"]>().type.toBe<never>()
  })
})

describe("what cannot be written", () => {
  test("a row whose class says no action", () => {
    class NoAction extends Schema.TaggedError<NoAction>()("NoAction", {}) {}
    expect(StatusTable.row).type.not.toBeCallableWith(NoAction, "X", ErrorAction.fail)
  })
  test("a contract without a table or a base URL", () => {
    expect(HttpContract.Service<Payments>()).type.not.toBeCallableWith("x", { api: Api, baseUrl: "http://x" })
    expect(HttpContract.Service<Payments>()).type.not.toBeCallableWith("x", { api: Api, errors: StatusTable.standard })
  })
  test("a secret in plain text", () => {
    expect(Authentication.bearer).type.not.toBeCallableWith("secret")
    expect(Authentication.apiKey).type.not.toBeCallableWith({ key: "secret" })
  })
})

describe("a plain client", () => {
  test("has the same error channel", () => {
    const made = HttpPolicy.make("plain", {
      baseUrl: "http://x",
      errors: table,
      breaker: { failurePercent: 1, window: 1, openFor: 1 }
    })
    type Client = Effect.Success<typeof made>
    expect<Effect.Error<ReturnType<Client["get"]>>>().type.toBe<
      Exclude<Standard, StatusTable.Conflict> | AlreadyCharged | Teapot | Call | CircuitBreaker.CircuitOpen
    >()
    expect<Effect.Error<typeof made>>().type.toBe<Config.ConfigError>()
  })
})

test("limits that are known only by their type may hold a daily quota", () => {
  type Of<Limit> = HttpPolicy.CallError<undefined, undefined, Limit, undefined>
  expect<Extract<Of<RateLimit.Options>, RateLimit.QuotaExhausted>>().type.toBe<RateLimit.QuotaExhausted>()
  expect<Extract<Of<{ readonly perMinute: number }>, RateLimit.QuotaExhausted>>().type.toBe<never>()
  expect<Extract<Of<undefined>, RateLimit.QuotaExhausted>>().type.toBe<never>()
})
