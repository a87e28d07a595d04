import { NodeHttpClient } from "@effect/platform-node"
import { it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Layer, Logger, Metric, References, Schema, type Scope, Tracer } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { type Authentication, HttpContract, type HttpPolicy, StatusTable } from "../../src/http/index.ts"
import * as Window from "../../src/policy/internal/outcomeWindow.ts"
import {
  type Bulkhead,
  type CircuitBreaker,
  CircuitBreakers,
  ErrorAction,
  type RateLimit,
  RetryPolicy
} from "../../src/policy/index.ts"

export class Charge extends Schema.Class<Charge>("Charge")({ id: Schema.String, amount: Schema.Int }) {}

/** A declared error: its status decides its action. */
export class CardDeclined extends Schema.TaggedError<CardDeclined>()(
  "CardDeclined",
  { reason: Schema.String },
  { httpApiStatus: 402 }
) {}
export class Busy extends Schema.TaggedError<Busy>()("Busy", { queue: Schema.Int }, { httpApiStatus: 429 }) {}
export class Known extends Schema.TaggedError<Known>()("Known", { id: Schema.String }, { httpApiStatus: 409 }) {}

export const PaymentsApi = HttpApi.make("payments").add(
  HttpApiGroup.make("charges").add(
    HttpApiEndpoint.post("create", "/v1/charges", {
      payload: Schema.Struct({ amount: Schema.Int }),
      success: Charge,
      error: CardDeclined
    }),
    HttpApiEndpoint.get("get", "/v1/charges/:id", { params: { id: Schema.String }, success: Charge }),
    HttpApiEndpoint.put("replace", "/v1/charges/:id", {
      params: { id: Schema.String },
      payload: Schema.Struct({ amount: Schema.Int }),
      success: Charge
    }),
    HttpApiEndpoint.delete("remove", "/v1/charges/:id", { params: { id: Schema.String } }),
    HttpApiEndpoint.patch("change", "/v1/charges/:id", {
      params: { id: Schema.String },
      payload: Schema.Struct({ amount: Schema.Int }),
      success: Charge
    }),
    HttpApiEndpoint.get("list", "/v1/charges", {
      query: { limit: Schema.Int.pipe(Schema.encodeTo(Schema.FiniteFromString)) },
      success: Schema.Array(Charge)
    }),
    HttpApiEndpoint.get("watch", "/v1/watch", { success: HttpApiSchema.StreamNdjson({ schema: Charge }) }),
    HttpApiEndpoint.post("queue", "/v1/queue", { success: Charge, error: [Busy, Known] })
  ),
  HttpApiGroup.make("root", { topLevel: true }).add(HttpApiEndpoint.get("ping", "/ping", { success: Schema.String }))
)

export const good = { id: "c1", amount: 5 }

type Auth = Authentication.Authentication<Authentication.AuthenticationFailed>

/** What a test may say about its contract; the error channel is the widest. */
export type Settings = Partial<
  HttpPolicy.Options<
    StatusTable.StandardRows,
    Auth,
    CircuitBreaker.Options,
    { readonly perMinute?: number; readonly perDay: number },
    Bulkhead.Options
  >
> & { readonly name?: string; readonly baseUrl: string | URL }

export type Limits = RateLimit.Options

let last = 0
/** A name that no other contract of this process has. */
export const unique = () => `payments-${++last}`

/** The client of a contract, for as long as the scope is open. */
export const connect = Effect.fnUntraced(function* ({ name = unique(), ...settings }: Settings) {
  class Payments extends HttpContract.Service<Payments>()(name, {
    api: PaymentsApi,
    errors: StatusTable.standard,
    ...settings
  }) {}
  const context = yield* Layer.build(Payments.layer)
  const client = Context.get(context, Payments)
  return {
    client,
    create: client.charges.create({ payload: { amount: 5 } }),
    get: client.charges.get({ params: { id: "c1" } })
  }
})

export const once = RetryPolicy.make({ delays: ["1 millis"] })
export const twice = RetryPolicy.make({ delays: ["1 millis", "1 millis"] })
/** A circuit that counts and never opens. */
export const counting: CircuitBreaker.Options = {
  failurePercent: 100,
  window: "1 minute",
  openFor: "1 minute",
  minimumCalls: 1_000_000
}
/** A circuit that opens with the first failure. */
export const brittle: CircuitBreaker.Options = {
  failurePercent: 50,
  window: "1 minute",
  openFor: "1 minute",
  minimumCalls: 1
}

