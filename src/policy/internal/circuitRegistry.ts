import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Telemetry from "../../Telemetry.ts"

/** Something with circuits of one name: a circuit itself, or a family of them. */
export interface Member<out Circuit = unknown> {
  readonly name: string
  readonly present: () => ReadonlyArray<Circuit>
  /** Has circuits that are yet to be made begin forced open, or closed again. */
  readonly force?: (forced: Forced | undefined) => void
}

/** That, why and since when (monotonic milliseconds) an operator opened circuits. */
export interface Forced {
  readonly reason: string
  readonly since: number
}

export const Registry = Context.Reference<Map<string, Set<WeakRef<Member>>>>(
  "effect-integration/policy/CircuitBreakers/Registry",
  { defaultValue: () => new Map() }
)

export const register = (member: Member): Effect.Effect<void> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const registry = Context.get(context, Registry)
    Telemetry.recorder(member.name).circuits(member, context)
    const members = registry.get(member.name) ?? new Set()
    for (const each of members) if (each.deref() === undefined) members.delete(each)
    members.add(new WeakRef(member))
    registry.set(member.name, members)
    return Effect.void
  })
