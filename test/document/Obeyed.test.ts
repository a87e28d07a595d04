import { assert, describe, it } from "@effect/vitest"
import { running } from "./fields.ts"
import { alertCases } from "./obeyed/alerts.ts"
import { contractCases } from "./obeyed/contracts.ts"
import { eventCases } from "./obeyed/events.ts"
import { rowCases } from "./obeyed/rows.ts"
import { sagaCases } from "./obeyed/sagas.ts"

const cases = [...contractCases, ...rowCases, ...eventCases, ...sagaCases, ...alertCases]

describe("the number that is printed is the number that is obeyed", () => {
  for (const { field, run, value } of cases) it.effect(`${field}: ${value}`, () => run)
})

it("every field that something obeys is run with two values", () => {
  for (const field of running) {
    const values = new Set(cases.filter((each) => each.field === field).map(({ value }) => value))
    assert.isAtLeast(values.size, 2, field)
  }
})
