import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import design from "../../examples/orders-to-payments/design.ts"
import { Findings, Markdown } from "../../src/document/index.ts"
import { root } from "../house/Sources.ts"
import { sources } from "./placeholders.ts"
import { part } from "./sections.ts"

const file = path.join(root, "examples/orders-to-payments/DOCUMENT.md")
const text = Markdown.render(design)

it("is the document beside the design (UPDATE=1 writes it)", () => {
  if (process.env.UPDATE === "1") fs.writeFileSync(file, text)
  assert.strictEqual(fs.readFileSync(file, "utf8"), text)
})

describe("the placeholders of the template", () => {
  it("are 104 in 134 places", () => {
    assert.strictEqual(Object.keys(sources).length, 104)
    assert.strictEqual(Object.values(sources).flat().length, 134)
  })

  for (const [placeholder, places] of Object.entries(sources)) {
    it(`${placeholder} comes from ${[...new Set(places.map(({ field }) => field))].join(" and ")}`, () => {
      for (const place of places) {
        const found = part(text, place.part)
        assert.include(place.text === "order." || place.text === ".placed" ? place.part : found, place.text)
      }
    })
  }

  it("are all given in the flagship", () => {
    assert.notMatch(text, /not given|\{\{|\}\}|undefined|\[object|NaN|Infinity/)
  })
})

it("raises no error, and no warning that is not acknowledged", () => {
  assert.deepStrictEqual(
    Findings.open(Findings.of(design)).filter(({ severity }) => severity !== "note"),
    []
  )
})
