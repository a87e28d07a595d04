import * as Duration from "effect/Duration"
import type * as Integration from "../../Integration.ts"
import type * as Saga from "../../saga/Saga.ts"
import * as SagaDocument from "../SagaDocument.ts"
import * as Blocks from "./blocks.ts"
import { capital } from "./overview.ts"
import { sequenceOf, toMermaid } from "./sequence.ts"
import { sequenceSvg } from "./sequenceSvg.ts"

const { field, heading, lines, table } = Blocks

/** Section 5. */
export const consistency = (design: Integration.Integration): ReadonlyArray<Blocks.Block> => [
  heading(2, "5. Data Consistency Patterns"),
  heading(3, "5.1 Consistency Model"),
  ...model(design),
  heading(3, "5.2 Saga Pattern (if used for distributed transactions)"),
  ...(design.sagas.length === 0 ? [lines("The design has no sagas.")] : design.sagas.flatMap(saga))
]

const seconds = (lag: Duration.Input | undefined): string =>
  lag === undefined ? Blocks.notGiven : `${Duration.toMillis(Duration.fromInputUnsafe(lag)) / 1000}s`

const model = ({ channels, consistency }: Integration.Integration): ReadonlyArray<Blocks.Block> => {
  const lags = channels.filter(({ channel }) => channel.acceptableLag !== undefined)
  return [
    table(
      ["Data", "Model", "Acceptable lag"],
      consistency.map(({ acceptableLag, data, model }) => [data, capital(model), seconds(acceptableLag)])
    ),
    ...(lags.length === 0
      ? []
      : [
          Blocks.list(
            lags.map(
              ({ channel }) => `The oldest waiting event of ${channel.name}: at most ${seconds(channel.acceptableLag)}`
            )
          )
        ])
  ]
}

const saga = (each: Saga.Any): ReadonlyArray<Blocks.Block> => {
  const sequence = sequenceOf(each)
  return [
    heading(4, `Saga: ${each.name}`),
    Blocks.drawing(`Saga ${each.name}`, toMermaid(sequence), () => sequenceSvg(sequence)),
    lines(field("Compensation strategies", "")),
    table(SagaDocument.columns, SagaDocument.compensations(each))
  ]
}
