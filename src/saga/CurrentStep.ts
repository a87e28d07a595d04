/**
 * The step of a saga that an effect is part of.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"

/**
 * What a step or a compensation can know about itself; its saga provides it.
 *
 * @category services
 * @since 0.1.0
 */
export class CurrentStep extends Context.Service<
  CurrentStep,
  {
    readonly saga: string
    /** Of the saga's run: the same after a crash and on another machine. */
    readonly id: string
    readonly step: string
    readonly phase: "run" | "compensate"
    /** From 1. A process that dies spends no attempt: the same one is run again. */
    readonly attempt: number
  }
>()("effect-integration/saga/CurrentStep") {}
