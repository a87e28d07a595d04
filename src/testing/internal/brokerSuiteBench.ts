import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { AssertionError } from "node:assert"
import * as crypto from "node:crypto"
import { Broker, type Delivery, type Group, Settlement } from "../../event/Broker.ts"
import type { BrokerError, PublishError } from "../../event/BrokerError.ts"
import * as Channel from "../../event/Channel.ts"
import * as EventType from "../../event/EventType.ts"
import * as Ordering from "../../event/Ordering.ts"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as Option from "../../internal/option.ts"
import type { Features } from "./brokerSuiteFeatures.ts"
import { textOf } from "./brokerSuiteMessage.ts"

export type Failure = BrokerError | PublishError
export type Handle = Broker["Service"]

/** A test of the suite. */
export interface Test {
  readonly name: string
  readonly run: Effect.Effect<void, Failure, Broker>
}

export interface ChannelOptions {
  readonly consumers?: ReadonlyArray<string>
  readonly partitions?: number
  readonly maxMessages?: number
  readonly maxAge?: Duration.Duration
  readonly deadLetterAge?: Duration.Duration
}

export interface SubscribeOptions {
  /** Default: 10. */
  readonly prefetch?: number
  readonly delays?: ReadonlyArray<Duration.Duration>
  /** Default: zero, so that leaving waits for nothing. */
  readonly drain?: Duration.Duration
  /** Default: the broker of the test. */
  readonly on?: Handle
}

/** A subscription that can be left before the test ends. */
export interface Subscriber {
  readonly deliveries: Queue.Dequeue<Delivery>
  readonly take: Effect.Effect<Delivery>
  /** Acknowledges the first, since a broker may begin with one message at a time; takes that many more, to be settled. */
  readonly fill: (count: number) => Effect.Effect<ReadonlyArray<Delivery>>
  /** Takes and acknowledges that many; gives their texts. */
  readonly ackMany: (count: number) => Effect.Effect<ReadonlyArray<string>>
  /** Handles whatever comes, in the background, until the test ends. */
  readonly forEach: (handle: (delivery: Delivery) => Effect.Effect<unknown>) => Effect.Effect<void, never, Scope.Scope>
  /** Ends the subscription, and waits until it has ended; in test time, its drain passes meanwhile. */
  readonly leave: Effect.Effect<void>
  /** Begins to end the subscription, and moves no time. */
  readonly close: Effect.Effect<Fiber.Fiber<void>>
}

