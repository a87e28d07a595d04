/**
 * How a saga has ended, or why it waits for a person.
 *
 * @since 0.1.0
 */
import type { StepFailed } from "./SagaError.ts"

/**
 * Every step has succeeded.
 *
 * @category models
 * @since 0.1.0
 */
export interface Completed<out Results> {
  readonly _tag: "Completed"
  readonly id: string
  /** The result of each step, by its name. */
  readonly results: Results
}

/**
 * A step has failed, and what was done is undone.
 *
 * @category models
 * @since 0.1.0
 */
export interface RolledBack<out Step extends string, out E> {
  readonly _tag: "RolledBack"
  readonly id: string
  readonly failedStep: Step
  readonly error: E | StepFailed
  /** The steps that were undone, in the order in which that was done. */
  readonly compensated: ReadonlyArray<Step>
}

/**
 * A person must decide: a compensation has used up its retries, or a step failed behind the point of no return.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stuck<out Step extends string> {
  readonly _tag: "Stuck"
  readonly id: string
  readonly step: Step
  readonly phase: Phase
  readonly error: Failure
}

/**
 * A person has ended a saga that was stuck.
 *
 * @category models
 * @since 0.1.0
 */
export interface Abandoned<out Step extends string> {
  readonly _tag: "Abandoned"
  readonly id: string
  readonly step: Step
  readonly phase: Phase
  readonly error: Failure
  readonly reason: string
  /** The steps that were undone before, in the order in which that was done. */
  readonly compensated: ReadonlyArray<Step>
}

/**
 * @category models
 * @since 0.1.0
 */
export type Outcome<Results, Step extends string, E> =
  | Completed<Results>
  | RolledBack<Step, E>
  | Stuck<Step>
  | Abandoned<Step>

/** What a saga is stuck in. @category models @since 0.1.0 */
export type Phase = "run" | "compensate"

/**
 * What is kept of an error, for people.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failure {
  /** The tag of the error, or its name. */
  readonly tag: string
  /** Its message, at most 1,000 characters. */
  readonly description: string
}
