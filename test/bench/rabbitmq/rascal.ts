/**
 * rascal: publications and subscriptions by configuration, as its README shows. It parses JSON itself.
 *
 * A channel of its pool has one message in flight, so the pool has 256.
 */
import type { ConsumeMessage } from "amqplib"
import type { Buffer } from "node:buffer"
import { EventEmitter } from "node:events"
import { createRequire } from "node:module"
import { handlerOf, inFlight, read } from "./orders.ts"
import { ending, type Peer, type Target } from "./peer.ts"
import { lanes } from "./rounds.ts"

/** It has no types. */
interface Broker extends EventEmitter {
  readonly publish: (publication: string, payload: Buffer, overrides: object) => Promise<EventEmitter>
  readonly subscribe: (subscription: string) => Promise<EventEmitter & { readonly cancel: () => Promise<void> }>
  readonly shutdown: () => Promise<void>
}
const { BrokerAsPromised, withDefaultConfig } = createRequire(import.meta.url)("rascal") as {
  readonly BrokerAsPromised: { readonly create: (config: object) => Promise<Broker> }
  readonly withDefaultConfig: (config: object) => object
}

const fail = (error: unknown): never => {
  throw error
}

export const make = async (url: string, target: Target): Promise<Peer> => {
  const { exchange, queue, routingKey } = target
  // Each publish listens to the connection that all channels share.
  EventEmitter.defaultMaxListeners = 0
  const broker = await BrokerAsPromised.create(
    withDefaultConfig({
      vhosts: {
        "/": {
          connection: { url, options: { channelMax: inFlight + 10 } },
          publicationChannelPools: { confirmPool: { max: inFlight, min: inFlight, autostart: true } },
          exchanges: { [exchange]: { assert: false, check: true } },
          queues: { [queue]: { assert: false, check: true } }
        }
      },
      publications: { orders: { exchange, routingKey, confirm: true } },
      subscriptions: { orders: { queue, prefetch: inFlight } }
    })
  )
  broker.on("error", fail)
  return {
    publish: (_, messages) =>
      lanes(messages.length, inFlight, async (index) => {
        const { body, options } = messages[index]!
        const publication = await broker.publish("orders", body, { options })
        await new Promise((resolve, reject) => {
          publication.on("success", resolve).on("error", reject).on("return", reject)
        })
      }),
    consume: async (_, count) => {
      const { end, ended } = ending()
      const handle = handlerOf(count, end)
      const subscription = await broker.subscribe("orders")
      subscription
        .on("message", (message: ConsumeMessage, content: unknown, ackOrNack: () => void) => {
          handle(read(message.properties.headers, message.properties.contentType, content))
          ackOrNack()
        })
        .on("error", fail)
      await ended
      return () => subscription.cancel()
    },
    close: () => broker.shutdown()
  }
}
