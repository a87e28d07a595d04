/**
 * Messages per second through RabbitMQ, against amqplib by itself and the libraries that people use.
 *
 * The broker is a private one, or that of `AMQP_URL`. Every contestant has a durable quorum queue of its own, all with the
 * same arguments, and publishes the same persistent, mandatory messages. `RABBITMQ_BENCH=publish` (`consume`, `heap`)
 * measures only that.
 */
import { Effect } from "effect"
import { once } from "node:events"
import { setTimeout } from "node:timers/promises"
import { Worker } from "node:worker_threads"
import type { Broker } from "../../src/event/Broker.ts"
import type * as Channel from "../../src/event/Channel.ts"
import { routeOf, queueOf } from "../../src/rabbitmq/Queues.ts"
import * as RabbitMq from "../servers/RabbitMq.ts"
import * as Measure from "./measure.ts"
import * as Client from "./rabbitmq/client.ts"
import * as ConnectionManager from "./rabbitmq/connectionManager.ts"
import * as Control from "./rabbitmq/control.ts"
import type { Input } from "./rabbitmq/heap.ts"
import { channelOf, group, message, orderedChannelOf, outgoing } from "./rabbitmq/orders.ts"
import * as Ours from "./rabbitmq/ours.ts"
import type { Peer, Target } from "./rabbitmq/peer.ts"
import * as Rascal from "./rabbitmq/rascal.ts"
import * as Raw from "./rabbitmq/raw.ts"
import { type Contestant, interleaved } from "./rabbitmq/rounds.ts"

const published = 20_000
const consumed = 20_000
const early = 100_000
const late = 500_000

const targetOf = (channel: Channel.Any): Target => ({ ...routeOf(channel, 0), queue: queueOf(channel, group, 0) })

const channels = {
  ours: channelOf("ours"),
  raw: channelOf("raw"),
  manager: channelOf("manager"),
  client: channelOf("client"),
  rascal: channelOf("rascal")
}
const ordered = orderedChannelOf("ordered")
/** Of the thread that measures the heap, declared here so that it is removed with the others. */
const heaped = channelOf("heap")
const names = {
  raw: "raw amqplib",
  manager: "amqp-connection-manager",
  client: "rabbitmq-client",
  rascal: "rascal"
} as const

interface Bench {
  readonly broker: Broker["Service"]
  readonly control: Control.Control
  readonly peers: { readonly [Name in keyof typeof names]: Peer }
}

const connected = Effect.fnUntraced(function* (url: string) {
  const closing = <A extends { readonly close: () => Promise<unknown> }>(make: () => Promise<A>) =>
    Effect.acquireRelease(Effect.promise(make), (made) => Effect.promise(() => made.close()))
  const control = yield* closing(() => Control.make(url))
  for (const channel of [...Object.values(channels), ordered, heaped])
    yield* Effect.promise(() => control.declare(channel))
  const peers = {
    raw: yield* closing(() => Raw.make(url)),
    manager: yield* closing(() => ConnectionManager.make(url)),
    client: yield* closing(() => Client.make(url)),
    rascal: yield* closing(() => Rascal.make(url, targetOf(channels.rascal)))
  }
  return { broker: yield* Ours.connect(url), control, peers }
})

const row = (
  name: string,
  count: number,
  ours: ReadonlyArray<number>,
  peer: ReadonlyArray<number>,
  target: number
): Measure.Row => {
  const perSecond = (times: ReadonlyArray<number>) => (count / Measure.median(times)) * 1e9
  return {
    ...Measure.more(name, "messages/s", perSecond(ours), perSecond(peer), target),
    ratio: Measure.paired(peer, ours)
  }
}

