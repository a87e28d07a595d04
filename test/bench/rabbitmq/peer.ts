import type { Outgoing } from "../../../src/rabbitmq/internal/wire.ts"

/** Where a contestant publishes, and what it consumes. */
export interface Target {
  readonly exchange: string
  readonly routingKey: string
  readonly queue: string
}

/** Another library, connected. */
export interface Peer {
  /** Publishes all, 256 in flight, and resolves when the last is confirmed. */
  readonly publish: (target: Target, messages: ReadonlyArray<Outgoing>) => Promise<unknown>
  /** Begins to consume, and resolves when so many are acknowledged, with what stops it. */
  readonly consume: (target: Target, count: number) => Promise<() => Promise<unknown>>
  readonly close: () => Promise<unknown>
}

/** Resolves when the acknowledgement of the last message has been written. */
export const ending = (): { readonly ended: Promise<void>; readonly end: () => void } => {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { ended: promise, end: () => void setImmediate(resolve) }
}
