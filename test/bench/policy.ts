/** What the policies cost around work that is already done, against their peers. */
import * as Cockatiel from "cockatiel"
import { Effect } from "effect"
import { CircuitBreaker as EffectBreaker } from "effect/persistence"
// @ts-expect-error opossum 9 has no types
import Opossum from "opossum"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as CircuitBreakers from "../../src/policy/CircuitBreakers.ts"
import * as ErrorAction from "../../src/policy/ErrorAction.ts"
import { Engine } from "../../src/policy/internal/call.ts"
import * as Policy from "../../src/policy/Policy.ts"
import * as RateLimit from "../../src/policy/RateLimit.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Timeouts from "../../src/policy/Timeouts.ts"
import * as Telemetry from "../../src/Telemetry.ts"
import * as Measure from "./measure.ts"

const calls = 20_000
const breakerOptions = { failurePercent: 50, window: "10 seconds", openFor: "30 seconds" } as const

const work = Effect.promise(() => Promise.resolve(1))
const repeat = <E>(call: Effect.Effect<unknown, E>) => {
  const loop = Effect.gen(function* () {
    for (let index = 0; index < calls; index++) yield* call
  })
  return () => Effect.runPromise(loop)
}
const repeatAsync = (call: () => Promise<unknown>) => async () => {
  for (let index = 0; index < calls; index++) await call()
}

export const run = async (): Promise<ReadonlyArray<Measure.Row>> => {
  const policy = await Effect.runPromise(
    Policy.make("bench", {
      classify: ErrorAction.all(ErrorAction.retry),
      retry: RetryPolicy.make({ delays: ["100 millis", "300 millis", "900 millis"], jitter: "full" }),
      breaker: breakerOptions,
      timeouts: { attempt: "1 second", total: "5 seconds" },
      rateLimit: { perMinute: 900_000_000, burst: 100_000_000 }
    })
  )
  const breaker = await Effect.runPromise(CircuitBreaker.make("bench breaker", breakerOptions))
  const cockatielBreaker = () =>
    Cockatiel.circuitBreaker(Cockatiel.handleAll, {
      halfOpenAfter: 30_000,
      breaker: new Cockatiel.SamplingBreaker({ threshold: 0.5, duration: 10_000 })
    })
  const cockatiel = Cockatiel.wrap(
    Cockatiel.retry(Cockatiel.handleAll, { maxAttempts: 3, backoff: new Cockatiel.ExponentialBackoff() }),
    cockatielBreaker(),
    Cockatiel.timeout(1000, Cockatiel.TimeoutStrategy.Cooperative)
  )
  const opossum = new Opossum(() => Promise.resolve(1), { timeout: 1000 })
  const peers = await Effect.runPromise(
    Effect.gen(function* () {
      const made = yield* EffectBreaker.make({ tripPolicy: EffectBreaker.consecutive(5), openDuration: "30 seconds" })
      // The scope stays open: the breaker is measured, not its end.
      return yield* Effect.never.pipe(Effect.timeoutOption(0), Effect.as(made))
    }).pipe(Effect.provide(EffectBreaker.layerStoreMemory()), Effect.scoped)
  )
  const times = await Measure.interleaved(
    {
      bare: repeat(work),
      barePromise: repeatAsync(() => Promise.resolve(1)),
      stack: repeat(policy(work)),
      cockatiel: repeatAsync(() => cockatiel.execute(() => Promise.resolve(1))),
      opossum: repeatAsync(() => opossum.fire()),
      breaker: repeat(breaker.execute(work)),
      effectBreaker: repeat(work.pipe(peers.execute({ key: "bench" })))
    },
    { rounds: 15, warmup: 3 }
  )
  opossum.shutdown()
  const perCall = (name: keyof typeof times) => Measure.median(times[name]) / calls
  const added = (name: keyof typeof times, base: keyof typeof times) =>
    Measure.median(times[name].map((each, round) => (each - times[base][round]!) / calls))
  return [
    Measure.less(
      "whole policy stack around a resolved promise, against cockatiel retry + breaker + timeout",
      "ns/call",
      perCall("stack"),
      perCall("cockatiel"),
      4
    ),
    Measure.less(
      "the same, without what the bare promise costs on either side",
      "ns/call added",
      added("stack", "bare"),
      added("cockatiel", "barePromise"),
      4
    ),
    Measure.less(
      "whole policy stack, against opossum breaker + timeout (for the record)",
      "ns/call",
      perCall("stack"),
      perCall("opossum"),
      0
    ),
    Measure.less(
      "breaker alone around a resolved promise, against effect/persistence CircuitBreaker",
      "ns/call",
      perCall("breaker"),
      perCall("effectBreaker"),
      8
    ),
    Measure.less(
      "breaker alone, without what the bare promise costs",
      "ns/call added",
      added("breaker", "bare"),
      added("effectBreaker", "bare"),
      8
    ),
    await recording(),
    await keyedBreakers(),
    await dailyLimiter()
  ]
}

