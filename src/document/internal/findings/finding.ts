import type * as Integration from "../../../Integration.ts"

/**
 * How bad a finding is: an `error` breaks a promise of the document, a `warning` will surprise somebody, a `note` is to be
 * known.
 *
 * @category models
 * @since 0.1.0
 */
export type Severity = "error" | "warning" | "note"

/**
 * Something about a design that does not add up.
 *
 * @category models
 * @since 0.1.0
 */
export interface Finding {
  /** Stable, to be acknowledged by: what it is, and about what. For example `retry-beyond-budget/payments`. */
  readonly id: string
  readonly severity: Severity
  /** Of the document: number and title, for example `3.1 Retry Policy`. */
  readonly section: string
  /** The contract, channel, consumer, saga or condition that it is about. */
  readonly subject: string
  /** What is wrong, with the numbers. */
  readonly message: string
  readonly remedy: string
  /** Why the team accepts it. */
  readonly acknowledged?: string
}

/** Looks at a design for one kind of mistakes. */
export type Look = (design: Integration.Integration) => ReadonlyArray<Finding>

/** The sections that findings are about, besides those of the contracts. */
export const section = {
  overview: "1 Integration Overview & Context",
  topics: "4.2 Topics / Queues",
  ordering: "4.3 Ordering Guarantees",
  idempotency: "4.4 Idempotency Strategy",
  saga: "5.2 Saga Pattern",
  environments: "6.2 Integration Test Environments",
  alerts: "7.3 Alert Routing"
} as const

/** `1 request`, `2 requests`. */
export const count = (number: number, noun: string, nouns = `${noun}s`): string =>
  `${number} ${number === 1 ? noun : nouns}`
