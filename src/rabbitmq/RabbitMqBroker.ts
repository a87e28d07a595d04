/**
 * Channels over RabbitMQ 3.10 to 4.x (AMQP 0-9-1, by amqplib).
 *
 * **Details**
 *
 * What is declared, durable, for a channel `orders` and its group `billing`:
 *
 * - a direct exchange `orders`, and a queue `orders.billing`; with 8 partitions `orders.billing.0` to `.7`, each bound with
 *   its number. The partition of a key is `Channel.partitionOf`. A queue of a strictly ordered channel has a single active
 *   consumer.
 * - `orders.billing.dead` for the dead letters.
 * - `orders.billing.delay.1000` for what is to be retried after a second, and so on: one for each delay of the
 *   subscription (for each partition), since a message that waits longer would hold up those behind it. A delay between
 *   two is rounded up; one longer than all goes round several times.
 *
 * Publishing: every message is persistent and mandatory, and has a definite outcome. At most `maxInFlight` wait for their
 * confirm; further publishers wait. A message whose confirm was lost with its channel or connection is sent again, with
 * the same message id, so it may arrive twice. `publishTimeout` is the longest that a publisher waits, for whatever
 * reason.
 *
 * Consuming: a settlement is of the channel that brought the delivery; on a new one it is `late`. A consumer whose channel,
 * queue or connection is lost is set up again. When a subscription ends, what was not taken goes to other consumers at
 * once; on a strictly ordered channel not before what was given out is settled, or its `drain` is over.
 *
 * Crash probation: when a process dies, the broker counts a redelivery for each message that it had prefetched, the guilty
 * one and its neighbours. So a consumer begins with a prefetch of 1, and takes its whole prefetch when the first message
 * comes that was never given out before; the redelivered ones are at the head of the queue, and are tried one by one. Not
 * so on a channel of strict order, where what is tried alone would lose its place: there the consumer parks what was
 * redelivered, and its store counts.
 *
 * **Gotchas**
 *
 * - Queue arguments cannot be changed. A queue that is there with others is a `TopologyMismatch`: migrate it.
 * - A quorum queue puts what is given back before what was never given out, behind what was given back earlier. A visit of
 *   dead letters restores their order, so it fetches what earlier visits have shown as well.
 * - Each partition has its share of the prefetch, rounded down.
 * - The headers CC, BCC and x-death of a message are data; they do not route it.
 * - The query of the URL is not read; what can be set is in the options.
 *
 * **Example** (A broker from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import { RabbitMqBroker } from "effect-integration/rabbitmq"
 *
 * export const broker = RabbitMqBroker.layerConfig({
 *   url: Config.Redacted("AMQP_URL"),
 *   connectionName: "billing",
 *   publishTimeout: "5 seconds"
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Broker from "../event/Broker.ts"
import type { BrokerUnavailable } from "../event/BrokerError.ts"
import * as broker from "./internal/broker.ts"
import { type Options, settings } from "./internal/settings.ts"

export type { Options } from "./internal/settings.ts"

/**
 * A broker on two connections: one publishes, the other consumes, so that a broker that blocks publishers does not stop
 * consumers.
 *
 * **Details**
 *
 * Throws `InvalidOption` where an option makes no sense. When the layer is released, publishes in flight have up to 5
 * seconds to be confirmed, and fail otherwise.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Broker.Broker, BrokerUnavailable> =>
  Layer.effect(Broker.Broker, broker.make(settings(options)))

/**
 * As `layer`, with options from the configuration.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: {
  readonly [Name in keyof Options]: Options[Name] | Config.Config<NonNullable<Options[Name]>>
}): Layer.Layer<Broker.Broker, BrokerUnavailable | Config.ConfigError> =>
  Layer.effect(
    Broker.Broker,
    Effect.gen(function* () {
      const given: Record<string, unknown> = {}
      for (const [name, value] of Object.entries(options)) given[name] = Config.isConfig(value) ? yield* value : value
      return yield* broker.make(settings(given as unknown as Options))
    })
  )
