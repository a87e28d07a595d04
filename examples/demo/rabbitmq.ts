/**
 * The broker that `AMQP_URL` names; without it a private one, which ends with the demo.
 */
import amqp from "amqplib"
import { Config, Data, Duration, Effect, Layer, Option, Redacted } from "effect"
import { Queues, RabbitMqBroker } from "effect-integration/rabbitmq"
import design from "../orders-to-payments/design.ts"

/** The queues of the design have their names, so two demos cannot share them, nor may the demo use those of others. */
class InUse extends Data.TaggedError("InUse")<{ readonly exchange: string }> {
  override get message(): string {
    return `the exchange ${this.exchange} is there already: give the demo a virtual host of its own in AMQP_URL`
  }
}

const privateUrl = Effect.gen(function* () {
  const { make } = yield* Effect.promise(() => import("../../test/servers/RabbitMq.ts"))
  return Redacted.make((yield* make()).url)
})

const channels = design.channels.map(({ channel }) => channel)
const queues = channels.flatMap((channel) =>
  channel.consumers.flatMap((group) => {
    const consumer = design.consumers.find(({ name }) => name === group)
    const delays = (consumer?.options.retry?.delays ?? []).map(Duration.toMillis)
    const ladder = delays.length === 0 ? [1_000, 10_000, 60_000, 600_000, 3_600_000] : delays
    const partitions = Array.from({ length: channel.partitions }, (_, partition) => partition)
    return [
      ...Queues.queuesOf(channel, group),
      Queues.deadQueueOf(channel, group),
      ...partitions.flatMap((each) => ladder.map((millis) => Queues.delayQueueOf(channel, group, each, millis)))
    ]
  })
)

const isThere = async (connection: amqp.ChannelModel, exchange: string): Promise<boolean> => {
  const session = await connection.createChannel()
  // The broker closes the channel of whoever asks for what is not there.
  session.on("error", () => {})
  return session.checkExchange(exchange).then(
    () => true,
    () => false
  )
}

/** On a server of others, what this run has declared goes with it, and nothing else. */
const leaveNothing = Effect.fnUntraced(function* (url: Redacted.Redacted) {
  const connect = Effect.acquireRelease(
    Effect.promise(() => amqp.connect(Redacted.value(url))),
    (connection) => Effect.promise(() => connection.close())
  )
  yield* Effect.scoped(
    Effect.flatMap(connect, (connection) =>
      Effect.forEach(channels, ({ name: exchange }) =>
        Effect.flatMap(
          Effect.promise(() => isThere(connection, exchange)),
          (there) => (there ? Effect.fail(new InUse({ exchange })) : Effect.void)
        )
      )
    )
  )
  const remove = async (connection: amqp.ChannelModel) => {
    const session = await connection.createChannel()
    for (const queue of queues) await session.deleteQueue(queue)
    for (const { name } of channels) await session.deleteExchange(name)
  }
  yield* Effect.addFinalizer(() =>
    Effect.scoped(Effect.flatMap(connect, (connection) => Effect.promise(() => remove(connection))))
  )
})

export const layer = Layer.unwrap(
  Effect.gen(function* () {
    const given = yield* Config.option(Config.Redacted("AMQP_URL"))
    if (Option.isNone(given)) return RabbitMqBroker.layer({ url: yield* privateUrl })
    yield* leaveNothing(given.value)
    return RabbitMqBroker.layer({ url: given.value })
  })
)
