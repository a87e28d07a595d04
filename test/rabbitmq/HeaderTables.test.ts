import { assert, describe, it } from "@effect/vitest"
import { HeaderTables } from "../../src/rabbitmq/internal/wire.ts"

describe("headers that are handed to amqplib", () => {
  it("are those of the message, whatever was handed over before", () => {
    const tables = new HeaderTables()
    for (const headers of [
      { a: 1, b: "x" },
      { a: 2, b: "y" },
      { a: 3, c: "z" },
      { b: 4, a: 5 },
      {},
      { a: 6 },
      { a: 7, b: 8 }
    ]) {
      const table = tables.of(headers)
      assert.deepStrictEqual({ ...table }, headers)
      assert.deepStrictEqual(Object.keys(table), Object.keys(headers))
    }
  })

  it("are one object for the same names, and of many sets of names the last are remembered", () => {
    const tables = new HeaderTables()
    const first = tables.of({ first: 1 })
    assert.strictEqual(tables.of({ first: 2 }), first)
    for (let other = 0; other < 1000; other++) tables.of({ [`other-${other}`]: other })
    assert.notStrictEqual(tables.of({ first: 3 }), first)
    assert.deepStrictEqual(first, { first: 2 })
  })
})
