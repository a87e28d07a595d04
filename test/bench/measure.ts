/**
 * Medians of interleaved runs: what is compared is measured in turns in the same process, so that a noisy machine
 * disturbs all of it alike.
 */

/** One row of the output. A ratio above 1 means that ours is better. */
export interface Row {
  readonly name: string
  readonly ours: number
  readonly peer: number
  readonly unit: string
  readonly ratio: number
  /** What the row must reach. */
  readonly target: number
}

/** Nanoseconds of time. */
export const wall = (): bigint => process.hrtime.bigint()

/** Nanoseconds of processor that the process has used: for small differences on a machine that others use too. */
export const cpu = (): bigint => {
  const { system, user } = process.cpuUsage()
  return BigInt(system + user) * 1000n
}

/** Nanoseconds that each contestant took per run, one number a round. */
export const interleaved = async <const Names extends string>(
  contestants: { readonly [K in Names]: () => Promise<unknown> },
  options: {
    readonly rounds: number
    readonly warmup: number
    readonly collect?: boolean
    /** Default: `wall`. */
    readonly clock?: () => bigint
  }
): Promise<{ readonly [K in Names]: ReadonlyArray<number> }> => {
  const { clock = wall } = options
  const names = Object.keys(contestants) as Array<Names>
  const times = Object.fromEntries(names.map((name) => [name, []])) as unknown as { [K in Names]: Array<number> }
  for (let round = -options.warmup; round < options.rounds; round++) {
    // Each round begins with another contestant, so that none always runs on the other's garbage.
    for (let index = 0; index < names.length; index++) {
      const name = names[(index + round + options.warmup) % names.length]!
      // Nobody pays for the garbage of the one before, where rounds are long enough to warm up again.
      if (options.collect) globalThis.gc?.()
      const begun = clock()
      await contestants[name]()
      const took = Number(clock() - begun)
      if (round >= 0) times[name].push(took)
    }
  }
  return times
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** How many times faster ours was, as the median over the rounds: what disturbs a round disturbs both. */
export const paired = (peer: ReadonlyArray<number>, ours: ReadonlyArray<number>): number =>
  round(median(peer.map((each, index) => each / ours[index]!)))

/** Less is better: time, memory. */
export const less = (name: string, unit: string, ours: number, peer: number, target: number): Row => ({
  name,
  ours: round(ours),
  peer: round(peer),
  unit,
  ratio: round(peer / ours),
  target
})

/** More is better: requests per second. */
export const more = (name: string, unit: string, ours: number, peer: number, target: number): Row => ({
  name,
  ours: round(ours),
  peer: round(peer),
  unit,
  ratio: round(ours / peer),
  target
})

const round = (value: number): number => Math.round(value * 100) / 100
