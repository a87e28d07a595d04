import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema } from "effect"
import { Diff } from "effect-integration/document"
import { payloadChanges, type Use } from "../../../src/document/internal/diff/payloads.ts"
import { schemaChanges } from "../../../src/document/internal/diff/schemas.ts"
import { jsonSchemaOf } from "../../../src/document/internal/snapshot/schemas.ts"

class Money extends Schema.Class<Money>("Money")({ cents: Schema.Int }) {}
class Cash extends Schema.Class<Cash>("Money")({ cents: Schema.Int, currency: Schema.String }) {}
interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Tree>
}
const tree = (name: Schema.Codec<string>): Schema.Codec<Tree> => {
  const self: Schema.Codec<Tree> = Schema.Struct({
    name,
    children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => self))
  }).annotate({ identifier: "Tree" })
  return self
}

const leaves: ReadonlyArray<Schema.Codec<any, any>> = [
  Schema.String,
  Schema.NonEmptyString,
  Schema.String.check(Schema.isMaxLength(1)),
  Schema.Int,
  Schema.Finite,
  Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)),
  Schema.Boolean,
  Schema.Literal("a"),
  Schema.Literals(["a", "b"]),
  Schema.Literals(["b", "c"]),
  Schema.NullOr(Schema.String),
  Schema.NullOr(Schema.Int),
  Schema.Union([Schema.String, Schema.Int]),
  Schema.Null,
  Schema.Array(Schema.String),
  Schema.Array(Schema.Literals(["a", "b"])),
  Schema.Array(Schema.Int).check(Schema.isMinLength(1)),
  Schema.Record(Schema.String, Schema.Int),
  Schema.Struct({ x: Schema.String }),
  Schema.Struct({ x: Schema.optionalKey(Schema.String) }),
  Schema.Struct({ x: Schema.String, y: Schema.Int }),
  Schema.Json,
  Schema.Tuple([Schema.String, Schema.Int]),
  Money,
  Cash,
  tree(Schema.String),
  tree(Schema.Literal("a")),
  Schema.String.annotate({ description: "a name" })
]
const json = [null, true, 0, 1, -1, 1.5, "", "a", "b", "c", "long", [], ["a"], ["c"], [1], ["a", 1], {}]
const values: ReadonlyArray<Schema.Json> = [
  ...json,
  { x: "a" },
  { x: 1 },
  { x: "a", y: 1 },
  { x: "a", y: "b" },
  { cents: 1 },
  { cents: 1, currency: "EUR" },
  { name: "a", children: [] },
  { name: "b", children: [{ name: "a", children: [] }] },
  { name: "a", children: [{ name: "b", children: [] }] }
]

const Index = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: leaves.length - 1 }))
const Field = Schema.Struct({ leaf: Index, optional: Schema.Boolean, there: Schema.Boolean })
const structOf = (fields: ReadonlyArray<typeof Field.Type>) =>
  Schema.Struct(
    Object.fromEntries(
      fields.flatMap(({ leaf, optional, there }, at) =>
        there ? [[`f${at}`, optional ? Schema.optionalKey(leaves[leaf]!) : leaves[leaf]!]] : []
      )
    )
  )

const admits = (schema: Schema.Codec<any, any>) => {
  const decode = Schema.decodeUnknownExit(Schema.toCodecJson(schema))
  return (value: unknown) => Exit.isSuccess(decode(value))
}

/** Values that are refused now, or are new, though it is said that nothing like that happens. There must be none. */
const unsound = (before: Schema.Codec<any, any>, after: Schema.Codec<any, any>, tried: ReadonlyArray<unknown>) => {
  const changes = schemaChanges(jsonSchemaOf(before), jsonSchemaOf(after), "data")
  const [was, is] = [admits(before), admits(after)]
  // A field that came in was free to hold anything before; that nobody used its name is what makes it compatible.
  const tightened = changes.some((change) => change.tightened || change.what === "optional field added")
  const loosened = changes.some((change) => change.loosened)
  return tried
    .filter((value) => (!tightened && was(value) && !is(value)) || (!loosened && !was(value) && is(value)))
    .map((value) => JSON.stringify({ value, changes }))
}

