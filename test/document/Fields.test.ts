import { assert, describe, it } from "@effect/vitest"
import { changes } from "./changes.ts"
import { printed, verdicts } from "./fields.ts"
import { fields } from "./interfaces.ts"
import { places } from "./places.ts"
import { changed } from "./sections.ts"
import * as Variants from "./variants.ts"

const flagship = Variants.textOf({})

describe("the fields of a design", () => {
  it("are all known, with what each is", () => {
    assert.deepStrictEqual(Object.keys(verdicts).toSorted(), fields().toSorted())
  })

  it("are all printed, or it is said why not", () => {
    assert.deepStrictEqual(changes.map(({ field }) => field).toSorted(), printed.toSorted())
    for (const [field, verdict] of Object.entries(verdicts)) {
      if ("because" in verdict) assert.isAbove(verdict.because.length, 10, field)
    }
  })
})

describe("a changed field changes its parts of the document, and no other", () => {
  for (const { field, from, over } of changes) {
    it(`${field}`, () => {
      const before = from === undefined ? flagship : Variants.textOf(from)
      assert.deepStrictEqual(changed(before, Variants.textOf(over)), places[field])
    })
  }
})
