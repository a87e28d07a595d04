/** Section 3: contracts. */
import { assert } from "@effect/vitest"
import { Config, Duration, Effect, Metric, Random, Redacted } from "effect"
import { Authentication, type HttpPolicy } from "../../../src/http/index.ts"
import { CircuitBreakers, ErrorAction, RateLimit, RetryPolicy, Timeouts } from "../../../src/policy/index.ts"
import { Rule } from "../../../src/monitoring/index.ts"
import * as Variants from "../variants.ts"
import { always, type Case, millisOf, most, numberIn, obeys, rowIn, said, settle, timeIn, until } from "./case.ts"
import { type Answer, begin, broken, connect, good, json, tokenLifetime } from "./provider.ts"

type Over = { readonly [K in keyof HttpPolicy.Any]?: HttpPolicy.Any[K] | undefined }
type Of<K extends keyof HttpPolicy.Any> = NonNullable<HttpPolicy.Any[K]>

const { breaker, bulkhead, rateLimit, retry, timeouts } = Variants.policies as Required<HttpPolicy.Any>
/** Nothing that would get in the way of what is looked at. */
const bare: Over = {
  authentication: undefined,
  retry: undefined,
  breaker: undefined,
  rateLimit: undefined,
  bulkhead: undefined,
  timeouts: {}
}
const silent = Effect.provideService(Metric.MetricRegistry, new Map())

const delaysIn = (text: string) =>
  said(text, /\*\*Delays:\*\* `\[([^\]]*)\]`/)
    .split(", ")
    .map(millisOf)

const retries: ReadonlyArray<Case> = [
  ...obeys("retry.delays", [retry, RetryPolicy.make({ delays: ["200 millis", "1 second"] })], (value) =>
    Effect.gen(function* () {
      const { asked, create, printed } = yield* connect({ ...bare, retry: value }, broken)
      const delays = delaysIn(printed("Retry Policy"))
      yield* begin(create)
      let moment = 0
      for (const [index, delay] of delays.entries()) {
        moment += delay
        yield* until(moment - 1)
        assert.strictEqual(asked.length, index + 1, `before ${moment} ms`)
        yield* until(moment)
        assert.strictEqual(asked.length, index + 2, `at ${moment} ms`)
      }
    }).pipe(Effect.provideService(Random.Random, always(most)))
  ),
  ...obeys("retry.maxRetries", [retry, RetryPolicy.make({ delays: ["1 second"] })], (value) =>
    Effect.gen(function* () {
      const { asked, create, printed } = yield* connect({ ...bare, retry: value }, broken)
      const max = numberIn(printed("Retry Policy"), /\*\*Max retries:\*\* (\d+) /)
      const call = yield* begin(create)
      yield* until(60_000)
      yield* until(120_000)
      assert.strictEqual(asked.length, max + 1)
      assert.strictEqual(call.tag, "InternalError")
    })
  ),
  ...obeys("retry.jitter", ["full", "none", "equal"] as const, (jitter) =>
    Effect.gen(function* () {
      const value = RetryPolicy.make({ delays: ["1 second"], jitter })
      for (const [random, end] of [
        [0, 0],
        [most, 1]
      ] as const) {
        const { asked, create, printed } = yield* Effect.provideService(
          connect({ ...bare, retry: value }, broken),
          Random.Random,
          always(random)
        )
        const text = printed("Retry Policy")
        const [delay] = delaysIn(text)
        const shares = text.includes("nothing to all of the delay")
          ? [0, 1]
          : text.includes("half to all of the delay")
            ? [0.5, 1]
            : text.includes("without jitter")
              ? [1, 1]
              : []
        const moment = Math.ceil(delay! * shares[end]!)
        const start = 10_000 * end
        yield* until(start)
        yield* Effect.provideService(begin(create), Random.Random, always(random))
        if (moment > 0) {
          yield* until(start + moment - 1)
          assert.strictEqual(asked.length, 1, text)
        }
        yield* until(start + moment)
        assert.strictEqual(asked.length, 2, text)
      }
    })
  )
]

