/**
 * The outage as a script: what the provider does to the requests of each phase, and when the phase is over.
 *
 * Phases end after a share of the orders, after a time of the design's clock, or when the circuit has opened, so that none
 * is missed on a slow machine and none lasts long on a fast one.
 */
import { Clock, Effect, Ref } from "effect"

/** What happens to one request. "After booking" means that the charge was made, and the caller is not told. */
export type Fault =
  | "none"
  | "slow"
  | "error"
  | "error after booking"
  | "reset after booking"
  | "hang after booking"
  | "rate limit"
  | "expire tokens"
  | "unavailable"
  | "unavailable after booking"

export interface Phase {
  readonly name: string
  readonly story: string
  /** The fault of each request in turn, from the first again after the last. */
  readonly faults: readonly [Fault, ...ReadonlyArray<Fault>]
  readonly over: (seen: Seen) => boolean
}

/** What has happened since the phase began. */
interface Seen {
  readonly requests: number
  readonly seconds: number
  readonly circuitOpened: number
}

/** A bad day, in which so many orders arrive. */
export const badDay = (orders: number): ReadonlyArray<Phase> => {
  // No request charges more than one order, so orders are left for the last phase: the shares sum up to three quarters.
  const share = (part: number) => (seen: Seen) => seen.requests >= orders * part
  return [
    { name: "healthy", story: "all is well", faults: ["none"], over: share(0.2) },
    {
      name: "500s",
      story: "a third of the replies is a 500, half of them after the charge was booked",
      faults: ["error after booking", "none", "none", "error", "none", "none"],
      over: share(0.15)
    },
    { name: "slow", story: "every reply takes its time", faults: ["slow"], over: share(0.1) },
    {
      name: "hanging",
      story: "charges are booked, then nobody answers or the connection is reset",
      faults: ["hang after booking", "none", "none", "reset after booking", "none", "none"],
      over: share(0.12)
    },
    {
      name: "429s",
      story: "too many requests: come again in five seconds",
      faults: ["rate limit"],
      over: (seen) => seen.seconds >= 5
    },
    {
      name: "expired tokens",
      story: "every token expires before its time",
      faults: ["expire tokens", ...Array.from({ length: 39 }, () => "none" as const)],
      over: share(0.2)
    },
    {
      name: "503s",
      story: "down until the circuit has opened and a probe has found it still down, or for a minute",
      // Whole calls fail here, so an order that was booked is delivered again.
      faults: ["unavailable after booking", "unavailable", "unavailable", "unavailable"],
      over: (seen) => seen.circuitOpened >= 2 || seen.seconds >= 60
    },
    { name: "recovery", story: "all is well again", faults: ["none"], over: () => false }
  ]
}

const lasting = (seconds: number) => (seen: Seen) => seen.seconds >= seconds

/** Good and bad times in turn, by the clock. */
export const weather: ReadonlyArray<Phase> = [
  { name: "healthy", story: "all is well", faults: ["none"], over: lasting(30) },
  {
    name: "503s",
    story: "down, until the circuit has opened and a probe has found it still down",
    faults: ["unavailable after booking", "unavailable", "unavailable", "unavailable"],
    over: (seen) => seen.circuitOpened >= 2 || seen.seconds >= 90
  },
  { name: "recovery", story: "all is well again", faults: ["none"], over: lasting(90) },
  {
    name: "500s",
    story: "a third of the replies is a 500, half of them after the charge was booked",
    faults: ["error after booking", "none", "none", "error", "none", "none"],
    over: lasting(30)
  },
  { name: "slow", story: "every reply takes its time", faults: ["slow"], over: lasting(30) },
  {
    name: "expired tokens",
    story: "every token expires before its time",
    faults: ["expire tokens", ...Array.from({ length: 39 }, () => "none" as const)],
    over: lasting(30)
  },
  {
    name: "hanging",
    story: "charges are booked, then nobody answers or the connection is reset",
    faults: ["hang after booking", "none", "none", "reset after booking", "none", "none"],
    over: lasting(30)
  }
]

export interface Outage {
  readonly phase: Effect.Effect<Phase>
  /** The fault of the next request. */
  readonly next: Effect.Effect<Fault>
  /** To be told each time that the caller's circuit opens. */
  readonly circuitOpened: Effect.Effect<void>
}

/** From the first phase again after the last, where that ends. */
export const make = Effect.fnUntraced(function* (phases: ReadonlyArray<Phase>): Effect.fn.Return<Outage> {
  const state = yield* Ref.make({ index: 0, requests: 0, circuitOpened: 0, since: yield* Clock.currentTimeMillis })

  const next = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Ref.modify(state, (self) => {
      const over = phases[self.index]!.over({ ...self, seconds: (now - self.since) / 1000 })
      const current = over
        ? { index: (self.index + 1) % phases.length, requests: 0, circuitOpened: 0, since: now }
        : self
      const { faults } = phases[current.index]!
      return [faults[current.requests % faults.length]!, { ...current, requests: current.requests + 1 }]
    })
  )

  return {
    phase: Effect.map(Ref.get(state), (self) => phases[self.index]!),
    next,
    circuitOpened: Ref.update(state, (self) => ({ ...self, circuitOpened: self.circuitOpened + 1 }))
  }
})