describe("what a schema admits", () => {
  it("is compared soundly, for each two of many schemas", () => {
    for (const before of leaves) {
      for (const after of leaves) assert.deepStrictEqual(unsound(before, after, values), [])
    }
  })

  it.effect.prop(
    "is compared soundly in structs",
    [Field, Field, Field, Field],
    ([a, b, c, d]) =>
      Effect.sync(() => {
        const tried = [undefined, ...values].flatMap((first) =>
          [undefined, ...values].map((second) => ({
            ...(first === undefined ? {} : { f0: first }),
            ...(second === undefined ? {} : { f1: second })
          }))
        )
        assert.deepStrictEqual(unsound(structOf([a, b]), structOf([c, d]), tried), [])
      }),
    { arbitrary: { runs: 100 } }
  )

  const compare = (before: Schema.Codec<any, any>, after: Schema.Codec<any, any>) =>
    schemaChanges(jsonSchemaOf(before), jsonSchemaOf(after), "data").map(
      ({ loosened, path, tightened, what }) =>
        `${path} ${what}${tightened ? ", tightened" : ""}${loosened ? ", loosened" : ""}`
    )

  it("says what has changed, and where", () => {
    assert.deepStrictEqual(compare(Schema.Literals(["a", "b"]), Schema.Literals(["a", "b", "c"])), [
      "data enum, loosened"
    ])
    assert.deepStrictEqual(compare(Schema.String, Schema.Literal("a")), ["data enum, tightened"])
    assert.deepStrictEqual(compare(Schema.String, Schema.NullOr(Schema.String)), ["data alternative added, loosened"])
    assert.deepStrictEqual(compare(Schema.String, Schema.String.annotate({ description: "d" })), ["data description"])
    assert.deepStrictEqual(compare(Schema.Array(Money), Schema.Array(Cash)), [
      "data[].currency required field added, tightened"
    ])
    assert.deepStrictEqual(compare(tree(Schema.String), tree(Schema.NonEmptyString)), [
      "data.name minLength, tightened"
    ])
    assert.deepStrictEqual(
      compare(Schema.Struct({ x: Schema.String }), Schema.Struct({ x: Schema.optionalKey(Schema.String) })),
      ["data.x field became optional, loosened"]
    )
    assert.deepStrictEqual(
      compare(
        Schema.NullOr(Schema.Struct({ x: Schema.String })),
        Schema.NullOr(Schema.Struct({ x: Schema.String, y: Schema.optionalKey(Schema.Int) }))
      ),
      ["data.y optional field added"]
    )
  })

  it("breaks those who write or read it, according to its use", () => {
    const at = { section: "s", subject: "s", path: "p" }
    const kinds = (before: Schema.Codec<any, any>, after: Schema.Codec<any, any>) =>
      (["request", "response", "stored"] as ReadonlyArray<Use>).map((use) => {
        const changes = payloadChanges(use, jsonSchemaOf(before), jsonSchemaOf(after), at)
        return Diff.kinds.find((kind) => changes.some((change) => change.kind === kind))
      })
    assert.deepStrictEqual(kinds(Schema.Literals(["a"]), Schema.Literals(["a", "b"])), [
      "behavioural",
      "breaking",
      "breaking"
    ])
    assert.deepStrictEqual(kinds(Schema.Literals(["a", "b"]), Schema.Literals(["a"])), [
      "breaking",
      "behavioural",
      "breaking"
    ])
    assert.deepStrictEqual(kinds(Schema.String, Schema.Int), ["breaking", "breaking", "breaking"])
    assert.deepStrictEqual(kinds(Schema.String, Schema.String.annotate({ title: "t" })), [
      "documentation",
      "documentation",
      "documentation"
    ])
    assert.deepStrictEqual(kinds(Schema.String, Schema.String), [undefined, undefined, undefined])
  })
})
