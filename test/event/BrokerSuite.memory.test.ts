import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Layer, Queue } from "effect"
import { Broker, type Delivery, Settlement } from "../../src/event/Broker.ts"
import { PublishError } from "../../src/event/BrokerError.ts"
import * as MemoryBroker from "../../src/event/MemoryBroker.ts"
import type { Message } from "../../src/event/Message.ts"
import { BrokerSuite } from "../../src/testing/index.ts"

const features: BrokerSuite.Features = {
  time: "test",
  delays: true,
  partitions: true,
  persistent: false,
  headerTypes: "all",
  maxMessages: "exact",
  givenBack: "place",
  maxAge: true,
  properties: { correlationId: "c-1", replyTo: "answers", priority: 4 }
}

describe("BrokerSuite on MemoryBroker", () => {
  for (const { name, run } of BrokerSuite.make(features)) {
    it.effect(name, () => Effect.provide(run, MemoryBroker.layer))
  }
})

type Handle = Broker["Service"]

const onMessages = (change: (message: Message) => Message) => (broker: Handle) => ({
  ...broker,
  publish: (channel: Parameters<Handle["publish"]>[0], message: Message) => broker.publish(channel, change(message))
})

const onDeliveries = (change: (delivery: Delivery) => Delivery) => (broker: Handle) => ({
  ...broker,
  subscribe: Effect.fnUntraced(function* (subscription: Parameters<Handle["subscribe"]>[0]) {
    const deliveries = yield* broker.subscribe(subscription)
    const changed = yield* Queue.unbounded<Delivery>()
    yield* Effect.forkScoped(
      Effect.forever(Effect.flatMap(Queue.take(deliveries), (each) => Queue.offer(changed, change(each))))
    )
    return changed
  })
})

const onSettle = (settle: (delivery: Delivery, settlement: Settlement) => ReturnType<Delivery["settle"]>) =>
  onDeliveries((delivery) => ({ ...delivery, settle: (settlement) => settle(delivery, settlement) }))

const nth = (n: number) => {
  let count = 0
  return () => ++count % n === 0
}

