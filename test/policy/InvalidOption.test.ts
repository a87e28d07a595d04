import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as CircuitBreakers from "../../src/policy/CircuitBreakers.ts"
import { InvalidOption } from "../../src/policy/InvalidOption.ts"
import * as Policy from "../../src/policy/Policy.ts"
import * as RateLimit from "../../src/policy/RateLimit.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Timeouts from "../../src/policy/Timeouts.ts"

const breaker: CircuitBreaker.Options = { failurePercent: 50, window: "10 seconds", openFor: "30 seconds" }
const odd = (value: unknown): any => value

/** What is given, to which constructor, and what its message must say. */
const refused: ReadonlyArray<readonly [name: string, build: () => unknown, message: RegExp]> = [
  ["a negative delay", () => RetryPolicy.make({ delays: [100, -5] }), /RetryPolicy.make: delays\[1\] .*-5 was given/],
  ["an endless delay", () => RetryPolicy.make({ delays: [Duration.infinity] }), /delays\[0\] .*Infinity was given/],
  ["a delay of NaN", () => RetryPolicy.make({ delays: [Number.NaN] }), /delays\[0\] .*NaN was given/],
  ["a delay that is no duration", () => RetryPolicy.make({ delays: [odd("soon")] }), /delays\[0\] .*"soon" was given/],
  ["a delay left out", () => RetryPolicy.make({ delays: [odd(undefined)] }), /delays\[0\] .*undefined was given/],
  ["an unknown jitter", () => RetryPolicy.make({ delays: [1], jitter: odd("some") }), /jitter .*"some" was given/],
  [
    "an unknown jitter of exponential",
    () => RetryPolicy.exponential({ base: 1, cap: 2, maxRetries: 1, jitter: odd("x") }),
    /jitter .*"x" was given/
  ],
  ["a base of zero", () => RetryPolicy.exponential({ base: 0, cap: 1, maxRetries: 1 }), /base .*0 was given/],
  ["a cap below the base", () => RetryPolicy.exponential({ base: 10, cap: 5, maxRetries: 1 }), /cap .*10 ms.*5 was/],
  ["a factor below 1", () => RetryPolicy.exponential({ base: 1, cap: 5, maxRetries: 1, factor: 0.5 }), /factor .*0.5/],
  ["half a retry", () => RetryPolicy.exponential({ base: 1, cap: 5, maxRetries: 1.5 }), /maxRetries .*1.5 was given/],
  ["-1 retries", () => RetryPolicy.exponential({ base: 1, cap: 5, maxRetries: -1 }), /maxRetries .*-1 was given/],
  ["failurePercent 0", () => CircuitBreaker.options({ ...breaker, failurePercent: 0 }), /failurePercent .*, but 0 was/],
  ["failurePercent 101", () => CircuitBreaker.options({ ...breaker, failurePercent: 101 }), /but 101 was given/],
  ["failurePercent NaN", () => CircuitBreaker.options({ ...breaker, failurePercent: Number.NaN }), /but NaN was given/],
  [
    "failurePercent text",
    () => CircuitBreaker.options({ ...breaker, failurePercent: odd("50") }),
    /but "50" was given/
  ],
  ["a window of 0", () => CircuitBreaker.options({ ...breaker, window: 0 }), /window .*but 0 was given/],
  ["an endless window", () => CircuitBreaker.options({ ...breaker, window: Duration.infinity }), /window .*Infinity/],
  ["openFor text", () => CircuitBreaker.options({ ...breaker, openFor: odd("a while") }), /openFor .*"a while" was/],
  ["minimumCalls 0", () => CircuitBreaker.options({ ...breaker, minimumCalls: 0 }), /minimumCalls .*but 0 was given/],
  ["minimumCalls 2.5", () => CircuitBreaker.options({ ...breaker, minimumCalls: 2.5 }), /minimumCalls .*2.5 was/],
  ["probeTimeout 0", () => CircuitBreaker.options({ ...breaker, probeTimeout: 0 }), /probeTimeout .*but 0 was given/],
  ["alertAfter -1", () => CircuitBreaker.options({ ...breaker, alertAfter: -1 }), /alertAfter .*-1 was given/],
  ["a breaker without a name", () => CircuitBreaker.make("", breaker), /name .*"" was given/],
  ["a breaker of nonsense", () => CircuitBreaker.make("x", { ...breaker, failurePercent: 0 }), /failurePercent/],
  ["maximumKeys 0", () => CircuitBreakers.keyed("k", { ...breaker, maximumKeys: 0 }), /maximumKeys .*but 0 was given/],
  ["perMinute 0", () => RateLimit.options({ perMinute: 0 }), /perMinute .*but 0 was given/],
  ["burst 1.5", () => RateLimit.options({ burst: 1.5 }), /burst .*but 1.5 was given/],
  ["perDay Infinity", () => RateLimit.options({ perDay: Infinity }), /perDay .*but Infinity was given/],
  ["perDay NaN", () => RateLimit.make("x", { perDay: Number.NaN }), /perDay .*but NaN was given/],
  ["a burst above the minute", () => RateLimit.options({ perMinute: 5, burst: 6 }), /burst .*5 of perMinute.*6 was/],
  ["a minute above the day", () => RateLimit.options({ perDay: 5, perMinute: 6 }), /perMinute .*5 of perDay/],
  ["a burst above the day", () => RateLimit.options({ perDay: 5, burst: 6 }), /burst .*5 of perDay/],
  ["maxConcurrent 0", () => Bulkhead.options({ maxConcurrent: 0 }), /maxConcurrent .*but 0 was given/],
  ["maxConcurrent Infinity", () => Bulkhead.make("x", { maxConcurrent: Infinity }), /maxConcurrent .*Infinity was/],
  ["maxQueue -1", () => Bulkhead.options({ maxConcurrent: 1, maxQueue: -1 }), /maxQueue .*but -1 was given/],
  ["attempt longer than total", () => Timeouts.make({ attempt: 20, total: 10 }), /attempt .*10 ms, but 20 was given/],
  ["read longer than attempt", () => Timeouts.make({ read: 20, attempt: 10 }), /read .*attempt.*10 ms, but 20 was/],
  ["connect longer than total", () => Timeouts.make({ connect: 20, total: 10 }), /connect .*total.*10 ms, but 20 was/],
  ["a total of 0", () => Timeouts.make({ total: 0 }), /total .*but 0 was given/],
  ["an endless attempt", () => Timeouts.make({ attempt: Duration.infinity }), /attempt .*Infinity was given/],
  ["a policy without a name", () => Policy.make(" ", {}), /Policy.make: name .*" " was given/],
  ["a policy with no legal name", () => Policy.make("—", {}), /name .*letter or digit.*"—" was given/],
  ["a policy of nonsense: breaker", () => Policy.make("p", { breaker: { ...breaker, window: 0 } }), /window/],
  ["a policy of nonsense: rateLimit", () => Policy.make("p", { rateLimit: { burst: 0 } }), /burst/],
  ["a policy of nonsense: bulkhead", () => Policy.make("p", { bulkhead: { maxConcurrent: 0 } }), /maxConcurrent/],
  ["a policy of nonsense: timeouts", () => Policy.make("p", { timeouts: { total: 0 } }), /total/],
  [
    "a name whose metrics collide",
    () => [Policy.make("collides-a.b", {}), Policy.make("collides-a-b", {})],
    /collides-a\.b \(both become collides_a_b\), but "collides-a-b" was given/
  ]
]

describe("construction refuses", () => {
  for (const [name, build, message] of refused) {
    it(`${name}, and says what was given`, () => {
      let thrown: unknown
      try {
        build()
      } catch (error) {
        thrown = error
      }
      assert.instanceOf(thrown, InvalidOption)
      assert.match((thrown as InvalidOption).message, message)
    })
  }
})

describe("construction accepts", () => {
  it("what makes sense at the edge", () => {
    RetryPolicy.make({ delays: [0] })
    RetryPolicy.exponential({ base: 5, cap: 5, maxRetries: 0, factor: 1 })
    CircuitBreaker.options({ ...breaker, failurePercent: 0.1, minimumCalls: 1 })
    CircuitBreaker.options({ ...breaker, failurePercent: 100 })
    RateLimit.options({})
    RateLimit.options({ perDay: 5, perMinute: 5, burst: 5 })
    Bulkhead.options({ maxConcurrent: 1, maxQueue: 0 })
    Timeouts.make({})
    assert.deepStrictEqual(Timeouts.make({ connect: 1, read: 1, attempt: 1, total: 1 }), {
      connect: 1,
      read: 1,
      attempt: 1,
      total: 1
    })
  })
})
