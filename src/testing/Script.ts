/**
 * The replies of one route in their order.
 *
 * @since 0.1.0
 */
import { atLeast, type Reply } from "./internal/reply.ts"

/**
 * A reply that is given a number of times before the script goes on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Times {
  readonly _tag: "Times"
  readonly count: number
  readonly reply: Reply
}

/**
 * Replies that follow each other for ever.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cycle {
  readonly _tag: "Cycle"
  readonly replies: ReadonlyArray<Reply>
}

/**
 * The replies of a route, one after another; the last one repeats.
 *
 * @category models
 * @since 0.1.0
 */
export type Script = readonly [...ReadonlyArray<Reply | Times>, Reply | Times | Cycle]

/**
 * Gives a reply this many times before the script goes on.
 *
 * @category scripts
 * @since 0.1.0
 */
export const times = (count: number, reply: Reply): Times => ({
  _tag: "Times",
  count: atLeast("The number of times", 1, count),
  reply
})

/**
 * Gives these replies in turn, for ever; it can only be the last step of a script.
 *
 * @category scripts
 * @since 0.1.0
 */
export const cycle = (replies: readonly [Reply, ...ReadonlyArray<Reply>]): Cycle => ({ _tag: "Cycle", replies })

/**
 * The reply of a script to its n-th request, counted from 0.
 *
 * @category scripts
 * @since 0.1.0
 */
export const at = (script: Script, n: number): Reply => {
  let left = n
  for (const [i, step] of script.entries()) {
    const isLast = i === script.length - 1
    if (step._tag === "Cycle") {
      return step.replies[left % step.replies.length]!
    }
    const [count, reply] = step._tag === "Times" ? [step.count, step.reply] : [1, step]
    if (left < count || isLast) {
      return reply
    }
    left -= count
  }
  throw new RangeError("A script needs at least one reply, but none was given")
}
