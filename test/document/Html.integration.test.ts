import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Html } from "effect-integration/document"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import design from "../../examples/orders-to-payments/design.ts"
import * as Chromium from "../servers/Chromium.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "document-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** The diagrams, by what can be seen of them. */
const diagrams = `Array.from(document.querySelectorAll("svg"), (svg) => {
  const { height, width } = svg.getBoundingClientRect()
  return { height, width, texts: svg.querySelectorAll("text").length }
})`

describe.skipIf(!Chromium.isInstalled)("the document in a browser", { timeout: 240_000 }, () => {
  it.live("shows its diagrams on a phone and on a desk, in the light and in the dark, and complains of nothing", () =>
    Effect.gen(function* () {
      const file = path.join(yield* folder, "document.html")
      fs.writeFileSync(file, Html.render(design))
      const page = yield* Chromium.open(`file://${file}`)
      yield* page.until("document.readyState === 'complete' && document.querySelector('svg') !== null")
      for (const width of [400, 1400]) {
        for (const dark of [false, true]) {
          yield* page.view({ width, dark })
          const drawn: ReadonlyArray<{ height: number; width: number; texts: number }> = yield* page.evaluate(diagrams)
          // The topology, and the saga.
          assert.strictEqual(drawn.length, 2)
          for (const each of drawn) {
            assert.isAbove(each.width, 300)
            assert.isAbove(each.height, 100)
            assert.isAbove(each.texts, 5)
          }
          assert.isAtMost(yield* page.evaluate("document.documentElement.scrollWidth"), width)
          const [ground, ink]: ReadonlyArray<string> = yield* page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
          )
          const brightness = (color: string) =>
            color
              .match(/\d+/g)!
              .slice(0, 3)
              .reduce((sum, part) => sum + Number(part), 0)
          assert.strictEqual(brightness(ground!) < brightness(ink!), dark, `${ground} ${ink}`)
        }
      }
      assert.deepStrictEqual(page.complaints, [])
    }).pipe(Effect.scoped)
  )
})
