/**
 * The broker that `AMQP_URL` names; without it a private one, which ends with the demo.
 */
import amqp from "amqplib"
import { Config, Effect, Layer, Option, Redacted } from "effect"
import { RabbitMqBroker } from "effect-integration/rabbitmq"
import { design } from "./orders.ts"

const privateUrl = Effect.gen(function* () {
  const { make } = yield* Effect.promise(() => import("../../test/servers/RabbitMq.ts"))
  return Redacted.make((yield* make()).url)
})

/** On a server of others, what this run has declared goes with it, and nothing else. */
const leaveNothing = (url: Redacted.Redacted, suffix: string) =>
  Effect.addFinalizer(() =>
    Effect.promise(async () => {
      const { channel, consumer } = design(suffix)
      const queue = `${channel.name}.${consumer.name}`
      const connection = await amqp.connect(Redacted.value(url))
      const session = await connection.createChannel()
      for (let place = 0; place < channel.partitions; place++) await session.deleteQueue(`${queue}.${place}`)
      await session.deleteQueue(`${queue}.dead`)
      await session.deleteExchange(channel.name)
      await connection.close()
    })
  )

export const layer = (suffix: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const given = yield* Config.option(Config.Redacted("AMQP_URL"))
      if (Option.isNone(given)) return RabbitMqBroker.layer({ url: yield* privateUrl })
      yield* leaveNothing(given.value, suffix)
      return RabbitMqBroker.layer({ url: given.value })
    })
  )
