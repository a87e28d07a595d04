import * as Effect from "effect/Effect"
import { Settlement } from "../../event/Broker.ts"
import type { Headers, Message } from "../../event/Message.ts"
import { test, type Test } from "./brokerSuiteBench.ts"
import type { Features } from "./brokerSuiteFeatures.ts"
import { noise, same, text } from "./brokerSuiteMessage.ts"

const everyByte = Uint8Array.from({ length: 1024 }, (_, n) => n % 256)

const bodies: Readonly<Record<string, Uint8Array>> = {
  "an empty body": new Uint8Array(0),
  "one zero byte": new Uint8Array(1),
  "every byte value": everyByte,
  "1 MiB": noise(1_048_576),
  "a text of many scripts": new TextEncoder().encode("Zürich, 東京, Ελλάδα, 🚀\u0000\r\n")
}

const textHeaders: Headers = {
  plain: "text",
  empty: "",
  number: "007",
  unicode: "Zürich, 東京, 🚀",
  größe: "a name that is not ASCII",
  "with.dots-and_others": "yes",
  long: "0123456789".repeat(400)
}

const typedHeaders: Headers = {
  ...textHeaders,
  nothing: null,
  yes: true,
  no: false,
  zero: 0,
  negative: -42,
  large: 9_007_199_254_740_991,
  beyond32: 4_294_967_296,
  fraction: 0.1,
  tiny: 5e-324,
  bytes: everyByte.slice(0, 256),
  list: ["a", 1, true, null, ["inner"]],
  record: { name: "x", nested: { depth: 2, list: [1, 2.5] } },
  emptyList: [],
  emptyRecord: {}
}

/** A message that has everything. */
export const fullMessage = (features: Features): Message => ({
  body: everyByte,
  headers: features.headerTypes === "all" ? typedHeaders : textHeaders,
  contentType: "application/json; charset=utf-8",
  messageId: "id-é-東-1",
  key: "tenant Ω/7 🚀",
  ...(features.properties === undefined ? {} : { properties: features.properties })
})

export const messages = (features: Features): ReadonlyArray<Test> => {
  const arrives = (cases: Readonly<Record<string, Message>>, partitions?: number) =>
    test(
      features,
      `messages: whole with ${Object.keys(cases).join(", ")}${partitions === undefined ? "" : `, over ${partitions} partitions`}`,
      Effect.fnUntraced(function* (bench) {
        const channel = bench.channel(partitions === undefined ? {} : { partitions })
        const billing = yield* bench.subscribe({ channel, group: "billing" })
        for (const [what, message] of Object.entries(cases)) {
          yield* bench.broker.publish(channel, message)
          const delivery = yield* billing.take
          same(what, delivery.message, message)
          yield* delivery.settle(Settlement.Ack())
        }
      })
    )
  const full = fullMessage(features)
  return [
    arrives(Object.fromEntries(Object.entries(bodies).map(([what, body]) => [what, { body, headers: {} }]))),
    arrives({
      headers: text("x", { headers: full.headers }),
      "no headers": text("x"),
      "forty headers": text("x", {
        headers: Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`header-${n}`, `value ${n}`]))
      })
    }),
    arrives({
      everything: full,
      "a content type": text("x", { contentType: "text/plain" }),
      "a message id": text("x", { messageId: "9f7d" }),
      "a key": text("x", { key: "k" }),
      "a long key of many scripts": text("x", { key: "東京".repeat(30) })
    }),
    ...(features.partitions ? [arrives({ everything: full, "another key": text("x", { key: "k" }) }, 3)] : [])
  ]
}
