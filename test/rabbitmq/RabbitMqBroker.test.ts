import { assert, describe, it } from "@effect/vitest"
import { Duration, Redacted } from "effect"
import { Channel, Ordering } from "effect-integration/event"
import { RabbitMqBroker } from "effect-integration/rabbitmq"
import type * as amqp from "amqplib/callback_api"
import { Acks } from "../../src/rabbitmq/internal/acks.ts"
import { rungFor, rungsOf } from "../../src/rabbitmq/internal/delays.ts"
import { settings } from "../../src/rabbitmq/internal/settings.ts"
import { channelSteps, delaySteps, groupSteps, type Step } from "../../src/rabbitmq/internal/topology.ts"

const url = "amqp://user:p%40ss@host:1234/v%2Fh"

const argumentsOf = (steps: ReadonlyArray<Step>, name: string) =>
  steps.flatMap((step) => (step._tag === "Queue" && step.name === name ? [step.arguments] : []))[0]

describe("the options", () => {
  const bad: ReadonlyArray<[option: string, options: Record<string, unknown>]> = [
    ["url", { url: "" }],
    ["url", { url: "http://user:p%40ss@host" }],
    ["url", { url: "amqp://user:100%secret@host" }],
    ["url", { url: Redacted.make(7) }],
    ["heartbeat", { heartbeat: 0 }],
    ["heartbeat", { heartbeat: "1 day" }],
    ["connectTimeout", { connectTimeout: "-1 second" }],
    ["reconnect.base", { reconnect: { base: Infinity } }],
    ["reconnect.cap", { reconnect: { base: "1 second", cap: "1 millis" } }],
    ["startup", { startup: "later" }],
    ["startupTimeout", { startupTimeout: Number.NaN }],
    ["maxInFlight", { maxInFlight: 0 }],
    ["maxInFlight", { maxInFlight: 1.5 }],
    ["publishTimeout", { publishTimeout: 0 }],
    ["queueType", { queueType: "stream" }],
    ["connectionName", { connectionName: " " }]
  ]
  it.each(bad)("%s must make sense: %o", (option, options) => {
    const make = () => RabbitMqBroker.layer({ url, ...options } as RabbitMqBroker.Options)
    assert.throws(make, `RabbitMqBroker.layer: ${option}`)
    assert.throws(make, /^(?!.*(p%40ss|p@ss|secret)).*$/)
  })

  it("are what amqplib connects with", () => {
    const found = settings({ url })
    assert.deepStrictEqual(found.target(), {
      protocol: "amqp",
      hostname: "host",
      port: 1234,
      username: "user",
      password: "p@ss",
      vhost: "v%2Fh",
      heartbeat: 10
    })
    assert.strictEqual(found.endpoint, "host:1234/v%2Fh")
    assert.strictEqual(found.scrub("p@ss of user 'user' refused"), "*** of the user refused")
    const plain = settings({ url: Redacted.make("amqps://[::1]") }).target()
    assert.deepInclude(plain, { protocol: "amqps", hostname: "::1", username: "guest", vhost: "%2F" })
  })
})

describe("the topology", () => {
  const channel = Channel.make("orders", [], { consumers: ["billing"] })

  it("is one exchange, and for each group a queue and its dead letters", () => {
    const limits = { "x-queue-type": "quorum", "x-delivery-limit": 1_000_000 }
    assert.deepStrictEqual(channelSteps(channel, "quorum"), [
      { _tag: "Exchange", name: "orders" },
      { _tag: "Exchange", name: "orders" },
      { _tag: "Queue", name: "orders.billing.dead", arguments: limits },
      {
        _tag: "Queue",
        name: "orders.billing",
        arguments: {
          ...limits,
          "x-dead-letter-exchange": "",
          "x-dead-letter-routing-key": "orders.billing.dead",
          "x-dead-letter-strategy": "at-least-once",
          "x-overflow": "reject-publish"
        }
      },
      { _tag: "Bind", name: "orders.billing", exchange: "orders", routingKey: "0" }
    ])
  })

  it("has a queue with a single active consumer for each partition", () => {
    const strict = { ...channel, ordering: Ordering.strict("a"), partitions: 2 }
    const steps = groupSteps(strict, "billing", "quorum")
    const names = steps.flatMap((step) => (step._tag === "Bind" ? [[step.name, step.routingKey]] : []))
    assert.deepStrictEqual(names, [
      ["orders.billing.0", "0"],
      ["orders.billing.1", "1"]
    ])
    assert.propertyVal(argumentsOf(steps, "orders.billing.1"), "x-single-active-consumer", true)
    const delays = delaySteps(strict, "billing", [50], "quorum")
    assert.deepStrictEqual(
      delays.map((step) => step.name),
      ["orders.billing.0.delay.50", "orders.billing.1.delay.50"]
    )
    assert.deepInclude(argumentsOf(delays, "orders.billing.1.delay.50"), {
      "x-message-ttl": 50,
      "x-dead-letter-routing-key": "orders.billing.1",
      "x-dead-letter-strategy": "at-least-once"
    })
  })

  it("keeps the retention, and has no strategy where queues are classic", () => {
    const kept = Channel.make("orders", [], {
      retention: { maxAge: "1 hour", maxMessages: 9 },
      deadLetters: { maxAge: "1 day" }
    })
    const steps = groupSteps(kept, "g", "classic")
    assert.deepStrictEqual(argumentsOf(steps, "orders.g"), {
      "x-queue-type": "classic",
      "x-dead-letter-exchange": "",
      "x-dead-letter-routing-key": "orders.g.dead",
      "x-message-ttl": 3_600_000,
      "x-max-length": 9,
      "x-overflow": "reject-publish"
    })
    assert.deepStrictEqual(argumentsOf(steps, "orders.g.dead"), {
      "x-queue-type": "classic",
      "x-message-ttl": 86_400_000
    })
  })

  it("declares nothing of a queue of others but the dead letters", () => {
    const existing = Channel.make("orders", [], { existing: { queue: "theirs", exchange: "x" }, consumers: ["g"] })
    assert.deepStrictEqual(
      channelSteps(existing, "quorum").map((step) => [step._tag, step.name]),
      [
        ["QueueIsThere", "theirs"],
        ["ExchangeIsThere", "x"],
        ["QueueIsThere", "theirs"],
        ["Queue", "theirs.g.dead"]
      ]
    )
  })
})

