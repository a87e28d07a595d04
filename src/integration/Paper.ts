/**
 * What people write down and nothing runs on: consistency, scenarios, approvals.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"

/** @category models @since 0.1.0 */
export const consistencies = ["strong", "eventual", "causal"] as const

/**
 * How consistent some data is (section 5.1).
 *
 * @category models
 * @since 0.1.0
 */
export interface Consistency {
  readonly data: string
  readonly model: (typeof consistencies)[number]
  readonly acceptableLag?: Duration.Input
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Scenario {
  readonly name: string
  readonly expected: string
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Approval {
  readonly role: string
  readonly name?: string
  readonly date?: string
  readonly signature?: string
}

/**
 * A finding that the team knows and accepts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Acknowledged {
  /** The finding's id, as the findings print it. */
  readonly finding: string
  readonly reason: string
}
