import { Data, Effect, type Schedule } from "effect"
import { describe, expect, test } from "tstyche"
import type * as Bulkhead from "../../src/policy/Bulkhead.ts"
import type * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as ErrorAction from "../../src/policy/ErrorAction.ts"
import * as Policy from "../../src/policy/Policy.ts"
import type * as RateLimit from "../../src/policy/RateLimit.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import type * as Timeouts from "../../src/policy/Timeouts.ts"

class Declined extends Data.TaggedError("Declined") {}
class Overloaded extends Data.TaggedError("Overloaded") {}
class Known extends Data.TaggedError("Known")<{ readonly errorAction: ErrorAction.ErrorAction }> {}

declare const known: Effect.Effect<number, Known>
declare const declined: Effect.Effect<number, Declined>
declare const text: Effect.Effect<number, string>
declare class Db {
  readonly db: true
}
declare const needs: Effect.Effect<number, Known, Db>

const breaker = { failurePercent: 50, window: "10 seconds", openFor: "30 seconds" } as const

describe("the error channel", () => {
  test("is untouched by a policy of nothing", () => {
    const make = Policy.make("x", {})
    expect<Effect.Success<typeof make>>().type.toBe<Policy.Policy<ErrorAction.Actionable>>()
    expect(Effect.flatMap(make, (policy) => policy(known))).type.toBe<Effect.Effect<number, Known>>()
  })

  test("has what each option adds, and nothing else", () => {
    const retry = Policy.make("x", { retry: RetryPolicy.make({ delays: [1] }) })
    expect(Effect.flatMap(retry, (policy) => policy(known))).type.toBe<Effect.Effect<number, Known>>()
    const circuit = Policy.make("x", { breaker })
    expect(Effect.flatMap(circuit, (policy) => policy(known))).type.toBe<
      Effect.Effect<number, Known | CircuitBreaker.CircuitOpen>
    >()
    const timeouts = Policy.make("x", { timeouts: { total: "1 second" } })
    expect(Effect.flatMap(timeouts, (policy) => policy(known))).type.toBe<
      Effect.Effect<number, Known | Timeouts.Timeout>
    >()
    const bulkhead = Policy.make("x", { bulkhead: { maxConcurrent: 1 } })
    expect(Effect.flatMap(bulkhead, (policy) => policy(known))).type.toBe<
      Effect.Effect<number, Known | Bulkhead.BulkheadFull>
    >()
  })

  test("has QuotaExhausted only where there is a daily quota", () => {
    const minute = Policy.make("x", { rateLimit: { perMinute: 1, burst: 1 } })
    expect(Effect.flatMap(minute, (policy) => policy(known))).type.toBe<
      Effect.Effect<number, Known | RateLimit.RateLimitExceeded>
    >()
    const day = Policy.make("x", { rateLimit: { perDay: 1 } })
    expect(Effect.flatMap(day, (policy) => policy(known))).type.toBe<
      Effect.Effect<number, Known | RateLimit.RateLimitExceeded | RateLimit.QuotaExhausted>
    >()
  })

  test("has all of them together", () => {
    const all = Policy.make("x", {
      retry: RetryPolicy.make({ delays: [1] }),
      breaker,
      rateLimit: { perDay: 1 },
      bulkhead: { maxConcurrent: 1 },
      timeouts: { total: 1 }
    })
    expect(Effect.flatMap(all, (policy) => policy(known))).type.toBe<
      Effect.Effect<
        number,
        | Known
        | CircuitBreaker.CircuitOpen
        | Timeouts.Timeout
        | RateLimit.RateLimitExceeded
        | RateLimit.QuotaExhausted
        | Bulkhead.BulkheadFull
      >
    >()
  })

  test("is the same through `with`, and services pass", () => {
    const make = Policy.make("x", { breaker })
    expect(Effect.flatMap(make, (policy) => policy.with({ repeatable: false })(needs))).type.toBe<
      Effect.Effect<number, Known | CircuitBreaker.CircuitOpen, Db>
    >()
    expect(Effect.flatMap(make, (policy) => needs.pipe(policy))).type.toBe<
      Effect.Effect<number, Known | CircuitBreaker.CircuitOpen, Db>
    >()
  })

  test("of an effect that cannot fail is that of the policy alone", () => {
    const make = Policy.make("x", { breaker })
    expect(Effect.flatMap(make, (policy) => policy(Effect.succeed("a")))).type.toBe<
      Effect.Effect<string, CircuitBreaker.CircuitOpen>
    >()
  })

  test("options that are known only by their type added nothing", () => {
    const options: Policy.Options = {}
    const make = Policy.make("x", options)
    expect<Effect.Success<typeof make>>().type.toBe<
      Policy.Policy<
        ErrorAction.Actionable,
        | CircuitBreaker.CircuitOpen
        | Timeouts.Timeout
        | RateLimit.RateLimitExceeded
        | RateLimit.QuotaExhausted
        | Bulkhead.BulkheadFull
      >
    >()
  })

  test("limits that are known only by their type left out QuotaExhausted", () => {
    const rateLimit: RateLimit.Options = { perDay: 5 }
    const make = Policy.make("x", { rateLimit })
    expect<Effect.Success<typeof make>>().type.toBe<
      Policy.Policy<ErrorAction.Actionable, RateLimit.RateLimitExceeded | RateLimit.QuotaExhausted>
    >()
  })
})

/** What the effects of a policy may fail with. */
type Accepted<Make> = Make extends Effect.Effect<Policy.Policy<infer E, infer _>> ? E : never