const onBreaker = (
  over: Partial<Of<"breaker">>,
  run: (
    seen: Effect.Success<ReturnType<typeof connect>> & {
      readonly percent: number
      readonly window: number
      readonly minimum: number
      readonly openFor: number
      readonly probe: number
      /** Calls that are answered, one after another. */
      readonly call: (answer: "good" | "broken") => Effect.Effect<string>
      /** Opens the circuit. */
      readonly open: Effect.Effect<void>
    }
  ) => Effect.Effect<void, unknown, any>
) =>
  Effect.gen(function* () {
    let next: () => ReturnType<Answer> = good
    const seen = yield* connect({ ...bare, breaker: { ...breaker, ...over } }, () => next())
    const text = seen.printed("Circuit Breaker Configuration")
    const call = (answer: "good" | "broken") =>
      Effect.gen(function* () {
        next = answer === "good" ? good : broken
        const { tag } = yield* Effect.tap(begin(seen.create), settle)
        return tag
      }).pipe(Effect.map(String), Effect.scoped)
    const minimum = numberIn(text, /of at least (\d+) calls/)
    yield* run({
      ...seen,
      percent: numberIn(text, /([\d.]+)% failures/),
      window: timeIn(text, /failures in (\S+) window/),
      minimum,
      openFor: timeIn(text, /\*\*Open duration:\*\* (\S+?)\\?\n/),
      probe: timeIn(text, /has failed after (\S+?)\\?\n/),
      call,
      open: Effect.gen(function* () {
        for (let index = 0; index < minimum; index++) yield* call("broken")
        assert.strictEqual(yield* call("good"), "CircuitOpen")
      })
    })
  }).pipe(silent)

