import * as Effect from "effect/Effect"

const evaluation = Symbol("effect-integration/immediate")

interface Immediate<A> extends Effect.Effect<A> {
  [evaluation]?: () => A
}

/** `Effect.sync`, whose value can also be had without a fiber. */
export const sync = <A extends {}>(evaluate: () => A): Effect.Effect<A> => {
  const effect: Immediate<A> = Effect.sync(evaluate)
  effect[evaluation] = evaluate
  return effect
}

/**
 * The value of an effect that was made by `sync`, which is had at once; `undefined` of any other. An effect that waits for
 * nothing so costs no more than a call.
 */
export const value = <A extends {}, E, R>(effect: Effect.Effect<A, E, R>): A | undefined =>
  (effect as unknown as Immediate<A>)[evaluation]?.()
