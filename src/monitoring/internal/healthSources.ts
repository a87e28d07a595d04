import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Integration from "../../Integration.ts"
import type { Part } from "./healthAsked.ts"
import { circuits } from "./healthCircuits.ts"
import { broker, consumers } from "./healthEvents.ts"
import { probes } from "./healthProbes.ts"
import { outbox, stores } from "./healthStores.ts"
import type { Source } from "./healthWatch.ts"

export interface Options {
  readonly timeout: Duration.Duration
  /** Names of consumers that are to run in this process. */
  readonly consumers: ReadonlyArray<string>
  readonly warnOnly: ReadonlyArray<Part>
}

/** What is asked, of what is there. */
export const of = (
  design: Integration.Integration,
  context: Context.Context<never>,
  { consumers: wanted, timeout, warnOnly }: Options
): ReadonlyArray<Source> =>
  [
    circuits,
    ...broker(context),
    consumers(design, context, wanted),
    ...stores(context),
    ...outbox(design, context),
    probes
  ].map(({ name, observe, part, type }) => ({
    name,
    type,
    about: ["ready"],
    severity: part === undefined || warnOnly.includes(part) ? "warn" : "fail",
    timeout,
    observe
  }))