const breakers: ReadonlyArray<Case> = [
  ...obeys("breaker.failurePercent", [breaker.failurePercent, 20, 100], (failurePercent) =>
    onBreaker({ failurePercent }, ({ call, minimum, percent }) =>
      Effect.gen(function* () {
        const failures = Math.ceil((minimum * percent) / 100)
        // One failure fewer: the circuit stays closed.
        for (let index = 0; index < minimum - failures + 1; index++) yield* call("good")
        for (let index = 0; index < failures - 1; index++) yield* call("broken")
        assert.strictEqual(yield* call("good"), "Success")
        // As many failures as are printed, of as many calls as there are then.
        let calls = minimum + 1
        let failed = failures - 1
        while ((failed * 100) / calls < percent) {
          assert.strictEqual(yield* call("broken"), "InternalError", `${failed} of ${calls}`)
          calls++
          failed++
          // An unreachable percentage: there has been a success.
          if (calls > 10 * minimum) break
        }
        const opened = yield* call("good")
        assert.strictEqual(opened, (failed * 100) / calls >= percent ? "CircuitOpen" : "Success")
      })
    )
  ),
  ...obeys("breaker.minimumCalls", [breaker.minimumCalls!, 7], (minimumCalls) =>
    onBreaker({ minimumCalls }, ({ asked, call, minimum }) =>
      Effect.gen(function* () {
        for (let index = 0; index < minimum; index++) assert.strictEqual(yield* call("broken"), "InternalError")
        assert.strictEqual(yield* call("broken"), "CircuitOpen")
        assert.strictEqual(asked.length, minimum)
      })
    )
  ),
  ...obeys("breaker.window", [breaker.window, "1 minute"], (window) =>
    onBreaker({ window }, ({ call, minimum, window: printed }) =>
      Effect.gen(function* () {
        const fill = Effect.gen(function* () {
          for (let index = 0; index < minimum - 1; index++) yield* call("broken")
        })
        yield* fill
        // A whole window later they count no more.
        yield* until(printed)
        yield* call("broken")
        assert.strictEqual(yield* call("good"), "Success")
        // Within the window, but for the step in which it slides, they do.
        yield* until(10 * printed)
        yield* fill
        yield* until(10 * printed + printed - printed / 10 - 1)
        yield* call("broken")
        assert.strictEqual(yield* call("good"), "CircuitOpen")
      })
    )
  ),
  ...obeys("breaker.openFor", [breaker.openFor, "7 seconds"], (openFor) =>
    onBreaker({ openFor }, ({ call, open, openFor: printed }) =>
      Effect.gen(function* () {
        yield* open
        yield* until(printed - 1)
        assert.strictEqual(yield* call("good"), "CircuitOpen")
        yield* until(printed)
        assert.strictEqual(yield* call("good"), "Success")
      })
    )
  ),
  ...obeys("breaker.probeTimeout", [breaker.probeTimeout!, "17 seconds"], (probeTimeout) =>
    Effect.gen(function* () {
      let hangs = false
      const seen = yield* connect({ ...bare, breaker: { ...breaker, probeTimeout } }, () =>
        hangs ? Effect.never : broken()
      )
      const text = seen.printed("Circuit Breaker Configuration")
      for (let index = 0; index < numberIn(text, /of at least (\d+) calls/); index++) {
        yield* begin(seen.create)
        yield* settle
      }
      const openFor = timeIn(text, /\*\*Open duration:\*\* (\S+?)\\?\n/)
      const probe = timeIn(text, /has failed after (\S+?)\\?\n/)
      yield* until(openFor)
      hangs = true
      yield* begin(seen.create)
      const state = Effect.map(
        Effect.flatMap(CircuitBreakers.all, (all) => all.findLast(({ name }) => name === "payments")!.state),
        ({ _tag }) => _tag
      )
      yield* until(openFor + probe - 1)
      assert.strictEqual(yield* state, "HalfOpen")
      yield* until(openFor + probe)
      assert.strictEqual(yield* state, "Open")
    }).pipe(silent)
  ),
  ...obeys("breaker.alertAfter", [breaker.alertAfter!, "45 seconds"], (alertAfter) => {
    const notices: Array<string> = []
    return onBreaker({ alertAfter }, ({ call, contract, open, printed }) =>
      Effect.gen(function* () {
        const told = timeIn(printed("Circuit Breaker Configuration"), /Circuit open for > (\S+)/)
        const rules = Rule.of(Variants.designOf(Variants.withContract(contract)))
        const rule = rules.find(({ id }) => id === "circuit-open-long/payments")!
        assert.strictEqual(Duration.toMillis(rule.for), told)
        yield* open
        yield* until(told - 1)
        yield* call("broken")
        assert.deepStrictEqual(notices, [])
        yield* until(told)
        yield* call("broken")
        assert.deepStrictEqual(notices, ["payments"])
      })
    ).pipe(
      Effect.provideService(ErrorAction.AlertHook, (notice) =>
        Effect.sync(() => void (notice.message.includes("circuit") && notices.push(notice.integration)))
      )
    )
  })
]

/** Many calls at once, and when each arrives. */
const burst = (over: Over, calls: number) =>
  Effect.gen(function* () {
    const seen = yield* connect({ ...bare, ...over }, good)
    const begun = yield* Effect.forEach(Array.from({ length: calls }), () => begin(seen.create))
    yield* settle
    return { ...seen, begun }
  })

