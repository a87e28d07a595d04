import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { run } from "./child.ts"
import { demo } from "./Summary.ts"
import { serve } from "./serving.ts"

const get = (url: string) => Effect.promise(() => fetch(url))
const text = (url: string) => Effect.flatMap(get(url), (response) => Effect.promise(() => response.text()))

describe("the demo that serves", { timeout: 60_000 }, () => {
  it.live("shows its metrics, its health and a page, and ends when it is told to", () =>
    Effect.gen(function* () {
      const { end, url } = yield* serve(["--port", "0", "--speed", "5"])
      const page = yield* get(`${url}/`)
      assert.strictEqual(page.status, 200)
      assert.match(page.headers.get("content-security-policy") ?? "", /^default-src 'none'/)
      const html = yield* Effect.promise(() => page.text())
      assert.include(html, "<h1>orders-to-payments</h1>")
      assert.include(html, 'data-node="Dead Letter Queue orders.billing.dead"')
      assert.notMatch(html, /(src|href)="(https?:)?\/\//, "nothing is loaded from elsewhere")
      assert.strictEqual((yield* get(`${url}/health/live`)).status, 200)
      assert.strictEqual((yield* get(`${url}/health/ready`)).status, 200)

      const metrics = yield* Effect.repeat(text(`${url}/metrics`), {
        until: (found) => /integration_payments_requests_total\{outcome="success"\} [1-9]/.test(found),
        schedule: Schedule.spaced("50 millis")
      })
      for (const metric of [
        "integration_payments_error_rate",
        "integration_payments_latency_p99_ms",
        "integration_payments_circuit_open",
        "integration_billing_dlq_depth",
        "integration_billing_consumer_lag"
      ]) {
        assert.match(metrics, new RegExp(`^${metric} [0-9.]+$`, "m"))
      }

      const other = yield* run(demo, ["--serve", "--port", url.split(":")[2]!])
      assert.strictEqual(other.code, 1)
      assert.match(other.stderr + other.stdout, /cannot listen on port \d+ of 127\.0\.0\.1: give another with --port/)

      const { code, said } = yield* end("SIGTERM")
      assert.strictEqual(code, 130)
      assert.notMatch(said, /Error|undefined/)
    }).pipe(Effect.scoped)
  )
})
