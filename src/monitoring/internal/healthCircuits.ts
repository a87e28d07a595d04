import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as Option from "../../internal/option.ts"
import type * as CircuitBreaker from "../../policy/CircuitBreaker.ts"
import * as CircuitBreakers from "../../policy/CircuitBreakers.ts"
import type { Asked } from "./healthAsked.ts"
import type { Seen } from "./healthWatch.ts"

type State = CircuitBreaker.State

const words = { Closed: "closed", HalfOpen: "half-open", Open: "open", ForcedOpen: "forced open" } as const
const badness: ReadonlyArray<State["_tag"]> = ["Closed", "HalfOpen", "Open", "ForcedOpen"]

const why = (state: State, now: number): string => {
  switch (state._tag) {
    case "Closed":
      return ""
    case "HalfOpen":
      return "a call is tried, others fail at once"
    case "Open": {
      const wait = state.until > now ? ` for another ${Option.brief(Duration.millis(state.until - now))}` : ""
      return `calls fail at once${wait}`
    }
    case "ForcedOpen":
      return `opened by an operator: ${state.reason}`
  }
}

/**
 * The circuits of a name as one, since their keys may be tenants and many. The worst that they do is warn: calls fail
 * fast, as was wanted, and neither a restart nor another process would be better off.
 */
const ofName = (name: string, states: ReadonlyArray<State>, now: number): Seen => {
  const seen = { key: `${name}:circuit`, type: "component" } as const
  const open = states.filter(({ _tag }) => _tag !== "Closed")
  const [worst] = open.toSorted((a, b) => badness.indexOf(b._tag) - badness.indexOf(a._tag))
  if (worst === undefined) return { ...seen, status: "pass", value: words.Closed }
  const count = states.length === 1 ? "" : `${open.length} of ${states.length} circuits: `
  return { ...seen, status: "warn", value: words[worst._tag], output: `${count}${why(worst, now)}` }
}

/** The circuits of this process. */
export const circuits: Asked = {
  name: "circuits",
  type: "component",
  observe: Effect.gen(function* () {
    const now = monotonicMillis(yield* Clock.Clock)
    const byName = Map.groupBy(yield* CircuitBreakers.all, ({ name }) => name)
    return Array.from(byName, ([name, each]) =>
      ofName(
        name,
        each.map((circuit) => circuit.stateUnsafe(now)),
        now
      )
    )
  })
}