/** What the circuit of a contract has counted: `calls` without the ignored ones. */
export const circuitOf = Effect.fnUntraced(function* (name: string) {
  const circuits = (yield* CircuitBreakers.all).filter((each) => each.name === name && each.key === undefined)
  const state = yield* circuits.at(-1)!.state
  const counted = state._tag === "Closed" ? Window.sum(state) : { calls: 0, failed: 0 }
  return { state: state._tag, calls: counted.calls, failed: counted.failed }
})

export interface Line {
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
}

/** Everything that was said beside the result of a program. */
export interface Seen {
  readonly lines: Array<Line>
  readonly notices: Array<ErrorAction.Notice>
  readonly spans: Array<Tracer.NativeSpan>
  /** The kinds of notices, once their fibers have run. */
  readonly notified: Effect.Effect<ReadonlyArray<ErrorAction.Notice["kind"]>>
  /** Log lines, notices, spans and metrics as one text, to search for what must not be there. */
  readonly text: Effect.Effect<string>
}

const show = (value: unknown): string =>
  JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === "bigint") return String(each)
    if (each instanceof Map) return [...each]
    return each
  }) ?? ""

/** Runs a program with its log lines, notices, spans and metrics kept. */
export const watched = <A, E, R>(self: (seen: Seen) => Effect.Effect<A, E, R>) => {
  const lines: Array<Line> = []
  const notices: Array<ErrorAction.Notice> = []
  const spans: Array<Tracer.NativeSpan> = []
  const logger = Logger.make(({ cause, fiber, logLevel, message }) => {
    const text = (Array.isArray(message) ? message : [message]).map((each) =>
      typeof each === "string" ? each : show(each)
    )
    lines.push({
      level: logLevel,
      message: text.join(" ") + (cause.reasons.length > 0 ? String(cause) : ""),
      annotations: fiber.getRef(References.CurrentLogAnnotations)
    })
  })
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const text = Effect.map(Metric.snapshot, (metrics) =>
    [
      show(lines),
      show(notices),
      notices.map((each) => String(each.error)).join(),
      ...spans.map(({ attributes, events, name, status }) => {
        const failed = status._tag === "Ended" && Exit.isFailure(status.exit) ? Cause.pretty(status.exit.cause) : ""
        return show([name, attributes, events, failed])
      }),
      show(metrics)
    ].join("\n")
  )
  const notified = Effect.yieldNow.pipe(
    Effect.repeat({ times: 10 }),
    Effect.map(() => notices.map((each) => each.kind))
  )
  return Effect.suspend(() => self({ lines, notices, notified, spans, text })).pipe(
    Effect.provide(Logger.layer([logger])),
    Effect.provideService(Tracer.Tracer, tracer),
    Effect.provideService(ErrorAction.AlertHook, (notice) => Effect.sync(() => void notices.push(notice))),
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.provideService(References.MinimumLogLevel, "All")
  )
}

/** A test over real sockets, through undici. */
export const live = <A, E>(
  name: string,
  test: (seen: Seen) => Effect.Effect<A, E, HttpClient.HttpClient | Scope.Scope>,
  timeout?: number
) => it.live(name, () => watched(test).pipe(Effect.provide(NodeHttpClient.layerUndici)), timeout)

/** The error of an effect that must fail with a typed one: no success, no defect. */
export const failure = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<E, never, R> =>
  Effect.flatMap(Effect.exit(self), (exit) => {
    if (Exit.isSuccess(exit)) return Effect.die(new Error(`expected a failure, got ${show(exit.value)}`))
    const [reason, ...others] = exit.cause.reasons
    return reason?._tag === "Fail" && others.length === 0
      ? Effect.succeed(reason.error)
      : Effect.die(new Error(`expected one typed failure, got ${String(exit.cause)}`))
  })

/** An `HttpClient` without sockets. */
export const fake = (respond: (request: Request) => Response | Promise<Response>) =>
  HttpClient.make((request, url) =>
    Effect.promise(async () =>
      HttpClientResponse.fromWeb(
        request,
        await respond(
          new Request(url, {
            method: request.method,
            headers: request.headers as Record<string, string>,
            ...(request.body._tag === "Uint8Array" ? { body: request.body.body as Uint8Array<ArrayBuffer> } : undefined)
          })
        )
      )
    )
  )

export const withFake = (respond: (request: Request) => Response | Promise<Response>) =>
  Effect.provideService(HttpClient.HttpClient, fake(respond))

/** How often a random test runs. */
export const runs = (usual: number): number => (process.env.THOROUGH === "1" ? usual * 10 : usual)