/** What a test works with. */
export interface Bench {
  readonly features: Features
  readonly broker: Handle
  /** The handle of another process; the broker itself where there is none. */
  readonly other: Effect.Effect<Handle>
  /** A handle of another process that the test can end. Only where `otherProcess` is given. */
  readonly process: Effect.Effect<{ readonly broker: Handle; readonly end: Effect.Effect<void> }, never, Scope.Scope>
  /** A channel that no other test and no other run has. */
  readonly channel: (options?: ChannelOptions) => Channel.Any
  readonly subscribe: (group: Group, options?: SubscribeOptions) => Effect.Effect<Subscriber, BrokerError, Scope.Scope>
  /** Waits for what must come. */
  readonly within: <A, E, R>(expected: string, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Waits until it holds; `expected` is asked at the end, so that it can say what there was instead. */
  readonly until: <E, R>(expected: () => string, check: Effect.Effect<boolean, E, R>) => Effect.Effect<void, E, R>
  /** Runs until the test ends. Its failure is told where something is waited for in vain. */
  readonly background: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<Fiber.Fiber<A, E>, never, Scope.Scope>
  /** Ends a scope; its drain passes meanwhile, where that is needed. */
  readonly close: (scope: Scope.Closeable, drain: Duration.Input) => Effect.Effect<void>
  /** Monotonic milliseconds. */
  readonly now: Effect.Effect<number>
  /** A moment of real time. */
  readonly pause: Effect.Effect<void>
  /** Lets everything happen that can happen without time. Only of use in test time. */
  readonly calm: Effect.Effect<void>
}

const event = EventType.make("suite.event", {
  source: "urn:broker-suite",
  data: Schema.Struct({ key: Schema.String })
})

/** Broken promises are defects: no backend is expected to handle them. */
export const broken = (message: string, actual?: unknown, expected?: unknown): AssertionError =>
  new AssertionError({ message, actual, expected, operator: "BrokerSuite" })

const make = Effect.fnUntraced(function* (features: Features): Effect.fn.Return<Bench, never, Broker | Scope.Scope> {
  const broker = yield* Broker
  const scope = yield* Scope.Scope
  const inTestTime = features.time === "test"
  const patience = Duration.fromInputUnsafe(features.patience ?? Duration.seconds(15))
  const live = <A, E, R>(effect: Effect.Effect<A, E, R>) => (inTestTime ? TestClock.withLive(effect) : effect)
  const failures: Array<string> = []
  const note = (cause: Cause.Cause<unknown>) =>
    Effect.sync(() => void (Cause.hasInterruptsOnly(cause) || failures.push(Cause.pretty(cause))))
  const late = (expected: string) =>
    broken([`expected ${expected} within ${Option.brief(patience)}`, ...failures].join("; in the background: "))

  const orLate = <A, E, R>(effect: Effect.Effect<A, E, R>, expected: () => string) => {
    const giveUp = Effect.suspend(() => Effect.die(late(expected())))
    return Effect.raceFirst(effect, Effect.andThen(live(Effect.sleep(patience)), giveUp))
  }
  const within: Bench["within"] = (expected, effect) => orLate(effect, () => expected)

  const pause = live(Effect.sleep(inTestTime ? "1 millis" : "5 millis"))
  const until: Bench["until"] = (expected, check) => {
    const poll: Effect.Effect<void, Effect.Error<typeof check>, Effect.Services<typeof check>> = Effect.flatMap(
      check,
      (holds) => (holds ? Effect.void : Effect.andThen(pause, poll))
    )
    return orLate(poll, expected)
  }

  const calm = inTestTime ? Effect.repeat(Effect.yieldNow, { times: 200 }) : Effect.void

  // Detached, so that a test that has failed does not wait for it.
  const ending = (scope: Scope.Closeable) => Effect.cached(Effect.forkDetach(Scope.close(scope, Exit.void)))

  const ended = Effect.fnUntraced(function* (fiber: Fiber.Fiber<void>, drain: Duration.Input) {
    const isDone = Effect.map(calm, () => fiber.pollUnsafe() !== undefined)
    if (inTestTime && !(yield* isDone)) {
      yield* until(() => "the scope to close", Effect.andThen(TestClock.adjust(drain), isDone))
    }
    yield* within("the scope to close", Fiber.join(fiber))
  })
  const close: Bench["close"] = (scope, drain) =>
    Effect.flatMap(Effect.flatten(ending(scope)), (fiber) => ended(fiber, drain))

  const background: Bench["background"] = (effect) => Effect.forkScoped(Effect.tapCause(effect, note))

  // Where another process is built, nothing may be shared with the layers of this one.
  const build = (otherProcess: Layer.Layer<Broker, unknown>, into: Scope.Scope) =>
    Layer.buildWithMemoMap(otherProcess, Layer.makeMemoMapUnsafe(), into).pipe(
      Effect.map((context) => Context.get(context, Broker)),
      Effect.orDie
    )
  const { otherProcess } = features
  const other = yield* Effect.cached(otherProcess === undefined ? Effect.succeed(broker) : build(otherProcess, scope))

  // Not from `Random`: a test that seeds it would find the queues of its last run on a shared server.
  const run = crypto.randomBytes(6).toString("hex")
  let channels = 0

  const subscribe: Bench["subscribe"] = Effect.fnUntraced(function* (group, options = {}) {
    const own = yield* Scope.fork(yield* Scope.Scope)
    const deliveries = yield* Scope.provide(
      (options.on ?? broker).subscribe({
        ...group,
        prefetch: options.prefetch ?? 10,
        delays: options.delays ?? [],
        drain: options.drain ?? Duration.zero
      }),
      own
    )
    const name = `${group.group} of ${group.channel.name}`
    const many = <A>(count: number, each: (delivery: Delivery) => Effect.Effect<A>) => {
      const done: Array<A> = []
      const one = Effect.flatMap(Queue.take(deliveries), (delivery) =>
        Effect.map(each(delivery), (result) => void done.push(result))
      )
      return Effect.as(
        orLate(
          Effect.forEach(Array.from({ length: count }), () => one, { discard: true }),
          () => `${count} deliveries to ${name} (there were ${done.length})`
        ),
        done as ReadonlyArray<A>
      )
    }
    const begin = yield* ending(own)
    return {
      deliveries,
      take: within(`a delivery to ${name}`, Queue.take(deliveries)),
      fill: (count) =>
        Effect.flatMap(
          many(1, (first) => first.settle(Settlement.Ack())),
          () => many(count, Effect.succeed)
        ),
      ackMany: (count) =>
        many(count, (delivery) => Effect.as(delivery.settle(Settlement.Ack()), textOf(delivery.message))),
      forEach: (handle) => Effect.asVoid(background(Effect.forever(Effect.flatMap(Queue.take(deliveries), handle)))),
      leave: Effect.flatMap(begin, (fiber) => ended(fiber, options.drain ?? Duration.zero)),
      close: begin
    }
  })

  return {
    features,
    broker,
    other,
    process: Effect.gen(function* () {
      const own = yield* Scope.fork(yield* Scope.Scope)
      return { broker: yield* build(otherProcess!, own), end: close(own, "1 minute") }
    }),
    channel: ({ consumers = [], deadLetterAge, maxAge, maxMessages, partitions } = {}) =>
      Channel.make(`suite-${run}-${++channels}`, [event], {
        consumers,
        ...(partitions === undefined ? {} : { ordering: Ordering.strict("key"), partitions }),
        ...(maxMessages === undefined ? {} : { retention: { maxMessages } }),
        ...(maxAge === undefined ? {} : { retention: { maxAge } }),
        ...(deadLetterAge === undefined ? {} : { deadLetters: { maxAge: deadLetterAge } })
      }),
    subscribe,
    within,
    until,
    background,
    close,
    now: Effect.map(Clock.Clock, monotonicMillis),
    pause,
    calm
  }
})

/** A test. What its body leaves open is closed at its end, also where it fails. */
export const test = (
  features: Features,
  name: string,
  body: (bench: Bench) => Effect.Effect<void, Failure, Scope.Scope>
): Test => ({
  name,
  run: Effect.gen(function* () {
    const scope = yield* Scope.make()
    const bench = yield* Scope.provide(make(features), scope)
    return yield* Effect.onExit(Scope.provide(body(bench), scope), () => bench.close(scope, "1 day"))
  })
})
