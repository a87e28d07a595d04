/** Rounds with parts that are not timed: queues are filled before, and emptied after. */

export interface Contestant {
  readonly before?: () => Promise<unknown>
  readonly run: () => Promise<unknown>
  readonly after?: () => Promise<unknown>
}

/** Nanoseconds that each contestant took per round, in turns, as `interleaved` of measure.ts does it. */
export const interleaved = async <const Names extends string>(
  contestants: { readonly [K in Names]: Contestant },
  options: { readonly rounds: number; readonly warmup: number }
): Promise<{ readonly [K in Names]: ReadonlyArray<number> }> => {
  const names = Object.keys(contestants) as Array<Names>
  const times = Object.fromEntries(names.map((name) => [name, []])) as unknown as { [K in Names]: Array<number> }
  for (let round = -options.warmup; round < options.rounds; round++) {
    for (let index = 0; index < names.length; index++) {
      const name = names[(index + round + options.warmup) % names.length]!
      const contestant = contestants[name]
      await contestant.before?.()
      globalThis.gc?.()
      const begun = process.hrtime.bigint()
      await contestant.run()
      const took = Number(process.hrtime.bigint() - begun)
      await contestant.after?.()
      if (round >= 0) times[name].push(took)
    }
  }
  return times
}

/** So many workers that call one after another. */
export const lanes = (count: number, width: number, call: (index: number) => Promise<unknown>): Promise<unknown> => {
  let next = 0
  const lane = async () => {
    while (next < count) await call(next++)
  }
  return Promise.all(Array.from({ length: width }, lane))
}
