import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { EventType } from "../../src/event/index.ts"
import type { InvalidOption } from "../../src/policy/index.ts"

const data = Schema.Struct({ orderId: Schema.String })
const rejected = (run: () => unknown): InvalidOption => {
  const result = Result.try(run)
  if (Result.isSuccess(result)) assert.fail("accepted")
  return Result.getOrThrow(Result.try({ try: run, catch: (error) => error }).pipe(Result.flip)) as never
}

describe("make", () => {
  it("keeps what it is given", () => {
    const type = EventType.make("com.acme.order.placed", { source: "/orders", data })
    assert.deepStrictEqual(
      [type.type, type.source, type.dataschema, type.previous],
      ["com.acme.order.placed", "/orders", undefined, {}]
    )
    assert.strictEqual(type.data, data)
  })

  it("rejects constants that make no sense", () => {
    const schema = "https://acme.com/2"
    const previous = { "https://acme.com/1": EventType.version(data, (old) => old) }
    for (const [option, run] of [
      ["type", () => EventType.make("", { source: "/s", data })],
      ["type", () => EventType.make(5 as never, { source: "/s", data })],
      ["source", () => EventType.make("t", { source: "", data })],
      ["source", () => EventType.make("t", { source: "a b", data })],
      ["dataschema", () => EventType.make("t", { source: "/s", data, dataschema: "/relative" })],
      ["dataschema", () => EventType.make("t", { source: "/s", data, previous })],
      [
        "dataschema",
        () =>
          EventType.make("t", {
            source: "/s",
            data,
            dataschema: schema,
            previous: { relative: EventType.version(data, (old) => old) }
          })
      ],
      ["previous", () => EventType.make("t", { source: "/s", data, dataschema: "https://acme.com/1", previous })]
    ] as const) {
      const error = rejected(run)
      assert.strictEqual(error._tag, "InvalidOption")
      assert.deepStrictEqual([error.where, error.option], ["EventType.make", option])
    }
  })
})

describe("version", () => {
  it("becomes the current one", () => {
    const type = EventType.make("t", {
      source: "/s",
      data: Schema.Struct({ cents: Schema.Int }),
      dataschema: "https://acme.com/2",
      previous: {
        "https://acme.com/1": EventType.version(Schema.Struct({ euros: Schema.Int }), ({ euros }) => ({
          cents: euros * 100
        }))
      }
    })
    const old = type.previous["https://acme.com/1"]!
    assert.deepStrictEqual(old.upcast(Schema.decodeUnknownSync(old.data)({ euros: 3 })), { cents: 300 })
    assert.isTrue(Result.isFailure(Schema.decodeUnknownResult(old.data)({ cents: 3 })))
  })
})

describe("entity and stateChange", () => {
  const id = "6e8bc430-9c3a-41d9-9669-0800200c9a66"
  const State = Schema.Struct({ status: Schema.String })
  const Changed = Schema.Struct({ ...EventType.entity, ...EventType.stateChange(State) })
  const decode = Schema.decodeUnknownResult(Changed)
  const good = {
    entityId: id,
    tenantId: id,
    actorId: id,
    previousState: { status: "new" },
    newState: { status: "paid" }
  }

  it("are fields of the data", () => assert.deepStrictEqual(Result.getOrThrow(decode(good)), good))
  it("have no previous state where there was none", () =>
    assert.isNull(Result.getOrThrow(decode({ ...good, previousState: null })).previousState))
  it("ask for UUIDs, and for the new state", () => {
    for (const name of ["entityId", "tenantId", "actorId"]) {
      for (const value of ["", "1", undefined, null]) {
        assert.isTrue(Result.isFailure(decode({ ...good, [name]: value })), `${name} ${value}`)
      }
    }
    assert.isTrue(Result.isFailure(decode({ ...good, newState: null })))
    assert.isTrue(Result.isFailure(decode({ ...good, previousState: undefined })))
  })
})