const limits: ReadonlyArray<Case> = [
  ...obeys("rateLimit.perMinute", [rateLimit.perMinute!, 7], (perMinute) =>
    Effect.gen(function* () {
      const { asked, printed } = yield* burst({ rateLimit: { perMinute } }, perMinute + 1)
      const [, limit, window] = rowIn(printed("Rate Limiting"), "Requests per minute")
      assert.strictEqual(asked.length, Number(limit))
      yield* until(millisOf(window!) - 1)
      assert.strictEqual(asked.length, Number(limit))
      yield* until(millisOf(window!))
      assert.strictEqual(asked.length, Number(limit) + 1)
    }).pipe(silent)
  ),
  ...obeys("rateLimit.burst", [rateLimit.burst!, 3], (most) =>
    Effect.gen(function* () {
      const { asked, printed } = yield* burst({ rateLimit: { perMinute: 600, burst: most } }, most + 1)
      const [, limit, window] = rowIn(printed("Rate Limiting"), "Burst limit")
      assert.strictEqual(asked.length, Number(limit))
      yield* until(millisOf(window!) - 1)
      assert.strictEqual(asked.length, Number(limit))
      yield* until(millisOf(window!))
      assert.strictEqual(asked.length, Number(limit) + 1)
    }).pipe(silent)
  ),
  ...obeys("rateLimit.perDay", [rateLimit.perDay!, 5], (perDay) =>
    Effect.gen(function* () {
      const { create, printed } = yield* connect({ ...bare, rateLimit: { perDay } }, good)
      const [, limit, window] = rowIn(printed("Rate Limiting"), "Daily quota")
      const quota = Number(limit)
      // Through the whole client where there are few; a hundred thousand at the limit itself.
      const take: Effect.Effect<unknown, any> =
        quota > 1000 ? (yield* RateLimit.make("payments", { perDay })).tryTake : create
      for (let index = 0; index < quota; index++) yield* take
      const refused = yield* Effect.flip(take)
      assert.strictEqual(refused._tag, "QuotaExhausted")
      assert.strictEqual(refused.limit, quota)
      // Many are counted in steps, which err on the safe side.
      const step = quota > 2048 ? millisOf(window!) / 1024 : 0
      yield* until(millisOf(window!) - 1)
      assert.strictEqual((yield* Effect.flip(take))._tag, "QuotaExhausted")
      yield* until(millisOf(window!) + step)
      yield* take
    }).pipe(silent)
  ),
  ...obeys("bulkhead.maxConcurrent", [bulkhead.maxConcurrent, 3], (maxConcurrent) =>
    Effect.gen(function* () {
      const { asked, create, printed } = yield* connect(
        { ...bare, bulkhead: { ...bulkhead, maxConcurrent } },
        () => Effect.never
      )
      const most = numberIn(printed("Rate Limiting"), /Calls at once:\*\* (\d+)/)
      for (let index = 0; index < most + 1; index++) yield* begin(create)
      yield* settle
      assert.strictEqual(asked.length, most)
    }).pipe(silent)
  ),
  ...obeys("bulkhead.maxQueue", [bulkhead.maxQueue!, 3], (maxQueue) =>
    Effect.gen(function* () {
      const { create, printed } = yield* connect({ ...bare, bulkhead: { ...bulkhead, maxQueue } }, () => Effect.never)
      const text = printed("Rate Limiting")
      const room = numberIn(text, /Calls at once:\*\* (\d+)/) + numberIn(text, /and (\d+) that wait/)
      const calls = yield* Effect.forEach(Array.from({ length: room + 1 }), () => begin(create))
      yield* settle
      assert.deepStrictEqual(
        calls.flatMap(({ tag }) => tag ?? []),
        ["BulkheadFull"]
      )
      assert.strictEqual(calls.at(-1)!.tag, "BulkheadFull")
    }).pipe(silent)
  )
]

const slow: { readonly [K in keyof Of<"timeouts">]-?: Answer } = {
  connect: () =>
    Effect.withFiber((fiber) => {
      fiber.getRef(Timeouts.CurrentAttempt)?.connecting()
      return Effect.never
    }),
  read: () => Effect.never,
  // Its body never ends.
  attempt: () => new Response(new ReadableStream({}), { headers: { "content-type": "application/json" } }),
  total: () => Effect.never
}
const titles = {
  connect: "Connection timeout",
  read: "Read timeout",
  attempt: "Attempt timeout",
  total: "Total request timeout"
} as const

