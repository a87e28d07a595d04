import { Parser } from "@asyncapi/parser"
import { assert, describe, it } from "@effect/vitest"
import { Ajv } from "ajv"
import { Effect, Schema } from "effect"
import { AsyncApi } from "../../src/document/index.ts"
import * as Integration from "../../src/Integration.ts"
import { Queues } from "../../src/rabbitmq/index.ts"
import { channel, consumer, Order, Payments } from "./charging.ts"
import * as Hostile from "./hostileApis.ts"

const demoDesign = Integration.make("orders-to-payments", {
  contracts: [Payments],
  channels: [{ channel, producer: "order-service" }],
  consumers: [consumer]
})

type Dynamic = any
const demo: Dynamic = AsyncApi.of(demoDesign)
const hostile: Dynamic = AsyncApi.of(Hostile.design)

/** What the official parser has to say, but that there is a newer version of AsyncAPI. */
const complaints = (document: unknown) =>
  Effect.map(
    Effect.promise(() => new Parser().parse(JSON.stringify(document))),
    ({ diagnostics }) =>
      diagnostics
        .filter(({ code }) => code !== "asyncapi-latest-version")
        .map(({ message, path }) => `${path.join("/")}: ${message}`)
  )

describe("documents of AsyncAPI 3.0", () => {
  it.effect("pass the official parser, the demo's and hostile ones", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints(demo), [])
      assert.deepStrictEqual(yield* complaints(hostile), [])
      const small = Integration.make("small", { contracts: [Payments] })
      assert.deepStrictEqual(yield* complaints(AsyncApi.of(small)), [])
      for (const each of [demo, hostile]) assert.deepStrictEqual(JSON.parse(JSON.stringify(each)), each)
    })
  )

  it.effect("are refused by the parser when they are wrong", () =>
    Effect.gen(function* () {
      const broken = structuredClone(demo)
      broken.operations["publish.orders"].messages[0].$ref = "#/channels/orders/messages/other"
      broken.channels["orders"].bindings.amqp.is = "something"
      assert.isAbove((yield* complaints(broken)).length, 1)
    })
  )

  it("are the same each time, hold no secret, and leave nothing unsaid", () => {
    assert.strictEqual(JSON.stringify(AsyncApi.of(Hostile.design)), JSON.stringify(hostile))
    assert.strictEqual(JSON.stringify(AsyncApi.of(demoDesign)), JSON.stringify(demo))
    const text = JSON.stringify([demo, hostile])
    for (const bad of [Hostile.secret, "undefined", "[object Object]"]) assert.notInclude(text, bad)
  })
})

describe("channels", () => {
  it("say what the demo's design says", () => {
    const { orders: published, "orders:billing": consumed } = demo.channels
    assert.strictEqual(published.address, "{partition}")
    assert.strictEqual(published.parameters.partition.enum.length, 8)
    assert.deepStrictEqual(published["x-ordering"], { kind: "strict", path: "tenant", exhausted: "dead-letter" })
    assert.strictEqual(published["x-partitions"], 8)
    assert.strictEqual(consumed.address, "orders.billing.{partition}")
    assert.strictEqual(consumed["x-dead-letters"].queue, "orders.billing.dead")
    const { "consume.billing": consume, "publish.orders": publish } = demo.operations
    assert.deepInclude(publish, { action: "send", summary: "By order-service", channel: { $ref: "#/channels/orders" } })
    assert.deepInclude(consume, { action: "receive", channel: { $ref: "#/channels/orders:billing" } })
    assert.deepStrictEqual(consume["x-retry"], { delays: [200, 400, 800, 1000, 1000], jitter: "none" })
    assert.deepStrictEqual(consume["x-dedup"], { window: 14 * 86_400_000, mode: "claimed" })
    assert.strictEqual(consume["x-prefetch"], 512)
  })

  it("say what bounds they have", () => {
    const { "grown.1": published, "grown.1:reader": reader } = hostile.channels
    assert.deepStrictEqual(reader["x-retention"], { maxAge: 7 * 86_400_000, maxMessages: 1000 })
    assert.strictEqual(reader["x-dead-letters"].maxAge, 30 * 86_400_000)
    assert.strictEqual(published["x-acceptable-lag"], 60_000)
    assert.strictEqual(published["x-unknown-events"], "ignore")
    assert.deepStrictEqual(hostile.channels["strict"]["x-ordering"], {
      kind: "strict",
      path: "key.id",
      exhausted: "halt"
    })
    assert.strictEqual(hostile.channels["strict"].description, "Order: strict per key.id. per key")
  })

  it("are called as RabbitMQ calls their exchanges, keys and queues", () => {
    const filled = (address: string, partition: number) => address.replace("{partition}", String(partition))
    const designs: ReadonlyArray<[Integration.Integration, Dynamic]> = [
      [demoDesign, demo],
      [Hostile.design, hostile]
    ]
    let checked = 0
    for (const [design, document] of designs) {
      for (const { channel } of design.channels) {
        const { address, bindings } = document.channels[channel.name]
        for (let partition = 0; partition < channel.partitions; partition++) {
          const { exchange, routingKey } = Queues.routeOf(channel, partition)
          assert.strictEqual(filled(address, partition), routingKey)
          assert.strictEqual(bindings.amqp.exchange?.name ?? "", exchange)
        }
        const groups = [
          ...channel.consumers,
          ...design.consumers.flatMap((each) => (each.channel === channel ? each.name : []))
        ]
        for (const group of groups) {
          const consumed = document.channels[`${channel.name}:${group}`]
          const queues = Queues.queuesOf(channel, group)
          assert.deepStrictEqual(
            queues.map((_, partition) => filled(consumed.address, partition)),
            queues
          )
          assert.strictEqual(consumed.bindings.amqp.queue.name, queues.length === 1 ? queues[0] : undefined)
          assert.strictEqual(consumed["x-dead-letters"].queue, Queues.deadQueueOf(channel, group))
          checked++
        }
      }
    }
    assert.strictEqual(checked, 7)
  })
})