/** Brokers that break one promise each, and the test that must notice. */
const broken: Readonly<Record<string, readonly [(broker: Handle) => Handle, string]>> = {
  "loses a byte of large bodies": [
    onMessages((message) => (message.body.length > 5000 ? { ...message, body: message.body.slice(1) } : message)),
    "messages: whole with an empty body"
  ],
  "makes text of headers": [
    onMessages((message) => ({
      ...message,
      headers: Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name, String(value)]))
    })),
    "messages: whole with headers"
  ],
  "forgets the key": [onMessages(({ key: _, ...message }) => message), "messages: whole with everything"],
  "forgets properties": [onMessages(({ properties: _, ...message }) => message), "messages: whole with everything"],
  "loses one message of a thousand": [
    (broker) => {
      const isLost = nth(1000)
      return { ...broker, publish: (channel, message) => (isLost() ? Effect.void : broker.publish(channel, message)) }
    },
    "groups: each gets each message once"
  ],
  "sends one message of a thousand twice": [
    (broker) => {
      const isTwice = nth(1000)
      return {
        ...broker,
        publish: (channel, message) =>
          Effect.andThen(isTwice() ? broker.publish(channel, message) : Effect.void, broker.publish(channel, message))
      }
    },
    "groups: each gets each message once"
  ],
  "has one channel": [
    (broker) => {
      const one = (channel: Parameters<Handle["publish"]>[0]) => ({ ...channel, name: "one" })
      return {
        ...broker,
        publish: (channel, message) => broker.publish(one(channel), message),
        subscribe: (subscription) => broker.subscribe({ ...subscription, channel: one(subscription.channel) })
      }
    },
    "groups: channels are apart"
  ],
  "drops what is unroutable": [
    (broker) => ({ ...broker, publish: (channel, message) => Effect.ignore(broker.publish(channel, message)) }),
    "groups: what nobody consumes is unroutable"
  ],
  "says unavailable for unroutable": [
    (broker) => ({
      ...broker,
      publish: (channel, message) =>
        Effect.mapError(
          broker.publish(channel, message),
          (error) => new PublishError({ ...error, reason: "unavailable" })
        )
    }),
    "groups: what nobody consumes is unroutable"
  ],
  "forgets channel.consumers": [
    (broker) => ({
      ...broker,
      publish: (channel, message) =>
        Effect.catch(broker.publish({ ...channel, consumers: [] }, message), () => Effect.void)
    }),
    "groups: those of channel.consumers"
  ],
  "knows no prefetch": [
    (broker) => ({ ...broker, subscribe: (subscription) => broker.subscribe({ ...subscription, prefetch: 1000 }) }),
    "groups: never more unsettled than prefetch, with 1 partitions"
  ],
  "counts no redeliveries": [
    onDeliveries((delivery) => ({ ...delivery, redeliveries: 0 })),
    "groups: nothing is lost while a consumer comes and goes"
  ],
  "acknowledges what is left": [
    onDeliveries((delivery) => {
      void Effect.runFork(delivery.settle(Settlement.Ack()))
      return { ...delivery, isLive: () => true, settle: () => Effect.succeed("done") }
    }),
    "groups: nothing is lost while a consumer comes and goes"
  ],
  "settles twice": [
    onSettle((delivery, settlement) => Effect.as(delivery.settle(settlement), "done")),
    "settle: a delivery is settled once"
  ],
  "is always live": [
    onDeliveries((delivery) => ({ ...delivery, isLive: () => true })),
    "settle: a delivery is settled once"
  ],
  "acknowledges dead letters": [
    onSettle((delivery, settlement) =>
      delivery.settle(settlement._tag === "DeadLetter" ? Settlement.Ack() : settlement)
    ),
    "settle: DeadLetter moves it whole"
  ],
  "adds no headers": [
    onSettle((delivery, settlement) =>
      delivery.settle("headers" in settlement ? { ...settlement, headers: {} } : settlement)
    ),
    "retry: a count that the consumer keeps"
  ],
  "retries at once": [
    onSettle((delivery, settlement) =>
      delivery.settle(settlement._tag === "Retry" ? { ...settlement, after: Duration.zero } : settlement)
    ),
    "retry: comes again whole after its delay and not before"
  ],
  "retries a little early": [
    onSettle((delivery, settlement) =>
      delivery.settle(
        settlement._tag === "Retry"
          ? { ...settlement, after: Duration.subtract(settlement.after, Duration.millis(10)) }
          : settlement
      )
    ),
    "retry: comes again whole after its delay and not before"
  ],
  "retries for every group": [
    (broker) => ({
      ...broker,
      subscribe: (subscription) =>
        onSettle((delivery, settlement) =>
          settlement._tag === "Retry"
            ? Effect.andThen(
                Effect.orDie(broker.publish(subscription.channel, delivery.message)),
                delivery.settle(Settlement.Ack())
              )
            : delivery.settle(settlement)
        )(broker).subscribe(subscription)
    }),
    "retry: comes again whole after its delay and not before"
  ],
  "requeues to the back": [
    (broker) => ({
      ...broker,
      subscribe: (subscription) =>
        onSettle((delivery, settlement) =>
          settlement._tag === "Requeue"
            ? delivery.settle(Settlement.Retry({ after: Duration.zero, headers: {} }))
            : delivery.settle(settlement)
        )(broker).subscribe(subscription)
    }),
    "order: of each key it is kept over partitions"
  ],
  "has no order over partitions": [
    (broker) => {
      const none = (channel: Parameters<Handle["publish"]>[0]) => ({ ...channel, ordering: { _tag: "None" } as const })
      return {
        ...broker,
        publish: (channel, message) => broker.publish(none(channel), message),
        subscribe: (subscription) => broker.subscribe({ ...subscription, channel: none(subscription.channel) })
      }
    },
    "order: of each key it is kept over partitions"
  ],
  "does not drain": [
    (broker) => ({
      ...broker,
      subscribe: (subscription) => broker.subscribe({ ...subscription, drain: Duration.zero })
    }),
    "shutdown: deliveries in hand may still be settled"
  ],
  "drains for ever": [
    (broker) => ({
      ...broker,
      subscribe: (subscription) => broker.subscribe({ ...subscription, drain: Duration.days(10_000) })
    }),
    "shutdown: what is not settled in time"
  ],
  "shows dead letters in any order": [
    (broker) => ({
      ...broker,
      deadLetters: (group) => {
        const letters = broker.deadLetters(group)
        return {
          ...letters,
          visit: (visitor, options) =>
            Effect.gen(function* () {
              const all: Array<Message> = []
              yield* letters.visit(
                (letter) =>
                  Effect.as(
                    Effect.sync(() => all.push(letter)),
                    { _tag: "Keep" }
                  ),
                options
              )
              for (const letter of all.toReversed()) yield* visitor(letter)
              return all.length
            })
        }
      }
    }),
    "dead letters: a visit shows each once and oldest first"
  ],
  "knows no limit of a visit": [
    (broker) => ({
      ...broker,
      deadLetters: (group) => ({
        ...broker.deadLetters(group),
        visit: (visitor) => broker.deadLetters(group).visit(visitor, { limit: 1000 })
      })
    }),
    "dead letters: a visit shows no more than its limit"
  ],
  "removes what a visitor saw before it failed": [
    (broker) => ({
      ...broker,
      deadLetters: (group) => ({
        ...broker.deadLetters(group),
        visit: (visitor, options) =>
          Effect.gen(function* () {
            const letters: Array<Message> = []
            const shown = yield* broker.deadLetters(group).visit((letter) => {
              letters.push(letter)
              return Effect.succeed({ _tag: "Remove" })
            }, options)
            for (const letter of letters) {
              const verdict = yield* visitor(letter)
              if (verdict._tag === "Keep") yield* broker.deadLetters(group).add(letter)
            }
            return shown
          })
      })
    }),
    "dead letters: a visitor that fails loses nothing"
  ],
  "replays to every group": [
    (broker) => ({
      ...broker,
      deadLetters: (group) => ({
        ...broker.deadLetters(group),
        visit: (visitor, options) =>
          broker.deadLetters(group).visit(
            (letter) =>
              Effect.gen(function* () {
                const verdict = yield* visitor(letter)
                if (verdict._tag !== "Replay") return verdict
                yield* broker.publish(group.channel, verdict.message)
                return { _tag: "Remove" }
              }),
            options
          )
      })
    }),
    "dead letters: a replay reaches its group only"
  ],
  "counts what is delayed as ready": [
    (broker) => ({
      ...broker,
      depth: (group) =>
        Effect.map(broker.depth(group), (depth) => ({ ...depth, ready: depth.ready + depth.delayed, delayed: 0 }))
    }),
    "depth: it counts what waits"
  ],
  "always wants one consumer": [
    (broker) => ({
      ...broker,
      health: Effect.map(broker.health, (health) => ({
        ...health,
        subscriptions: health.subscriptions.map((each) => ({ ...each, wanted: 1, present: 1 }))
      }))
    }),
    "health: it compares consumers wanted with consumers present, with 3 partitions"
  ],
  "knows no maximum of messages": [
    (broker) => ({
      ...broker,
      publish: (channel, message) =>
        broker.publish({ ...channel, retention: { ...channel.retention, maxMessages: undefined } }, message)
    }),
    "retention: what is more than maxMessages"
  ]
}

describe("BrokerSuite notices a broker that", () => {
  for (const [what, [breakIt, name]] of Object.entries(broken)) {
    it.effect(what, () =>
      Effect.gen(function* () {
        const test = BrokerSuite.make({ ...features, patience: "300 millis" }).find((each) =>
          each.name.startsWith(name)
        )
        assert.isDefined(test, `there is no test ${name}`)
        const layer = Layer.effect(Broker, Effect.map(Broker, breakIt)).pipe(Layer.provide(MemoryBroker.layer))
        const exit = yield* Effect.exit(Effect.provide(test.run, layer))
        assert.isTrue(Exit.isFailure(exit), `${test.name} does not notice`)
      })
    )
  }
})
