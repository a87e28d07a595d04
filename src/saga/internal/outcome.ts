import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Issue from "../../internal/issue.ts"
import { StepFailed } from "../SagaError.ts"
import type { Definition, Node, StepNode, WaitNode } from "./definition.ts"
import { type Plain, read, write } from "./json.ts"
import type { Final } from "./machine.ts"

const Failure = Schema.Struct({ tag: Schema.String, description: Schema.String })
const compensated = Schema.Array(Schema.String)

/** What a saga that has ended leaves in the engine's store. Values are JSON texts of their own schemas. */
const Stored = Schema.Union([
  Schema.TaggedStruct("Completed", { results: Schema.Record(Schema.String, Schema.String) }),
  Schema.TaggedStruct("RolledBack", {
    failedStep: Schema.String,
    /** Of the step's declared error, or of `StepFailed`. */
    declared: Schema.Boolean,
    error: Schema.String,
    failure: Failure,
    compensated
  }),
  Schema.TaggedStruct("Abandoned", {
    step: Schema.String,
    phase: Schema.Literals(["run", "compensate"]),
    failure: Failure,
    reason: Schema.String,
    compensated
  })
])
const StoredText = Schema.fromJsonString(Stored)

const resultsOf = (definition: Definition): ReadonlyMap<string, StepNode | WaitNode> =>
  new Map(
    definition.nodes
      .flatMap((node): ReadonlyArray<Node> => (node._tag === "Parallel" ? node.steps : [node]))
      .filter((node) => node._tag === "Step" || node._tag === "Wait")
      .map((node) => [node.name, node])
  )

const failedCodec = StepFailed as unknown as Plain

export const encode = Effect.fnUntraced(function* (
  definition: Definition,
  final: Final
): Effect.fn.Return<string, Schema.SchemaError> {
  const nodes = resultsOf(definition)
  const stored = Effect.fnUntraced(function* (): Effect.fn.Return<typeof Stored.Type, Schema.SchemaError> {
    if (final._tag === "Completed") {
      const results: Record<string, string> = {}
      for (const [name, value] of Object.entries(final.results)) {
        const node = nodes.get(name)
        if (node === undefined) continue
        results[name] = node._tag === "Step" && node.isVoid ? "null" : yield* write(node.success, value)
      }
      return { _tag: "Completed", results }
    }
    if (final._tag === "Abandoned") return final
    const node = nodes.get(final.failedStep)
    const declared = !(final.error instanceof StepFailed) && node?._tag === "Step" && node.error !== undefined
    const error = yield* write(declared ? node.error! : failedCodec, final.error)
    const { failedStep, failure } = final
    return { _tag: "RolledBack", failedStep, declared, error, failure, compensated: final.compensated }
  })
  return yield* Schema.encodeEffect(StoredText)(yield* stored())
})

/** A result that no longer fits its schema is a defect: there is no answer to give. */
export const decode = Effect.fnUntraced(function* (definition: Definition, text: string) {
  const nodes = resultsOf(definition)
  const unreadable = (step: string) => (error: Schema.SchemaError) =>
    new StepFailed({
      saga: definition.name,
      step,
      reason: "unreadable",
      tag: "SchemaError",
      description: `what it left in the store no longer fits its schema: ${Issue.describe(error).description}`,
      outcome: "processed"
    })
  const stored = yield* Effect.orDie(Schema.decodeEffect(StoredText)(text))
  if (stored._tag === "Completed") {
    const results: Record<string, unknown> = {}
    for (const [name, value] of Object.entries(stored.results)) {
      const node = nodes.get(name)
      if (node === undefined) continue
      const isVoid = node._tag === "Step" && node.isVoid
      results[name] = isVoid
        ? undefined
        : yield* Effect.orDie(Effect.mapError(read(node.success, value), unreadable(name)))
    }
    return { _tag: "Completed", results } as const
  }
  if (stored._tag === "Abandoned") {
    const { failure: error, ...rest } = stored
    return { ...rest, error }
  }
  const { compensated, declared, error, failedStep } = stored
  const node = nodes.get(failedStep)
  const schema = declared && node?._tag === "Step" && node.error !== undefined ? node.error : failedCodec
  const found = yield* Effect.match(read(schema, error), {
    onSuccess: (value) => value,
    onFailure: unreadable(failedStep)
  })
  return { _tag: "RolledBack", failedStep, error: found, compensated } as const
})
