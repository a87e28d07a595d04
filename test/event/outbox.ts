/** A broker that can be told what to answer, and that keeps what it was given. */
import { Context, Effect, Exit, Layer, Ref, Scope } from "effect"
import { Broker, Channel, type Message, MemoryBroker, Ordering, PublishError } from "effect-integration/event"
import * as Fixture from "./orders.ts"

export const relayed = {
  Strict: Channel.make("outbox-strict", [Fixture.OrderPlaced], { ordering: Ordering.strict("tenant") }),
  Halting: Channel.make("outbox-halting", [Fixture.OrderPlaced], {
    ordering: Ordering.strict("tenant", { exhausted: "halt" })
  }),
  Loose: Channel.make("outbox-loose", [Fixture.OrderPlaced])
}

type Answer = (message: Message.Message, channel: Channel.Any) => Effect.Effect<void, PublishError>

export class Script extends Context.Service<
  Script,
  {
    readonly answer: Ref.Ref<Answer>
    readonly confirmed: Ref.Ref<ReadonlyArray<{ readonly channel: string; readonly message: Message.Message }>>
    readonly asked: Ref.Ref<number>
  }
>()("test/event/outbox/Script") {}

const script = Layer.effect(
  Script,
  Effect.gen(function* () {
    return {
      answer: yield* Ref.make<Answer>(() => Effect.void),
      confirmed: yield* Ref.make<ReadonlyArray<{ channel: string; message: Message.Message }>>([]),
      asked: yield* Ref.make(0)
    }
  })
)

const broker = Layer.effect(
  Broker.Broker,
  Effect.gen(function* () {
    const real = yield* Broker.Broker
    const { answer, asked, confirmed } = yield* Script
    return Broker.Broker.of({
      ...real,
      publish: (channel, message) =>
        Effect.gen(function* () {
          yield* Ref.update(asked, (n) => n + 1)
          yield* (yield* Ref.get(answer))(message, channel)
          yield* Ref.update(confirmed, (all) => [...all, { channel: channel.name, message }])
        })
    })
  })
).pipe(Layer.provide(MemoryBroker.layer))

export const keyed = Layer.provideMerge(broker, script)

export const ids = Effect.flatMap(Script, ({ confirmed }) =>
  Effect.map(Ref.get(confirmed), (all) => all.map(({ message }) => message.messageId!))
)

export const answer = (answer: Answer) => Effect.flatMap(Script, (script) => Ref.set(script.answer, answer))
export const asked = Effect.flatMap(Script, ({ asked }) => Ref.get(asked))

export const failed = (reason: PublishError["reason"]) =>
  Effect.fail(new PublishError({ reason, channel: "c", description: "as told" }))

/** A layer that can be built and closed when the test says so: a process of its own. */
export const start = Effect.fnUntraced(function* <E, R>(layer: Layer.Layer<never, E, R>) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  yield* Layer.buildWithScope(Layer.fresh(layer), scope)
  return { stop: Scope.close(scope, Exit.void) }
})