describe("messages", () => {
  const { messages, schemas } = hostile.components
  const odd = "com.acme_odd_type__1_"

  it("have the headers and the body of their codec", () => {
    assert.strictEqual(messages[odd].headers.properties["cloudEvents:type"].const, "com.acme/odd type <1>")
    assert.strictEqual(messages["plain_1"].contentType, "text/plain")
    assert.deepStrictEqual(messages["plain_1"].payload, { type: "string" })
    assert.deepStrictEqual(messages["bytes_1"].payload, { type: "string", format: "binary" })
    assert.strictEqual(messages["plain"].contentType, "application/cloudevents+json")
    assert.property(messages["bytes"].payload.properties, "data_base64")
    assert.notProperty(messages["nothing_1"], "headers")
    assert.property(messages[`${odd}_1`].headers.properties, "cloudEvents:partitionkey")
  })

  it("have an example that their schemas take, where one can be made", () => {
    const ajv = new Ajv({ strict: false, validateFormats: false })
    ajv.addSchema({ $id: "document:", components: hostile.components })
    let examples = 0
    for (const [name, message] of Object.entries<Dynamic>(messages)) {
      for (const part of ["headers", "payload"] as const) {
        const value = message.examples?.[0]?.[part]
        if (value === undefined) continue
        const text = JSON.stringify(message[part]).replaceAll('"#/components', '"document:#/components')
        const check = ajv.compile(JSON.parse(text))
        assert.isTrue(check(value), `${name}: ${JSON.stringify(check.errors)}`)
        examples++
      }
    }
    assert.isAbove(examples, 10)
    assert.notProperty(messages["impossible"], "examples")
    const [{ payload }] = demo.components.messages["com.acme.order.placed"].examples
    assert.isTrue(Schema.is(Order)(payload))
  })

  it("are consumed in older versions too, and published in the current one", () => {
    const old = `${odd}.previous`
    const named = (channel: string) => Object.keys(hostile.channels[channel].messages)
    assert.deepStrictEqual(named("grown.1"), [odd, "impossible"])
    assert.deepStrictEqual(named("grown.1:reader"), [odd, old, "impossible"])
    assert.include(messages[old].headers.required, "cloudEvents:dataschema")
    assert.strictEqual(messages[old].payload.$ref, `#/components/schemas/${old}`)
    assert.deepStrictEqual(schemas[old].required, ["old"])
  })

  it("share the schemas of their data", () => {
    assert.deepStrictEqual(messages[odd].payload, messages[`${odd}_1`].payload)
    assert.strictEqual(
      schemas["Tree_of_odd__names"].properties.children.items.$ref,
      "#/components/schemas/Tree_of_odd__names"
    )
  })
})