describe("delays", () => {
  it("are whole milliseconds, rising, each once", () => {
    const delays = [Duration.seconds(1), Duration.millis(0.2), Duration.millis(999.5), Duration.millis(10)]
    assert.deepStrictEqual(rungsOf(delays), [1, 10, 1000])
    assert.deepStrictEqual(rungsOf([]), [1_000, 10_000, 60_000, 600_000, 3_600_000])
  })

  it("are rounded up, or go round again", () => {
    const rungs = [10, 100]
    assert.deepStrictEqual(rungFor(rungs, 0), { rung: 10, again: false })
    assert.deepStrictEqual(rungFor(rungs, 10), { rung: 10, again: false })
    assert.deepStrictEqual(rungFor(rungs, 10.5), { rung: 100, again: false })
    assert.deepStrictEqual(rungFor(rungs, 101), { rung: 100, again: true })
  })
})

describe("gathered acks", () => {
  /** What the broker is told, as `ack 3+` for all up to 3. */
  const make = () => {
    const told: Array<string> = []
    const channel = {
      ack: ({ fields }: amqp.Message, all?: boolean) => void told.push(`ack ${fields.deliveryTag}${all ? "+" : ""}`),
      nack: ({ fields }: amqp.Message) => void told.push(`nack ${fields.deliveryTag}`)
    } as unknown as amqp.Channel
    const acks = new Acks(channel)
    for (let tag = 1; tag <= 6; tag++) acks.delivered(tag)
    return { acks, told }
  }

  it("are one up to the first that is open, and single above", () => {
    const { acks, told } = make()
    for (const tag of [3, 1, 2, 5]) acks.ack(tag)
    acks.flush()
    assert.deepStrictEqual(told, ["ack 3+", "ack 5"])
    assert.strictEqual(acks.open, 2)
    acks.ack(4)
    acks.flush()
    assert.deepStrictEqual(told, ["ack 3+", "ack 5", "ack 4+"])
    acks.ack(6)
    acks.flush()
    assert.strictEqual(told.at(-1), "ack 6+")
  })

  it("never name a tag that was given back, and never repeat one", () => {
    const { acks, told } = make()
    acks.ack(1)
    acks.giveBack(2)
    acks.flush()
    acks.giveBack(3)
    acks.ack(5)
    acks.flush()
    acks.giveBack(4)
    acks.flush()
    acks.ack(6)
    acks.flush()
    assert.deepStrictEqual(told, ["nack 2", "ack 1+", "nack 3", "ack 5", "nack 4", "ack 6+"])
  })

  it("are told when the task ends, and who waits hears that all are settled", async () => {
    const { acks, told } = make()
    let idle = false
    acks.whenIdle(() => {
      idle = true
    })
    for (let tag = 1; tag <= 5; tag++) acks.ack(tag)
    assert.deepStrictEqual([told, idle], [[], false])
    acks.ack(6)
    assert.isTrue(idle)
    await Promise.resolve()
    assert.deepStrictEqual(told, ["ack 6+"])
  })

  it("of any order tell the broker each tag once", () => {
    for (let seed = 1; seed < 200; seed++) {
      let state = seed
      const random = (below: number) => (state = (state * 48271) % 2147483647) % below
      const open = new Set<number>()
      const channel = {
        ack: ({ fields }: amqp.Message, all?: boolean) => {
          const { deliveryTag } = fields
          assert.isTrue(open.has(deliveryTag), `ack of unknown ${deliveryTag}`)
          for (const tag of Array.from(open))
            if (tag === deliveryTag || (all === true && tag < deliveryTag)) told(tag, true)
        },
        nack: ({ fields }: amqp.Message) => told(fields.deliveryTag, false)
      } as unknown as amqp.Channel
      const acks = new Acks(channel)
      const decided = new Map<number, boolean>()
      const told = (tag: number, ack: boolean) => {
        assert.isTrue(open.delete(tag))
        assert.strictEqual(decided.get(tag), ack)
      }
      let next = 1
      const inHand: Array<number> = []
      for (let turn = 0; turn < 100; turn++) {
        if (inHand.length < 8 && random(2) === 0) {
          acks.delivered(next)
          open.add(next)
          inHand.push(next++)
        } else if (inHand.length > 0) {
          const tag = inHand.splice(random(inHand.length), 1)[0]!
          decided.set(tag, random(4) > 0)
          if (decided.get(tag) === true) acks.ack(tag)
          else acks.giveBack(tag)
        }
        if (random(5) === 0) acks.flush()
      }
      acks.flush()
      assert.deepStrictEqual(
        [...open].toSorted((a, b) => a - b),
        inHand.toSorted((a, b) => a - b)
      )
    }
  })
})
