/** Declares, fills, checks and empties the queues of all contestants, on a connection of its own. */
import * as amqp from "amqplib"
import { setTimeout } from "node:timers/promises"
import * as Channel from "../../../src/event/Channel.ts"
import * as topology from "../../../src/rabbitmq/internal/topology.ts"
import * as Queues from "../../../src/rabbitmq/Queues.ts"
import { group, message, outgoing } from "./orders.ts"

export interface Control {
  /** Declares what our broker would declare. */
  readonly declare: (channel: Channel.Any) => Promise<void>
  /** Fills the queues of a channel with so many new events. */
  readonly fill: (channel: Channel.Any, count: number) => Promise<void>
  readonly purge: (channel: Channel.Any) => Promise<void>
  /** Throws where another number of messages is in the queues of a channel: a contestant did not do its work. */
  readonly assertHolds: (channel: Channel.Any, count: number) => Promise<void>
  readonly close: () => Promise<void>
}

export const make = async (url: string): Promise<Control> => {
  const connection = await amqp.connect(url)
  const wire = await connection.createConfirmChannel()
  const declared: Array<Channel.Any> = []
  const queuesOf = (channel: Channel.Any) => Queues.queuesOf(channel, group)
  const left = async (channel: Channel.Any): Promise<number> => {
    let sum = 0
    for (const queue of queuesOf(channel)) sum += (await wire.checkQueue(queue)).messageCount
    return sum
  }
  return {
    declare: async (channel) => {
      declared.push(channel)
      for (const step of topology.groupSteps(channel, group, "quorum")) {
        if (step._tag === "Exchange") await wire.assertExchange(step.name, "direct", { durable: true })
        if (step._tag === "Queue") await wire.assertQueue(step.name, { durable: true, arguments: step.arguments })
        if (step._tag === "Bind") await wire.bindQueue(step.name, step.exchange, step.routingKey)
      }
    },
    fill: async (channel, count) => {
      for (let sent = 0; sent < count; sent += 1000) {
        for (let index = sent; index < Math.min(sent + 1000, count); index++) {
          const made = message(channel)
          const { body, options } = outgoing(made)
          wire.publish(channel.name, String(Channel.partitionOf(channel, made.key)), body, options)
        }
        await wire.waitForConfirms()
      }
    },
    purge: async (channel) => {
      for (const queue of queuesOf(channel)) await wire.purgeQueue(queue)
    },
    assertHolds: async (channel, count) => {
      // A quorum queue counts a little later than it confirms.
      for (let look = 0; look < 100 && (await left(channel)) !== count; look++) await setTimeout(20)
      const found = await left(channel)
      if (found !== count) throw new Error(`the bench is wrong: ${found} messages in ${channel.name}, not ${count}`)
    },
    close: async () => {
      for (const channel of declared) {
        for (const queue of [...queuesOf(channel), Queues.deadQueueOf(channel, group)]) await wire.deleteQueue(queue)
        await wire.deleteExchange(channel.name)
      }
      await connection.close()
    }
  }
}
