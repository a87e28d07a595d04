import { assert, it } from "@effect/vitest"
import * as amqplib from "amqplib"
import { Effect, Exit } from "effect"
import * as ChildProcess from "./ChildProcess.ts"
import { isOpen } from "./Port.ts"
import * as RabbitMq from "./RabbitMq.ts"
import { amqpUrl, describeOwnRabbitMq, describeRabbitMq, freshVhost, unique } from "./Servers.ts"
import { isAlive } from "./Supervised.ts"
import { until } from "./until.ts"

const connected = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(() => amqplib.connect(url)),
    (connection) => Effect.promise(() => connection.close().catch(() => {}))
  )

const publish = (url: string, queue: string, text: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* connected(url)
      yield* Effect.promise(async () => {
        const channel = await connection.createConfirmChannel()
        await channel.assertQueue(queue, { durable: true })
        channel.sendToQueue(queue, Buffer.from(text), { persistent: true })
        await channel.waitForConfirms()
      })
    })
  )

const take = (url: string, queue: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* connected(url)
      return yield* Effect.promise(async () => {
        const channel = await connection.createChannel()
        const message = await channel.get(queue, { noAck: true })
        return message === false ? undefined : message.content.toString()
      })
    })
  )

describeRabbitMq("the shared RabbitMQ", () => {
  it.live("carries a message in the virtual host of the file", () =>
    Effect.gen(function* () {
      const queue = unique("orders")
      const url = yield* amqpUrl
      yield* publish(url, queue, "one")
      assert.strictEqual(yield* take(url, queue), "one")
      assert.strictEqual(yield* amqpUrl, url)
      assert.strictEqual(
        yield* take(yield* freshVhost("other").pipe(Effect.tap((url) => publish(url, queue, "two"))), queue),
        "two"
      )
    })
  )
})

describeOwnRabbitMq("a RabbitMQ of its own", () => {
  it.live("keeps a durable message when it is killed, and when it is stopped", () =>
    Effect.gen(function* () {
      const broker = yield* RabbitMq.make({ plugins: ["rabbitmq_consistent_hash_exchange"] })
      yield* publish(broker.url, "orders", "one")
      const first = yield* broker.pid
      assert.isTrue(isAlive(first))

      yield* broker.kill
      assert.isFalse(isAlive(first))
      assert.isFalse(yield* isOpen(broker.port))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(broker.ctl("status"))))

      yield* broker.start
      assert.notStrictEqual(yield* broker.pid, first)
      assert.strictEqual(yield* take(broker.url, "orders"), "one")

      yield* publish(broker.url, "orders", "two")
      yield* broker.stop
      assert.isFalse(yield* isOpen(broker.port))
      yield* broker.start
      assert.match(yield* broker.ctl("list_queues", "-q", "name", "messages"), /orders\t1/)
      assert.strictEqual(yield* take(broker.url, "orders"), "two")
    })
  )

  it.live("is set up as told, and says why it does not start", () =>
    Effect.gen(function* () {
      const broker = yield* RabbitMq.make({ config: ["vm_memory_high_watermark.absolute = 1MB"] })
      assert.include(yield* broker.ctl("eval", "rabbit_alarm:get_alarms()."), "memory")
      const error = yield* Effect.flip(RabbitMq.make({ config: ["no.such.key = 1"] }))
      assert.match(error.message, /rabbitmq-server ended with [^]*no\.such\.key/)
    })
  )

  it.live("ends when the process that started it is killed with -9", () =>
    Effect.gen(function* () {
      const holder = yield* ChildProcess.make("test/servers/holder.ts", { args: ["rabbitmq"] })
      const { pid, port } = (yield* holder.next) as { readonly pid: number; readonly port: number }
      assert.isTrue(isAlive(pid))
      assert.isTrue(yield* isOpen(port))
      yield* holder.kill("SIGKILL")
      assert.deepStrictEqual(yield* holder.exit, { code: null, signal: "SIGKILL" })
      yield* until(Effect.sync(() => !isAlive(pid)))
      yield* until(Effect.map(isOpen(port), (open) => !open))
    })
  )
})
