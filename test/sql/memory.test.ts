import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { DedupStore, Parking } from "effect-integration/event"
import { DedupStoreSuite, ParkingSuite } from "effect-integration/testing"

describe("DedupStore.layerMemory", () => {
  for (const test of DedupStoreSuite.make({ name: "memory", time: "clock", transactional: false })) {
    it.effect(test.name, () => test.run.pipe(Effect.provide(DedupStore.layerMemory)))
  }
})

describe("Parking.layerMemory", () => {
  for (const test of ParkingSuite.make({ name: "memory", time: "clock" })) {
    it.effect(test.name, () => test.run.pipe(Effect.provide(Parking.layerMemory)))
  }
})
