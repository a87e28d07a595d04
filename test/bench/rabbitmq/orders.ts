/** The event that all contestants publish and consume, and what people write to read it. */
import { DateTime, Schema } from "effect"
import type { Buffer } from "node:buffer"
import { encode as wire, type Outgoing } from "../../../src/rabbitmq/internal/wire.ts"
import * as Channel from "../../../src/event/Channel.ts"
import * as Codec from "../../../src/event/Codec.ts"
import * as EventType from "../../../src/event/EventType.ts"
import type { Message } from "../../../src/event/Message.ts"
import * as Ordering from "../../../src/event/Ordering.ts"

export const inFlight = 256
export const group = "bench"

const keys = 1000

export const OrderPlaced = EventType.make("com.acme.order.placed", {
  source: "https://acme.com/orders",
  data: Schema.Struct({
    orderId: Schema.String,
    tenantId: Schema.String,
    amount: Schema.Int,
    currency: Schema.String,
    lines: Schema.Array(Schema.Struct({ sku: Schema.String, quantity: Schema.Int })),
    note: Schema.String
  })
})

export type Order = (typeof OrderPlaced.data)["Type"]

/** A channel of its own for each contestant; its queue is declared as ours declares it. */
export const channelOf = (name: string) =>
  Channel.make(`bench-${process.pid}-${name}`, [OrderPlaced], { consumers: [group] })

export const orderedChannelOf = (name: string) =>
  Channel.make(`bench-${process.pid}-${name}`, [OrderPlaced], {
    consumers: [group],
    ordering: Ordering.strict("tenantId"),
    partitions: 4
  })

/** About 200 bytes of JSON. */
export const order = (number: number): Order => ({
  orderId: `o-${String(number).padStart(10, "0")}`,
  tenantId: `tenant-${Math.floor(Math.random() * keys)}`,
  amount: 12_345,
  currency: "EUR",
  lines: [
    { sku: "sku-000001", quantity: 1 },
    { sku: "sku-000002", quantity: 2 }
  ],
  note: "to be left at the door"
})

const run = crypto.randomUUID()
let made = 0

/** A message with an event id that no other has. */
export const message = (channel: Channel.Any): Message => {
  const number = made++
  const data = order(number)
  const message = Codec.binary.encode(
    {
      specversion: "1.0",
      id: `${run}-${number}`,
      source: OrderPlaced.source,
      type: OrderPlaced.type,
      time: DateTime.nowUnsafe(),
      datacontenttype: OrderPlaced.datacontenttype,
      extensions: {},
      data
    },
    "amqp"
  )
  return channel.ordering._tag === "Strict" ? { ...message, key: data.tenantId } : message
}

/** As it goes over the wire, for libraries that take it like that. */
export const outgoing = (message: Message): Outgoing => wire(message, { copy: false, user: "" })

interface Read {
  readonly id: string
  readonly source: string
  readonly type: string
  readonly time: Date | undefined
  readonly data: Order
}

const attribute = (headers: Record<string, unknown>, name: string): string => {
  const value = headers[`cloudEvents:${name}`]
  if (typeof value !== "string" || value === "") throw new TypeError(`${name} is not a text`)
  return value
}

const isOrder = (data: unknown): data is Order => {
  if (typeof data !== "object" || data === null) return false
  const { amount, currency, lines, note, orderId, tenantId } = data as Record<string, unknown>
  if (typeof orderId !== "string" || typeof tenantId !== "string" || typeof currency !== "string") return false
  if (!Number.isSafeInteger(amount) || typeof note !== "string" || !Array.isArray(lines)) return false
  return lines.every(
    (line) =>
      typeof line === "object" && line !== null && typeof line.sku === "string" && Number.isSafeInteger(line.quantity)
  )
}

/** What is read by hand of the headers, and of data that the library may have parsed already. */
export const read = (headers: Record<string, unknown> | undefined, contentType: unknown, data: unknown): Read => {
  if (headers === undefined || attribute(headers, "specversion") !== "1.0") throw new TypeError("not a CloudEvent 1.0")
  if (contentType !== "application/json") throw new TypeError("not JSON")
  const time = headers["cloudEvents:time"] === undefined ? undefined : new Date(attribute(headers, "time"))
  if (time !== undefined && Number.isNaN(time.getTime())) throw new TypeError("time is no time")
  if (!isOrder(data)) throw new TypeError("not an order")
  return {
    id: attribute(headers, "id"),
    source: attribute(headers, "source"),
    type: attribute(headers, "type"),
    time,
    data
  }
}

export const parse = (body: Buffer): unknown => JSON.parse(body.toString("utf8"))

/** Handles each event once, by a set of those seen, until so many have been handled. */
export const handlerOf = (count: number, done: () => void) => {
  const seen = new Set<string>()
  return (event: Read): void => {
    const key = `${event.source} ${event.id}`
    if (seen.has(key)) return
    seen.add(key)
    if (seen.size === count) done()
  }
}