const kinds = ["connect", "read", "attempt", "total"] as const
const timing: ReadonlyArray<Case> = kinds.flatMap((kind) =>
  obeys(`timeouts.${kind}`, [timeouts[kind]!, "777 millis"] as const, (limit) =>
    Effect.gen(function* () {
      const all = kind === "connect" || kind === "read" ? { ...timeouts, [kind]: limit } : { [kind]: limit }
      const { create, printed } = yield* connect({ ...bare, timeouts: all }, slow[kind])
      const [, value] = rowIn(printed("Timeout Configuration"), titles[kind])
      const moment = Number(said(value!, /^(\d+)ms/))
      const call = yield* begin(create)
      yield* until(moment - 1)
      assert.isUndefined(call.tag)
      yield* until(moment)
      assert.deepStrictEqual([call.tag, call.error.kind], ["Timeout", kind])
    }).pipe(silent)
  )
)

const oauth = (over: Partial<Authentication.ClientCredentialsOptions>) =>
  Authentication.clientCredentials({
    tokenUrl: Config.URL("TOKEN_URL"),
    id: Config.String("CLIENT_ID"),
    secret: Config.Redacted("CLIENT_SECRET"),
    scope: ["charges:write"],
    ...over
  })
const { authentication } = Variants.policies as Required<HttpPolicy.Any>

