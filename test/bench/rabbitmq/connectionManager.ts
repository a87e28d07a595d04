/** amqp-connection-manager: channel wrappers with set-up functions, as its README shows. */
import { connect } from "amqp-connection-manager"
import type { Channel } from "amqplib"
import { handlerOf, inFlight, parse, read } from "./orders.ts"
import { ending, type Peer } from "./peer.ts"
import { lanes } from "./rounds.ts"

export const make = async (url: string): Promise<Peer> => {
  const publishing = connect([url], { connectionOptions: { noDelay: true } })
  const consuming = connect([url], { connectionOptions: { noDelay: true } })
  const publisher = publishing.createChannel()
  await Promise.all([publisher.waitForConnect(), consuming.connect()])
  return {
    publish: ({ exchange, routingKey }, messages) =>
      lanes(messages.length, inFlight, (index) => {
        const { body, options } = messages[index]!
        return publisher.publish(exchange, routingKey, body, options)
      }),
    consume: async ({ queue }, count) => {
      const { end, ended } = ending()
      const handle = handlerOf(count, end)
      const wrapper = consuming.createChannel({
        confirm: false,
        setup: async (channel: Channel) => {
          await channel.prefetch(inFlight)
          await channel.consume(queue, (message) => {
            if (message === null) return
            const { contentType, headers } = message.properties
            handle(read(headers, contentType, parse(message.content)))
            wrapper.ack(message)
          })
        }
      })
      await ended
      return () => wrapper.close()
    },
    close: () => Promise.all([publishing.close(), consuming.close()])
  }
}
