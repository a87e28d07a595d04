import { PersistenceError } from "effect/cluster/ClusterError"
import * as MessageStorage from "effect/cluster/MessageStorage"
import type { RunnerAddress } from "effect/cluster/RunnerAddress"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import type { ShardId } from "effect/cluster/ShardId"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as batcher from "./batcher.ts"

interface Wanted {
  readonly address: RunnerAddress
  readonly shard: ShardId
}

/**
 * Renews the locks that many sagas ask for at once with one statement, and asks again where the database fails.
 *
 * The engine confirms its lock before it stores the answer of a step. Where it cannot, it drops the answer, for whoever has
 * the lock. If nobody else has it, what was dropped lies for ten minutes before it is looked at again; so it is handed out
 * again as soon as the database answers. For whatever else is left lying, by a process that was stalled for example, all
 * that is unfinished is handed out again each `period`: what is at work already takes no notice.
 */
export const layer = (
  period: Duration.Duration
): Layer.Layer<RunnerStorage.RunnerStorage, never, RunnerStorage.RunnerStorage | MessageStorage.MessageStorage> =>
  Layer.effect(
    RunnerStorage.RunnerStorage,
    Effect.gen(function* () {
      const inner = yield* RunnerStorage.RunnerStorage
      const storage = yield* MessageStorage.MessageStorage
      const scope = yield* Effect.scope
      const dropped = new Set<ShardId>()
      let held: ReadonlyArray<ShardId> = []
      const sweep = Effect.suspend(() => (held.length === 0 ? Effect.void : Effect.ignore(storage.resetShards(held))))
      yield* Effect.forkIn(Effect.forever(Effect.delay(sweep, period)), scope)
      const handOut = Effect.gen(function* () {
        yield* Effect.sleep("1 second")
        const shards = Array.from(dropped)
        dropped.clear()
        yield* Effect.retry(storage.resetShards(shards), Schedule.spaced("1 second"))
      })
      const drop = (shards: ReadonlyArray<ShardId>) =>
        Effect.suspend(() => {
          const isUnderWay = dropped.size > 0
          for (const shard of shards) dropped.add(shard)
          return isUnderWay ? Effect.void : Effect.asVoid(Effect.forkIn(handOut, scope))
        })
      const again = Schedule.max([Schedule.exponential("50 millis"), Schedule.recurs(3)])
      const renew = yield* batcher.make<Wanted, boolean, PersistenceError>({
        row: ({ shard }) => shard.toString(),
        isSame: () => true,
        follow: (held) => held,
        run: (wanted) =>
          Effect.map(
            Effect.retry(
              inner.refresh(
                wanted[0]!.address,
                wanted.map(({ shard }) => shard)
              ),
              again
            ),
            (held) => {
              const names = new Set(held.map(String))
              return wanted.map(({ shard }) => names.has(shard.toString()))
            }
          ),
        isDivisible: () => false,
        abandoned: () => {},
        failed: (error) => error,
        closed: () => new PersistenceError({ cause: "the engine of sagas was closed" }),
        maxRows: 1000,
        maxBatches: 1
      })
      return RunnerStorage.RunnerStorage.of({
        ...inner,
        refresh: (address, given) => {
          const shards = Array.from(given)
          // Asked with none, it says that this process lives.
          if (shards.length === 0) return inner.refresh(address, shards)
          const renewed = Effect.forEach(shards, (shard) => renew({ address, shard }), { concurrency: "unbounded" })
          return renewed.pipe(
            Effect.map((found) => shards.filter((_, index) => found[index])),
            // All at once are all that this process has.
            Effect.tap((found) => Effect.sync(() => void (shards.length > 1 && (held = found)))),
            // Also where whoever asked did not wait for the answer.
            Effect.onExit((exit) => (exit._tag === "Success" ? Effect.void : drop(shards)))
          )
        }
      })
    })
  )
