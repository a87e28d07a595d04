/**
 * The numbers of the contract and of the consumer that the summary is made of.
 */
import { Effect } from "effect"
import * as Readings from "./readings.ts"

export interface Calls {
  readonly calls: number
  readonly attempts: number
  readonly retries: number
  readonly retriesByReason: ReadonlyArray<readonly [reason: string, count: number]>
  readonly circuitOpenings: number
  readonly tokenRefreshes: number
  readonly rateLimitWaits: number
}

export const calls = (contract: string): Effect.Effect<Calls> =>
  Effect.map(Readings.glance, (readings) => ({
    calls: readings.of("requests", contract) ?? 0,
    attempts: readings.of("attempts", contract) ?? 0,
    retries: readings.of("retries", contract) ?? 0,
    retriesByReason: readings.series("retries", contract),
    circuitOpenings: readings.of("circuitOpenings", contract) ?? 0,
    tokenRefreshes: readings.of("tokenRefreshes", contract) ?? 0,
    rateLimitWaits: readings.of("rateLimitWait", contract) ?? 0
  }))

export interface Deliveries {
  /** Messages that the consumer has taken responsibility for: the broker may forget them. */
  readonly taken: number
  readonly handled: number
  readonly deadLettered: number
  /** Duplicates that dedup has skipped. */
  readonly duplicates: number
  /** Messages that were parked, and those that came to their end there. */
  readonly parked: number
  readonly workedOff: number
}

export const deliveries = (consumer: string): Effect.Effect<Deliveries> =>
  Effect.map(Readings.glance, (readings) => {
    const count = (...outcomes: ReadonlyArray<string>) =>
      outcomes.reduce((total, outcome) => total + (readings.of("deliveries", consumer, outcome) ?? 0), 0)
    return {
      taken: count("done", "skipped", "duplicate", "dead-lettered", "parked"),
      handled: count("done", "skipped", "parked: done", "parked: skipped"),
      deadLettered: count("dead-lettered", "parked: Dead"),
      duplicates: count("duplicate", "parked: duplicate"),
      parked: count("parked"),
      workedOff: count("parked: done", "parked: skipped", "parked: duplicate", "parked: Dead")
    }
  })
