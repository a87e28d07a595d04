import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as Saga from "../../../saga/Saga.ts"
import { jsonSchemaOf } from "./schemas.ts"
import { given, Millis, millis, Retry, retryOf } from "./times.ts"

const optional = Schema.optionalKey

const Step = Schema.Struct({
  kind: Schema.Literals(["step", "wait", "delay"]),
  success: optional(Schema.Json),
  irreversible: optional(Schema.String),
  compensation: optional(Schema.String),
  retry: optional(Schema.NullOr(Retry)),
  compensationRetry: optional(Schema.NullOr(Retry)),
  timeoutMillis: optional(Millis),
  deadlineMillis: optional(Millis),
  durationMillis: optional(Millis),
  service: optional(Schema.String),
  description: optional(Schema.String)
})

export const Process = Schema.Struct({
  payload: Schema.Json,
  /** Names, order and kinds of its steps: what a run that is under way relies on. */
  fingerprint: Schema.String,
  steps: Schema.Record(Schema.String, Step)
})

type Node = Saga.Any["nodes"][number]
type Single = Exclude<Node, { _tag: "Parallel" }>

const singles = (node: Node): ReadonlyArray<Single> => (node._tag === "Parallel" ? node.steps : [node])

export const processOf = (saga: Saga.Any): typeof Process.Type => ({
  payload: jsonSchemaOf(saga.definition.payload),
  fingerprint: Saga.fingerprint(saga),
  steps: Object.fromEntries(saga.nodes.flatMap(singles).map((node) => [node.name, stepOf(node)]))
})

const stepOf = (node: Single): typeof Step.Type => {
  switch (node._tag) {
    case "Step":
      return given({
        kind: "step" as const,
        success: jsonSchemaOf(node.success),
        irreversible: node.irreversible,
        compensation: node.irreversible === undefined ? (node.compensation ?? `undo ${node.name}`) : undefined,
        retry: retryOf(node.retry),
        compensationRetry: node.irreversible === undefined ? retryOf(node.compensationRetry) : undefined,
        timeoutMillis: millis(node.timeout),
        service: node.service,
        description: node.description
      })
    case "Wait":
      return given({
        kind: "wait" as const,
        success: jsonSchemaOf(node.success),
        deadlineMillis: Duration.toMillis(node.deadline),
        service: node.service
      })
    case "Delay":
      return { kind: "delay", durationMillis: Duration.toMillis(node.duration) }
  }
}
