/**
 * Where the events travel, and where is kept what was processed: the only thing that differs between the backends.
 *
 * What the plain demo does not need is imported where it is asked for.
 */
import { Effect, Layer } from "effect"
import { DedupStore, MemoryBroker, Parking } from "effect-integration/event"

export const brokers = ["memory", "rabbitmq"] as const
export const stores = ["memory", "postgres"] as const

export interface Options {
  readonly broker: (typeof brokers)[number]
  readonly store: (typeof stores)[number]
}

const rabbitmq = (suffix: string) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("./rabbitmq.ts")),
      ({ layer }) => layer(suffix)
    )
  )

const postgres = (suffix: string) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("./postgres.ts")),
      ({ layer }) => layer(suffix)
    )
  )

export const layer = ({ broker, store }: Options, suffix: string) =>
  Layer.mergeAll(
    broker === "memory" ? MemoryBroker.layer : rabbitmq(suffix),
    store === "memory" ? Layer.mergeAll(DedupStore.layerMemory, Parking.layerMemory) : postgres(suffix)
  )
