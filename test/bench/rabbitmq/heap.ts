/** The heap of a thread of its own after so many messages, published and consumed with dedup. */
import { Effect } from "effect"
import { setTimeout } from "node:timers/promises"
import { getHeapStatistics, setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { parentPort, workerData } from "node:worker_threads"
import * as Measure from "../measure.ts"
import { channelOf, message } from "./orders.ts"
import * as Ours from "./ours.ts"

export interface Input {
  readonly url: string
  readonly early: number
  readonly late: number
}

setFlagsFromString("--expose-gc")
const gc = runInNewContext("gc") as () => void

/** Bytes, when the window of the dedup is over. */
const reading = async (): Promise<number> => {
  await setTimeout(4000)
  const readings: Array<number> = []
  for (let index = 0; index < 7; index++) {
    gc()
    await setTimeout(100)
    gc()
    readings.push(getHeapStatistics().used_heap_size)
  }
  return Measure.median(readings)
}

const run = async ({ early, late, url }: Input): Promise<readonly [early: number, late: number]> => {
  const channel = channelOf("heap")
  const readings = Effect.gen(function* () {
    const broker = yield* Ours.connect(url)
    return yield* Effect.promise(async () => {
      let handled = 0
      let waiting = { until: 0, tell: () => {} }
      const stop = await Ours.start(broker, channel, "2 seconds", () => {
        if (++handled === waiting.until) waiting.tell()
      })
      const reach = async (until: number) => {
        const count = until - handled
        const { promise, resolve } = Promise.withResolvers<void>()
        waiting = { until, tell: resolve }
        await Ours.publish(broker, channel, count, () => message(channel))
        await promise
        return reading()
      }
      const found = [await reach(early), await reach(late)] as const
      await stop()
      return found
    })
  })
  return Effect.runPromise(Effect.scoped(readings))
}

const found = await run(workerData as Input)
parentPort?.postMessage(found, [])
