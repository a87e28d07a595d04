/**
 * What is printed of a design, as JSON: to be kept beside the code, and compared with by `Diff`.
 *
 * **Details**
 *
 * - It holds no functions and no secrets: credentials of URLs are left out, and what the configuration says is not known.
 * - The text is stable: keys are sorted, times are milliseconds (fields that end in `Millis`), and the same design gives
 *   the same text.
 * - Schemas are kept as JSON Schema (2020-12). Checks that JSON Schema cannot say, and conversions, are not in it.
 *
 * **Example** (Keeping a snapshot)
 *
 * ```ts
 * import { Effect } from "effect"
 * import type { Integration } from "effect-integration"
 * import { Diff, Snapshot } from "effect-integration/document"
 *
 * declare const design: Integration.Integration
 * declare const kept: string // what `Snapshot.encode` gave at the last release
 *
 * export const report = Effect.map(Snapshot.decode(kept), (before) =>
 *   Diff.toText(Diff.between(before, Snapshot.of(design)))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Integration from "../Integration.ts"
import * as Channel from "./internal/snapshot/channel.ts"
import * as Contract from "./internal/snapshot/contract.ts"
import * as Grpc from "./internal/snapshot/grpc.ts"
import * as Overview from "./internal/snapshot/overview.ts"
import * as Saga from "./internal/snapshot/saga.ts"

/** The version of the format. @category constants @since 0.1.0 */
export const format = 1

/**
 * Schema of a snapshot.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Snapshot = Schema.Struct({
  format: Schema.Literal(format),
  name: Schema.String,
  overview: Overview.Overview,
  contracts: Schema.Record(Schema.String, Contract.Contract),
  grpc: Schema.Record(Schema.String, Grpc.Service),
  channels: Schema.Record(Schema.String, Channel.Topic),
  consumers: Schema.Record(Schema.String, Channel.Group),
  sagas: Schema.Record(Schema.String, Saga.Process)
})

/** @category models @since 0.1.0 */
export interface Snapshot extends Schema.Schema.Type<typeof Snapshot> {}

/**
 * A text that is no snapshot, or one of a format that this version does not read.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidSnapshot extends Schema.TaggedError<InvalidSnapshot>()("InvalidSnapshot", {
  description: Schema.String
}) {
  override get message(): string {
    return `this is no snapshot of format ${format}: ${this.description}`
  }
}

/**
 * The snapshot of a design.
 *
 * @category constructors
 * @since 0.1.0
 */
export const of = (design: Integration.Integration): Snapshot =>
  withoutCredentials({
    format,
    name: design.name,
    overview: Overview.overviewOf(design),
    contracts: Object.fromEntries(
      design.contracts.map((each, at) => [each.contract.key, Contract.contractOf(each, at)])
    ),
    grpc: Object.fromEntries(
      design.grpc.map((each, at) => [each.name, Grpc.serviceOf(each, design.contracts.length + at + 1)])
    ),
    channels: Object.fromEntries(design.channels.map((topic) => [topic.channel.name, Channel.topicOf(topic)])),
    consumers: Object.fromEntries(design.consumers.map((consumer) => [consumer.name, Channel.groupOf(consumer)])),
    sagas: Object.fromEntries(design.sagas.map((saga) => [saga.name, Saga.processOf(saga)]))
  }) as unknown as Snapshot

/** The JSON text of a snapshot. @category encoding @since 0.1.0 */
export const encode = (snapshot: Snapshot): string =>
  `${JSON.stringify(sorted(snapshot as unknown as Schema.Json), null, 2)}\n`

const fromText = Schema.decodeUnknownEffect(Schema.fromJsonString(Snapshot))

/** The snapshot that a text holds. @category encoding @since 0.1.0 */
export const decode = (text: string): Effect.Effect<Snapshot, InvalidSnapshot> =>
  Effect.mapError(fromText(text), (error) => new InvalidSnapshot({ description: error.message }))

const sorted = (value: Schema.Json): Schema.Json => {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== "object" || value === null) return value
  const fields = Object.entries(value as Readonly<Record<string, Schema.Json>>)
  return Object.fromEntries(fields.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, each]) => [key, sorted(each)]))
}

/** Texts as they are, but for who signs in at a URL. */
const withoutCredentials = (value: unknown): unknown => {
  if (typeof value === "string") return value.replaceAll(/(?<=[a-z]:\/\/)[^/\s?#"'<>]*@/gi, "")
  if (Array.isArray(value)) return value.map(withoutCredentials)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withoutCredentials(each)]))
}
