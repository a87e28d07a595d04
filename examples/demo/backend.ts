/**
 * Where the events travel, and where is kept what was processed: the only thing that differs between the backends.
 *
 * What the plain demo does not need is imported where it is asked for.
 */
import { Effect, Layer } from "effect"
import { DedupStore, MemoryBroker, Parking } from "effect-integration/event"
import * as Book from "./book.ts"

export const brokers = ["memory", "rabbitmq"] as const
export const stores = ["memory", "postgres"] as const

export interface Options {
  readonly broker: (typeof brokers)[number]
  readonly store: (typeof stores)[number]
}

const rabbitmq = Layer.unwrap(
  Effect.map(
    Effect.promise(() => import("./rabbitmq.ts")),
    ({ layer }) => layer
  )
)

const postgres = Layer.unwrap(
  Effect.map(
    Effect.promise(() => import("./postgres.ts")),
    ({ layer }) => layer
  )
)

export const layer = ({ broker, store }: Options) =>
  Layer.mergeAll(
    broker === "memory" ? MemoryBroker.layer : rabbitmq,
    store === "memory" ? Layer.mergeAll(DedupStore.layerMemory, Parking.layerMemory, Book.layerMemory) : postgres
  )
