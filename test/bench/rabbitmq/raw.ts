/** amqplib by itself: a confirm channel pipelined by callbacks; consume and acknowledge, nothing else. */
import * as amqp from "amqplib/callback_api"
import { promisify } from "node:util"
import { inFlight } from "./orders.ts"
import { ending, type Peer } from "./peer.ts"

export const make = async (url: string): Promise<Peer> => {
  const connect = (): Promise<amqp.Connection> =>
    new Promise((resolve, reject) => {
      amqp.connect(url, { noDelay: true }, (error: Error | null, made) =>
        error === null ? resolve(made) : reject(error)
      )
    })
  const publishing = await connect()
  const consuming = await connect()
  const confirmed = await new Promise<amqp.ConfirmChannel>((resolve, reject) => {
    publishing.createConfirmChannel((error: Error | null, made) => (error === null ? resolve(made) : reject(error)))
  })
  return {
    publish: ({ exchange, routingKey }, messages) =>
      new Promise<void>((resolve, reject) => {
        let next = 0
        let left = messages.length
        const send = () => {
          const message = messages[next++]
          if (message !== undefined) confirmed.publish(exchange, routingKey, message.body, message.options, answered)
        }
        const answered = (error: Error | null) => {
          if (error !== null) return reject(error)
          if (--left === 0) resolve()
          else send()
        }
        for (let index = 0; index < inFlight; index++) send()
      }),
    consume: ({ queue }, count) =>
      new Promise((resolve, reject) => {
        let left = count
        const { end, ended } = ending()
        const channel = consuming.createChannel((error: Error | null) => {
          if (error !== null) return reject(error)
          channel.prefetch(inFlight)
          channel.consume(queue, (message) => {
            if (message === null) return reject(new Error("cancelled"))
            channel.ack(message)
            if (--left === 0) end()
          })
        })
        void ended.then(() => resolve(() => new Promise<void>((resolve) => channel.close(() => resolve()))))
      }),
    close: () => Promise.all([publishing, consuming].map((each) => promisify(each.close.bind(each))()))
  }
}