describe("who decides", () => {
  test("without classify, errors must carry their action", () => {
    const make = Policy.make("x", {})
    expect<Accepted<typeof make>>().type.toBe<ErrorAction.Actionable>()
    expect<Known>().type.toBeAssignableTo<Accepted<typeof make>>()
    expect<Declined>().type.not.toBeAssignableTo<Accepted<typeof make>>()
    expect<string>().type.not.toBeAssignableTo<Accepted<typeof make>>()
  })

  test("an effect whose error nobody decides does not compile", () => {
    const make = Policy.make("x", { classify: ErrorAction.tags({ Declined: ErrorAction.fail }) })
    expect<Effect.Success<typeof make>>().type.not.toBeAssignableTo<
      (self: Effect.Effect<number, Overloaded>) => unknown
    >()
    expect<Effect.Success<typeof make>>().type.toBeAssignableTo<(self: Effect.Effect<number, Declined>) => unknown>()
  })

  test("classify widens what may fail to what it decides", () => {
    const make = Policy.make("x", { classify: ErrorAction.tags({ Declined: ErrorAction.fail }) })
    expect<Declined>().type.toBeAssignableTo<Accepted<typeof make>>()
    expect<Overloaded>().type.not.toBeAssignableTo<Accepted<typeof make>>()
    expect<string>().type.not.toBeAssignableTo<Accepted<typeof make>>()
  })

  test("from, all and orElse", () => {
    const from = Policy.make("x", { classify: ErrorAction.from((_: string) => ErrorAction.fail) })
    expect<Accepted<typeof from>>().type.toBe<string>()
    const all = Policy.make("x", { classify: ErrorAction.all(ErrorAction.fail) })
    expect<Accepted<typeof all>>().type.toBe<unknown>()
    const both = ErrorAction.orElse(ErrorAction.carried)(ErrorAction.tags({ Declined: ErrorAction.fail }))
    const composed = Policy.make("x", { classify: both })
    expect<Known>().type.toBeAssignableTo<Accepted<typeof composed>>()
    expect<Declined>().type.toBeAssignableTo<Accepted<typeof composed>>()
    expect<Overloaded>().type.not.toBeAssignableTo<Accepted<typeof composed>>()
  })

  test("a classifier leaves the errors that the options add as they are", () => {
    const make = Policy.make("x", { breaker, classify: ErrorAction.tags({ Declined: ErrorAction.fail }) })
    expect(Effect.flatMap(make, (policy) => policy(declined))).type.toBe<
      Effect.Effect<number, Declined | CircuitBreaker.CircuitOpen>
    >()
  })

  test("a classifier that carries on what errors carry is accepted where one policy wraps another", () => {
    const inner = Policy.make("x", { breaker, timeouts: { total: 1 } })
    const outer = Policy.make("y", {})
    const nested = Effect.flatMap(Effect.all([inner, outer]), ([one, two]) => two(one(known)))
    expect(nested).type.toBe<Effect.Effect<number, Known | CircuitBreaker.CircuitOpen | Timeouts.Timeout>>()
  })
})

declare const either: Effect.Effect<number, Declined | Overloaded | string>

describe("assign", () => {
  test("gives an action to the errors of its table, and no others", () => {
    const assigned = either.pipe(ErrorAction.assign({ Declined: ErrorAction.fail }))
    expect(assigned).type.toBe<Effect.Effect<number, (Declined & ErrorAction.Actionable) | Overloaded | string>>()
  })

  test("leaves an error that carries one as it is", () => {
    expect(known.pipe(ErrorAction.assign({ Known: ErrorAction.skip }))).type.toBe<Effect.Effect<number, Known>>()
  })

  test("makes an effect fit for a policy without classify", () => {
    const make = Policy.make("x", {})
    const fit = Effect.flatMap(make, (policy) =>
      policy(declined.pipe(ErrorAction.assign({ Declined: ErrorAction.fail })))
    )
    expect(fit).type.toBe<Effect.Effect<number, Declined & ErrorAction.Actionable>>()
  })

  test("refuses a value that is no action", () => {
    expect(ErrorAction.assign<Declined, { Declined: ErrorAction.ErrorAction }>).type.not.toBeCallableWith({
      Declined: "fail"
    })
  })
})

describe("options", () => {
  test("a typing error is refused", () => {
    expect(Policy.make).type.not.toBeCallableWith("x", { breaker: { ...breaker, failurePercnt: 5 }, tiemouts: {} })
    expect(Policy.make).type.not.toBeCallableWith("x", { tiemouts: { total: 1 } })
  })

  test("a breaker needs its three numbers", () => {
    expect(Policy.make).type.not.toBeCallableWith("x", { breaker: { failurePercent: 50 } })
  })

  test("decorrelated jitter is for exponential only", () => {
    expect(RetryPolicy.make).type.not.toBeCallableWith({ delays: [1], jitter: "decorrelated" })
    expect(RetryPolicy.exponential).type.toBeCallableWith({ base: 1, cap: 2, maxRetries: 1, jitter: "decorrelated" })
  })

  test("a RetryPolicy is a Schedule for any error", () => {
    expect(RetryPolicy.make({ delays: [1] })).type.toBeAssignableTo<Schedule.Schedule<unknown, unknown>>()
    expect(text.pipe(Effect.retry(RetryPolicy.make({ delays: [1] })))).type.toBe<Effect.Effect<number, string>>()
  })
})
