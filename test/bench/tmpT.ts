import { Effect, Metric, Context } from "effect"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as ErrorAction from "../../src/policy/ErrorAction.ts"
import { Engine } from "../../src/policy/internal/call.ts"
import * as RateLimit from "../../src/policy/RateLimit.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Timeouts from "../../src/policy/Timeouts.ts"
import * as Telemetry from "../../src/Telemetry.ts"
import { CallWindow } from "../../src/internal/telemetry/callWindow.ts"

const calls = 20_000
const nothing = () => {}
const real = Telemetry.recorder("bench")
const w = new CallWindow()



const base = { ...real, call: nothing, attempt: nothing }
import { Histogram, LabelledCounter } from "../../src/internal/telemetry/series.ts"
import { bucketOf } from "../../src/internal/telemetry/durations.ts"
import { targetOf } from "../../src/internal/telemetry/target.ts"
const ctx = Context.make(Metric.MetricRegistry, new Map()) as any
const req = new LabelledCounter({ id: "r", description: "", label: "o" }, ctx)
const hist = new Histogram({ id: "h", description: "" }, ctx)
const recorders: Record<string, any> = {
  req: { ...base, call: (o: string, m: number, c: any, now: number) => req.add(o) },
  hist: { ...base, call: (o: string, m: number, c: any, now: number) => hist.add(m, bucketOf(m)) },
  target: { ...base, call: (o: string, m: number, c: any, now: number) => { targetOf(c) } },
  silent: base,
  real,
  attempt: { ...base, attempt: real.attempt },
  window: { ...base, call: (o: string, m: number, c: any, now: number) => w.add(now, m, o === "success") },
}
const work = Effect.promise(() => Promise.resolve(1))
const breakerOptions = { failurePercent: 50, window: "10 seconds", openFor: "30 seconds" } as const
const engine = async (recorder: Telemetry.Recorder) => {
  const circuit = await Effect.runPromise(CircuitBreaker.make("bench", breakerOptions))
  return new Engine({
    name: "bench", classify: () => ErrorAction.retry, retry: RetryPolicy.make({ delays: ["100 millis"] }),
    circuit: () => circuit, gate: RateLimit.makeUnsafe("bench", { perMinute: 900_000_000, burst: 100_000_000 }),
    permits: undefined, timeouts: Timeouts.toMillis({ attempt: "1 second", total: "5 seconds" }), recorder, phases: false
  })
}
const options = { repeatable: true, key: undefined, requestId: undefined, operation: undefined, refresh: undefined, context: undefined }
const loop = (each: Engine) => { const one = each.run(work, options); return Effect.gen(function* () { for (let i = 0; i < calls; i++) yield* one }) }
const only = process.argv.slice(2)
const names = only.length ? only : Object.keys(recorders)
const loops: Record<string, Effect.Effect<void>> = {}
for (const n of names) loops[n] = loop(await engine(recorders[n])) as any
const times: Record<string, number[]> = Object.fromEntries(names.map((n) => [n, []]))
for (let round = -10; round < 60; round++) {
  for (let i = 0; i < names.length; i++) {
    const name = names[(i + round + 20) % names.length]!
    const before = process.cpuUsage()
    await Effect.runPromise(loops[name]!)
    const { user, system } = process.cpuUsage(before)
    if (round >= 0) times[name]!.push(((user + system) * 1000) / calls)
  }
}
const median = (v: number[]) => v.toSorted((a, b) => a - b)[v.length >> 1]!
for (const n of names) console.log(n.padEnd(10), median(times[n]!).toFixed(0), "ns cpu/call", "paired diff", median(times[n]!.map((t, i) => t - times.silent![i]!)).toFixed(0))
process.exit(0)
