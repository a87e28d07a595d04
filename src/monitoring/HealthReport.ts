/**
 * How an integration does, in the format of draft-inadarei-api-health-check-06 (`application/health+json`): a status, and
 * the checks that it comes from.
 *
 * **Details**
 *
 * - `pass`: all is well. `warn`: it does its work, and somebody should look. `fail`: it does not.
 * - A report is as bad as the worst of its checks. Over HTTP, `pass` and `warn` are 200 and `fail` is 503, as the draft
 *   wants.
 * - The key of a check is `component:measurement`, such as `payments:circuit`. It has an entry for each instance.
 * - `output` says why, and is there only where the status is not `pass`. It is bounded, and without credentials.
 *
 * **Example** (Reading one)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpClient } from "effect/http"
 * import { HealthReport } from "effect-integration/monitoring"
 *
 * export const failing = HttpClient.get("http://localhost:8080/health/ready").pipe(
 *   Effect.flatMap((response) => response.json),
 *   Effect.flatMap(HealthReport.decode),
 *   Effect.map(({ checks }) => Object.keys(checks).filter((key) => checks[key]!.some(({ status }) => status === "fail")))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"

/** From good to bad. @category models @since 0.1.0 */
export const statuses = ["pass", "warn", "fail"] as const

/** @category models @since 0.1.0 */
export type Status = (typeof statuses)[number]

/** The draft allows the words of Terminus and Spring Boot too. */
const aliases: Readonly<Record<string, Status>> = { ok: "pass", up: "pass", error: "fail", down: "fail" }

/** In any case of letters, with the other words that the draft allows. @category schemas @since 0.1.0 */
export const Status = Schema.String.pipe(
  Schema.decodeTo(
    Schema.Literals(statuses),
    SchemaTransformation.transform({
      decode: (text) => (aliases[text.toLowerCase()] ?? text.toLowerCase()) as Status,
      encode: (status) => status
    })
  )
)

/** What one check has seen. @category schemas @since 0.1.0 */
export const Entry = Schema.Struct({
  /** Which instance of the component. */
  componentId: Schema.optionalKey(Schema.String),
  /** `component`, `datastore`, `system`, or a URI. */
  componentType: Schema.optionalKey(Schema.String),
  observedValue: Schema.optionalKey(Schema.Json),
  observedUnit: Schema.optionalKey(Schema.String),
  status: Schema.optionalKey(Status),
  /** ISO 8601. */
  time: Schema.optionalKey(Schema.String),
  output: Schema.optionalKey(Schema.String)
})
/** @category models @since 0.1.0 */
export type Entry = typeof Entry.Type

/** @category schemas @since 0.1.0 */
export const Report = Schema.Struct({
  status: Status,
  description: Schema.optionalKey(Schema.String),
  version: Schema.optionalKey(Schema.String),
  releaseId: Schema.optionalKey(Schema.String),
  output: Schema.optionalKey(Schema.String),
  checks: Schema.Record(Schema.String, Schema.Array(Entry)).pipe(Schema.withDecodingDefaultKey(Effect.succeed({})))
})
/** @category models @since 0.1.0 */
export type Report = typeof Report.Type

/** Reads a report, of this library or of another. @category decoding @since 0.1.0 */
export const decode: (json: unknown) => Effect.Effect<Report, Schema.SchemaError> = Schema.decodeUnknownEffect(Report)

/** The worst of some. @category combinators @since 0.1.0 */
export const worst = (given: Iterable<Status>): Status => {
  let seen: Status = "pass"
  for (const status of given) if (statuses.indexOf(status) > statuses.indexOf(seen)) seen = status
  return seen
}

/** The status code that a report is answered with. @category getters @since 0.1.0 */
export const httpStatus = (status: Status): 200 | 503 => (status === "fail" ? 503 : 200)

/** The media type. @category constants @since 0.1.0 */
export const mediaType = "application/health+json"
