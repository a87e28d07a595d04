import { assert, describe, it } from "@effect/vitest"
import { Channel, Ordering } from "effect-integration/event"
import * as Fixture from "./orders.ts"

const inParts = (partitions: number) =>
  Channel.make("orders", [Fixture.OrderPlaced], { ordering: Ordering.strict("tenant"), partitions })

describe("the partition of a key", () => {
  // Queues of running systems hold messages by these numbers: another number breaks the order of a key.
  const partitions: ReadonlyArray<readonly [key: string, of: Readonly<Record<number, number>>]> = [
    ["", { 2: 1, 8: 5, 1000: 261, 1024: 453 }],
    ["a", { 2: 0, 8: 4, 1000: 220, 1024: 300 }],
    ["foobar", { 2: 0, 8: 0, 1000: 720, 1024: 360 }],
    ["t-1", { 2: 1, 8: 1, 1000: 57, 1024: 97 }],
    ["Zürich", { 2: 0, 8: 0, 1000: 984, 1024: 800 }],
    ["日本", { 2: 1, 8: 1, 1000: 721, 1024: 593 }],
    ["😀", { 2: 0, 8: 0, 1000: 256, 1024: 520 }]
  ]
  it.each(partitions)("is that of FNV-1a for all time: %j", (key, expected) => {
    for (const [count, partition] of Object.entries(expected)) {
      assert.strictEqual(Channel.partitionOf(inParts(Number(count)), key), partition, `of ${count}`)
    }
  })

  it("is the first where there is one partition, or no key", () => {
    assert.strictEqual(Channel.partitionOf(inParts(1), "foobar"), 0)
    assert.strictEqual(Channel.partitionOf(inParts(1000), undefined), 0)
  })
})
