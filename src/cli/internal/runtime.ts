import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { Loaded } from "./design.ts"
import { Failure, messageOf } from "./failure.ts"

/** A service by the name that people know. */
export type Needs = Readonly<Record<string, Context.Key<any, any>>>

/** Runs something with the `runtime` that the file of the design exports, which must give what is needed. */
export const withRuntime = <A, E, R>(
  { exports, file }: Loaded,
  needs: Needs,
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Failure> =>
  Effect.gen(function* () {
    const { runtime } = exports
    const names = Object.keys(needs).join(" and ")
    if (!Layer.isLayer(runtime)) {
      const message = `exports no \`runtime\`: export a Layer that gives ${names} under this name`
      return yield* new Failure({ message, at: { file } })
    }
    const given = (yield* Layer.build(runtime as Layer.Layer<any, unknown>).pipe(
      Effect.catchCause((cause) => {
        const message = `the \`runtime\` could not be started: ${messageOf(Cause.squash(cause))}`
        return Effect.fail(new Failure({ message, at: { file } }))
      })
    )) as Context.Context<any>
    const missing = Object.entries(needs).find(([, key]) => Option.isNone(Context.getOption(given, key)))
    if (missing !== undefined) {
      return yield* new Failure({ message: `the \`runtime\` gives no ${missing[0]}, which is needed`, at: { file } })
    }
    return yield* Effect.provideContext(self as Effect.Effect<A, E>, given)
  }).pipe(Effect.scoped)