const sent: ReadonlyArray<Case> = [
  ...obeys("contract.baseUrl", ["https://payments.acme.com", "https://other.example.com/api"], (baseUrl) =>
    Effect.gen(function* () {
      const { asked, create, printed } = yield* connect({ ...bare, baseUrl }, good)
      yield* create
      const [, method, url] = /`(POST) (\S+\/v1\/charges)`/.exec(printed("Request Contract"))!
      assert.deepStrictEqual([asked[0]!.method, asked[0]!.url], [method, url])
    })
  ),
  ...obeys<Over["authentication"]>(
    "contract.authentication",
    [
      authentication,
      Authentication.bearer(Redacted.make("a-token")),
      Authentication.apiKey({ key: Redacted.make("a-key"), header: "X-Shop-Key" })
    ],
    (value) =>
      Effect.gen(function* () {
        const { asked, create, printed } = yield* connect({ ...bare, authentication: value }, good)
        yield* create
        const header = said(printed("Authentication"), /\| Header \| `([^:]+): /)
        const scheme = printed("Authentication").includes(": Bearer (") ? /^Bearer \S+$/ : /^\S+$/
        assert.match(asked[0]!.headers[header.toLowerCase()]!, scheme)
      })
  ),
  ...obeys<Over["idempotent"]>(
    "contract.idempotent.headers",
    [true, { headers: ["X-Other-Key"] }, false],
    (idempotent) =>
      Effect.gen(function* () {
        const { asked, create, printed } = yield* connect({ ...bare, idempotent, retry }, (index) =>
          index === 0 ? json(503, {}, { "retry-after": "1" }) : good()
        )
        const call = yield* begin(create)
        yield* until(5000)
        const text = printed("")
        const names = text.includes("YES — use")
          ? Array.from(said(text, /YES — use (.*?) header/).matchAll(/`([^`]+)`/g), ([, name]) => name!.toLowerCase())
          : []
        const keys = asked.map(({ headers }) => Object.keys(headers).filter((name) => name.endsWith("-key")))
        assert.deepStrictEqual(keys[0]!.toSorted(), names.toSorted())
        // An ambiguous answer is not asked again about without a key; with one, each attempt has the same.
        assert.deepStrictEqual([call.tag, asked.length], names.length === 0 ? ["Unavailable", 1] : ["Success", 2])
        for (const name of names) assert.strictEqual(asked[0]!.headers[name], asked[1]!.headers[name])
      }).pipe(silent)
  ),
  ...obeys("contract.sourceSystem", ["order-service", "other"], (sourceSystem) =>
    Effect.gen(function* () {
      const { asked, create, printed } = yield* connect({ ...bare, sourceSystem }, good)
      yield* create
      const name = said(printed("Request Contract"), /"sourceSystem": "([^"]+)"/)
      assert.strictEqual(asked[0]!.body.metadata.sourceSystem, name)
    })
  ),
  ...obeys("contract.personalData", [Variants.policies.personalData!, ["iban", "phone"]], (personalData) =>
    Effect.gen(function* () {
      const body = { cardholder: "Ada", iban: "DE02", phone: "112", amount: 5 }
      const { create, printed } = yield* connect({ ...bare, personalData }, () => json(400, body))
      const names = Array.from(
        said(printed(""), /redacted in what errors carry:\*\* (.*?)\\?\n/).matchAll(/`([^`]+)`/g),
        ([, name]) => name!
      )
      const error = yield* Effect.flip(create)
      const hidden = Object.entries(body).filter(([name, value]) => error.body[name] !== value)
      assert.deepStrictEqual(
        hidden.map(([name]) => name),
        names
      )
    })
  ),
  ...obeys<Over["circuitKey"]>("contract.circuitKey", [undefined, (request) => request.url], (circuitKey) =>
    Effect.gen(function* () {
      const down = "https://payments.acme.com/v1/charges"
      const { contract, context, create, printed } = yield* connect({ ...bare, breaker, circuitKey }, (_, { url }) =>
        url === down ? broken() : json(200, { refunded: true })
      )
      for (let index = 0; index < breaker.minimumCalls! + 1; index++) yield* Effect.exit(create)
      const client: any = context.mapUnsafe.get((contract as any).key)
      const refund = client.charges.refund({
        payload: { orderId: "0d6f7a1e-3b52-4c8e-9d0e-5a1f6b7c8d9e", reason: "x" }
      })
      const call = yield* begin(refund)
      yield* settle
      const perKey = printed("").includes("one for each key of a request")
      assert.strictEqual(call.tag, perKey ? "Success" : "CircuitOpen")
    }).pipe(silent)
  ),
  ...obeys<ReadonlyArray<string> | undefined>(
    "credentials.scope",
    [["charges:write", "refunds:write"], ["all"]],
    (scope) =>
      Effect.gen(function* () {
        const { create, printed, tokens } = yield* connect({ ...bare, authentication: oauth({ scope: scope! }) }, good)
        yield* create
        const [, value] = rowIn(printed("Authentication"), "Scope")
        assert.strictEqual(new URLSearchParams(tokens[0]!.body).get("scope"), value)
      })
  ),
  ...obeys("credentials.audience", ["https://payments.acme.com", "other"], (audience) =>
    Effect.gen(function* () {
      const { create, printed, tokens } = yield* connect({ ...bare, authentication: oauth({ audience }) }, good)
      yield* create
      const [, value] = rowIn(printed("Authentication"), "Audience")
      assert.strictEqual(new URLSearchParams(tokens[0]!.body).get("audience"), value)
    })
  ),
  ...obeys("credentials.send", ["basic", "form"] as const, (send) =>
    Effect.gen(function* () {
      const { create, printed, tokens } = yield* connect({ ...bare, authentication: oauth({ send }) }, good)
      yield* create
      const [, value] = rowIn(printed("Authentication"), "Client authentication")
      const [token] = tokens
      assert.strictEqual(token!.headers["authorization"]?.startsWith("Basic ") === true, value === "basic")
      assert.strictEqual(new URLSearchParams(token!.body).has("client_secret"), value === "form")
    })
  ),
  ...obeys<Duration.Input>("credentials.refreshBefore", ["30 seconds", "3 minutes"], (refreshBefore) =>
    Effect.gen(function* () {
      const { create, printed, tokens } = yield* connect({ ...bare, authentication: oauth({ refreshBefore }) }, good)
      const [, value] = rowIn(printed("Authentication"), "Refresh before expiry")
      const before = millisOf(said(value!, /^([^,]+),/))
      const end = tokenLifetime * 1000
      assert.isAtMost(before, end / 10)
      yield* create
      yield* until(end - before - 1)
      yield* create
      assert.strictEqual(tokens.length, 1)
      yield* until(end - before)
      yield* create
      yield* settle
      assert.strictEqual(tokens.length, 2)
    }).pipe(silent)
  )
]

export const contractCases: ReadonlyArray<Case> = [...retries, ...breakers, ...limits, ...timing, ...sent]