const publishing = async ({ broker, control, peers }: Bench): Promise<ReadonlyArray<Measure.Row>> => {
  const messages = Array.from({ length: published }, () => message(channels.ours))
  const prepared = messages.map(outgoing)
  const contestant = (channel: Channel.Any, run: () => Promise<unknown>): Contestant => ({
    run,
    after: async () => {
      await control.assertHolds(channel, published)
      await control.purge(channel)
    }
  })
  const peer = (name: keyof typeof names) => {
    const target = targetOf(channels[name])
    return contestant(channels[name], () => peers[name].publish(target, prepared))
  }
  const times = await interleaved(
    {
      ours: contestant(channels.ours, () =>
        Ours.publish(broker, channels.ours, published, (index) => messages[index]!)
      ),
      data: contestant(channels.ours, () => Ours.publishData(broker, channels.ours, published)),
      raw: peer("raw"),
      manager: peer("manager"),
      client: peer("client"),
      rascal: peer("rascal")
    },
    { rounds: 7, warmup: 2 }
  )
  const against = (name: keyof typeof names, target: number) =>
    row(`publish with confirms, against ${names[name]}`, published, times.ours, times[name], target)
  return [
    against("raw", 0.95),
    against("manager", 1),
    against("client", 1),
    against("rascal", 1),
    row("Publisher.publish: schema, CloudEvent, confirm, against raw amqplib", published, times.data, times.raw, 0)
  ]
}

const consuming = async ({ broker, control, peers }: Bench): Promise<ReadonlyArray<Measure.Row>> => {
  const contestant = (channel: Channel.Any, consume: () => Promise<() => Promise<unknown>>): Contestant => {
    let stop: (() => Promise<unknown>) | undefined
    return {
      before: () => control.fill(channel, consumed),
      run: async () => {
        stop = await consume()
      },
      after: async () => {
        // A quorum queue loses acknowledgements that it has not yet taken over from a channel that is closed.
        await setTimeout(200)
        await stop?.()
        await control.assertHolds(channel, 0)
      }
    }
  }
  const peer = (name: keyof typeof names) => {
    const target = targetOf(channels[name])
    return contestant(channels[name], () => peers[name].consume(target, consumed))
  }
  const times = await interleaved(
    {
      ours: contestant(channels.ours, () => Ours.consume(broker, channels.ours, consumed)),
      ordered: contestant(ordered, () => Ours.consume(broker, ordered, consumed)),
      raw: peer("raw"),
      manager: peer("manager"),
      client: peer("client"),
      rascal: peer("rascal")
    },
    { rounds: 5, warmup: 2 }
  )
  const against = (name: keyof typeof names, what: string, target: number) =>
    row(`consume, decode, dedup, ack, against ${names[name]}${what}`, consumed, times.ours, times[name], target)
  const byHand = " with both by hand"
  return [
    against("raw", ": consume and ack alone", 0.8),
    against("manager", byHand, 1),
    against("client", byHand, 1),
    against("rascal", byHand, 1),
    row("in order by 1,000 keys, against the same without order", consumed, times.ordered, times.ours, 0.7)
  ]
}

const heap = async (url: string): Promise<Measure.Row> => {
  const input: Input = { url, early, late }
  const worker = new Worker(new URL("rabbitmq/heap.ts", import.meta.url), { workerData: input })
  const [found] = (await once(worker, "message")) as [readonly [early: number, late: number]]
  await worker.terminate()
  const [before, after] = found.map((bytes) => bytes / 2 ** 20) as [number, number]
  return Measure.less("heap after 500,000 messages, against after 100,000", "MiB", after, before, 0.95)
}

export const run = (): Promise<ReadonlyArray<Measure.Row>> => {
  const only = process.env["RABBITMQ_BENCH"]
  const wanted = (part: string) => only === undefined || only === part
  const all = Effect.gen(function* () {
    const url = process.env["AMQP_URL"] ?? (yield* RabbitMq.make()).url
    const bench = yield* connected(url)
    return yield* Effect.promise(async () => [
      ...(wanted("publish") ? await publishing(bench) : []),
      ...(wanted("consume") ? await consuming(bench) : []),
      ...(wanted("heap") ? [await heap(url)] : [])
    ])
  })
  return Effect.runPromise(Effect.scoped(all))
}
