import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Chromium from "../servers/Chromium.ts"
import { serve } from "./serving.ts"

const figure = (title: string) => `Number(document.querySelector('dd[title="${title}"]')?.textContent.replace(",", ""))`
/** Of the circuit: a synthetic probe that met the outage may fire beside it. */
const firing =
  "Array.from(document.querySelectorAll('#firing .critical'), (alert) => alert.textContent).find((text) => text.includes('circuit open'))"
const isFiring = `${firing} !== undefined`
const badge = `document.querySelector('[data-node="Circuit Breaker payments"] .badge')?.textContent`

describe.skipIf(!Chromium.isInstalled)("the live page", { timeout: 240_000 }, () => {
  it.live("shows numbers that change, and an alert while the circuit is open", () =>
    Effect.gen(function* () {
      const { end, url } = yield* serve(["--port", "0", "--speed", "10"])
      const page = yield* Chromium.open(url)
      yield* page.until(`${figure("payments requests")} > 0`)
      const before: number = yield* page.evaluate(figure("payments requests"))
      yield* page.until(`${figure("payments requests")} > ${before}`)

      yield* page.until(`${isFiring} && ${badge} === "open"`)
      const alert: string = yield* page.evaluate(firing)
      assert.match(alert, /^CRITICAL circuit open: payments.*calls fail at once.*told PagerDuty Checkout/)
      for (const dark of [false, true]) {
        yield* page.view({ width: 400, dark })
        assert.strictEqual(yield* page.evaluate("document.documentElement.scrollWidth"), 400)
        const ground: string = yield* page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert.strictEqual(ground, dark ? "rgb(20, 24, 31)" : "rgb(255, 255, 255)")
      }
      yield* page.until(`!(${isFiring}) && ${badge} === "closed"`)
      assert.match(yield* page.evaluate("document.querySelector('#latest').textContent"), /over: critical circuit open/)
      assert.deepStrictEqual(page.complaints, [])

      const { code } = yield* end("SIGINT")
      assert.strictEqual(code, 130)
    }).pipe(Effect.scoped)
  )
})
