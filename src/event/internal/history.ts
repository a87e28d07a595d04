import type { Headers, HeaderValue, Message } from "../Message.ts"

/** Headers in which a consumer keeps what a message has been through. They are the consumer's, never the producer's. */
const name = {
  failures: "integration-failures",
  redeliveries: "integration-redeliveries",
  firstFailedAt: "integration-first-failed-at",
  reason: "integration-dead-reason",
  error: "integration-dead-error",
  deadAt: "integration-dead-at",
  group: "integration-dead-group"
} as const

/** What a message has been through in one group. */
export interface History {
  /** Attempts that were spent. */
  readonly failures: number
  /** How often it was begun with and not ended, where no broker counts it: before it was published anew, or parked. */
  readonly redeliveries: number
  /** ISO 8601. */
  readonly firstFailedAt: string | undefined
}

const text = (value: HeaderValue | undefined): string | undefined => (typeof value === "string" ? value : undefined)

const count = (value: HeaderValue | undefined): number =>
  typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : 0

export const read = ({ headers }: Message): History => ({
  failures: count(headers[name.failures]),
  redeliveries: count(headers[name.redeliveries]),
  firstFailedAt: text(headers[name.firstFailedAt])
})

/** A message with another count of redeliveries. */
export const redelivered = (message: Message, redeliveries: number): Message => ({
  ...message,
  headers: { ...message.headers, [name.redeliveries]: redeliveries }
})

/** The headers after another attempt was spent, or none was. */
export const after = (
  history: History,
  spent: { readonly failures: number; readonly redeliveries: number },
  at: string
): Headers => ({
  ...(spent.failures === 0
    ? undefined
    : { [name.failures]: spent.failures, [name.firstFailedAt]: history.firstFailedAt ?? at }),
  ...(spent.redeliveries === history.redeliveries ? undefined : { [name.redeliveries]: spent.redeliveries })
})

/** How and why a message became a dead letter. */
export interface Death {
  readonly group: string
  readonly reason: string
  readonly error: string
  /** How often it was attempted, the last time included. */
  readonly attempts: number
  readonly firstFailedAt: string
  readonly deadAt: string
}

export const dead = (death: Death): Headers => ({
  [name.failures]: death.attempts,
  [name.firstFailedAt]: death.firstFailedAt,
  [name.reason]: death.reason,
  [name.error]: death.error,
  [name.deadAt]: death.deadAt,
  [name.group]: death.group
})

/** Broker-made dead letters (expired, over the delivery limit) have no headers of a consumer. */
export const readDeath = (message: Message): Partial<Death> & { readonly attempts: number } => {
  const { headers } = message
  const found: Record<string, string> = {}
  for (const [property, header] of [
    ["reason", name.reason],
    ["error", name.error],
    ["firstFailedAt", name.firstFailedAt],
    ["deadAt", name.deadAt],
    ["group", name.group]
  ] as const) {
    const value = text(headers[header])
    if (value !== undefined) found[property] = value
  }
  return { ...found, attempts: read(message).failures }
}

const own = new Set<string>(Object.values(name))

/** The message as its producer sent it. */
export const original = (message: Message): Message => ({
  ...message,
  headers: Object.fromEntries(Object.entries(message.headers).filter(([header]) => !own.has(header)))
})
