/** rabbitmq-client: a publisher with confirms and a consumer, as its README shows. It parses JSON itself. */
import { Connection } from "rabbitmq-client"
import { handlerOf, inFlight, read } from "./orders.ts"
import { ending, type Peer } from "./peer.ts"
import { lanes } from "./rounds.ts"

export const make = async (url: string): Promise<Peer> => {
  const publishing = new Connection(url)
  const consuming = new Connection(url)
  await Promise.all([publishing.onConnect(), consuming.onConnect()])
  const publisher = publishing.createPublisher({ confirm: true, maxAttempts: 2 })
  return {
    publish: ({ exchange, routingKey }, messages) =>
      lanes(messages.length, inFlight, (index) => {
        const { body, options } = messages[index]!
        const { contentType, headers, messageId } = options
        return publisher.send(
          { exchange, routingKey, durable: true, mandatory: true, contentType, messageId, headers } as object,
          body
        )
      }),
    consume: async ({ queue }, count) => {
      const { end, ended } = ending()
      const handle = handlerOf(count, end)
      const consumer = consuming.createConsumer(
        { queue, queueOptions: { passive: true }, qos: { prefetchCount: inFlight } },
        async (message) => handle(read(message.headers, message.contentType, message.body))
      )
      await ended
      return () => consumer.close()
    },
    close: async () => {
      await publisher.close()
      await Promise.all([publishing.close(), consuming.close()])
    }
  }
}
