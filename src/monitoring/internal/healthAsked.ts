import type * as Effect from "effect/Effect"
import type { Seen, Source } from "./healthWatch.ts"

/** What can be told to warn only. */
export const parts = ["broker", "consumers", "stores"] as const
export type Part = (typeof parts)[number]

/** Something that the health of an integration asks by itself. */
export interface Asked {
  readonly name: string
  readonly type: Source["type"]
  /** What it is among, where its failure fails the report. */
  readonly part?: Part
  readonly observe: Effect.Effect<ReadonlyArray<Seen>>
}