/** The whole stack with its metrics, and with a recorder that does nothing. */
const recording = async (): Promise<Measure.Row> => {
  const call = { repeatable: true, key: undefined, requestId: undefined, operation: undefined, refresh: undefined }
  const stack = async (recorder: Telemetry.Recorder) => {
    const circuit = await Effect.runPromise(CircuitBreaker.make("bench recording", breakerOptions))
    const engine = new Engine({
      name: recorder.name,
      classify: () => ErrorAction.retry,
      retry: RetryPolicy.make({ delays: ["100 millis", "300 millis", "900 millis"], jitter: "full" }),
      circuit: () => circuit,
      gate: RateLimit.makeUnsafe("bench recording", { perMinute: 900_000_000, burst: 100_000_000 }),
      permits: undefined,
      timeouts: Timeouts.toMillis({ attempt: "1 second", total: "5 seconds" }),
      recorder,
      phases: false
    })
    return repeat(engine.run(work, { ...call, context: undefined }) as typeof work)
  }
  const recorder = Telemetry.recorder("bench recording")
  const silent = { ...recorder, attempt: () => {}, call: () => {} }
  const contestants = { recorded: await stack(recorder), silent: await stack(silent) }
  const times = await Measure.interleaved(contestants, { rounds: 100, warmup: 10, clock: Measure.cpu })
  const perCall = (name: keyof typeof times) => Measure.median(times[name]) / calls
  const name = "recording, against a stack that records nothing"
  const row = Measure.less(name, "ns of processor/call", perCall("recorded"), perCall("silent"), 0.95)
  return { ...row, ratio: Measure.paired(times.silent, times.recorded) }
}

const heap = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
}

const keyedBreakers = async (): Promise<Measure.Row> => {
  const count = 10_000
  const before = heap()
  const keyed = await Effect.runPromise(CircuitBreakers.keyed("bench keyed", breakerOptions))
  for (let index = 0; index < count; index++) {
    const each = keyed.get(`tenant-${index}`)
    // Every circuit has seen calls in each tenth of its window.
    await Effect.runPromise(each.execute(Effect.void))
  }
  const bytes = (heap() - before) / count
  keyed.get("tenant-0")
  return Measure.less("one of 10,000 keyed breakers, against 1 KB", "bytes", bytes, 1024, 1)
}

const dailyLimiter = async (): Promise<Measure.Row> => {
  const count = 100
  const limiters: Array<RateLimit.RateLimit> = []
  const before = heap()
  for (let index = 0; index < count; index++) {
    limiters.push(await Effect.runPromise(RateLimit.make("bench limiter", { perDay: 100_000 })))
  }
  await Effect.runPromise(Effect.forEach(limiters, (each) => each.take, { discard: true }))
  const bytes = (heap() - before) / limiters.length
  return Measure.less("limiter of 100,000 a day, against 64 KB", "bytes", bytes, 65_536, 1)
}
