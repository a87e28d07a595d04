import * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import * as StatusTable from "../../http/StatusTable.ts"
import type * as Integration from "../../Integration.ts"
import * as Blocks from "./blocks.ts"
import * as Json from "./jsonSchema.ts"
import { baseUrlOf, credentialOf, headerName, keyHeadersOf } from "./sent.ts"
import { isNothing, shapeOf } from "./shape.ts"

const { code, codeBlock, heading, lines, strong } = Blocks

/** The request contract: each endpoint with its headers and bodies. */
export const requestOf = (contract: Integration.Contract): ReadonlyArray<Blocks.Block> => {
  const blocks: Array<Blocks.Block> = [heading(4, "Request Contract")]
  HttpApi.reflect(contract.contract.contract.api as HttpApi.Top, {
    onGroup: () => {},
    onEndpoint: ({ endpoint, errors, successes }) => {
      blocks.push(...endpointOf(contract, endpoint, successes, errors))
    }
  })
  return blocks.length > 1 ? blocks : [...blocks, lines(Blocks.notGiven)]
}

type Answers = ReadonlyMap<number, ReadonlyArray<Schema.Top>>

const bodyless = new Set(["GET", "HEAD", "OPTIONS", "TRACE"])

const endpointOf = (
  contract: Integration.Contract,
  endpoint: HttpApiEndpoint.Top,
  successes: Answers,
  errors: Answers
): ReadonlyArray<Blocks.Block> => {
  const url = `${baseUrlOf(contract)}/${(endpoint.path as string).replace(/^\//, "")}`
  const payloads = Array.from(endpoint.payload.values())
  const hasBody = payloads.length > 0 && !bodyless.has(endpoint.method)
  const parts = (
    [
      ["Path parameters", endpoint.params],
      ["Query", endpoint.query],
      ["Headers of this endpoint", endpoint.headers]
    ] as const
  ).flatMap(([title, schema]) => (schema === undefined ? [] : [lines([strong(`${title}:`)]), fieldsOf(schema)]))
  const bodies = payloads.flatMap(({ encoding, schemas }) =>
    (schemas as ReadonlyArray<Schema.Top>).flatMap((schema) =>
      bodyOf(
        hasBody ? "Request Body" : "Query",
        schema,
        String(encoding.contentType),
        hasBody ? contract.contract.contract.sourceSystem : undefined
      )
    )
  )
  const answers = [...successes].flatMap(([status, schemas]) =>
    schemas.flatMap((schema) => bodyOf(`Successful Response ${status}`, unwrapped(schema), undefined))
  )
  const streamed = Array.from(endpoint.success).some((schema) => isStream(unwrapped(schema)))
  return [
    lines([strong("Endpoint:"), " ", code(`${endpoint.method} ${url}`)]),
    lines([strong("Headers:")]),
    codeBlock("http", headersOf(contract, endpoint.method, hasBody ? payloads[0]!.encoding.contentType : undefined)),
    ...parts,
    ...(hasBody || bodies.length > 0 ? bodies : [lines([strong("Request Body:"), " none"])]),
    ...answers,
    ...(streamed ? [lines([strong("Successful Response:"), " a stream"])] : []),
    ...declared(contract, errors)
  ]
}

const headersOf = (
  { contract: { contract } }: Integration.Contract,
  method: string,
  contentType: string | undefined
): string => {
  const credential = credentialOf(contract)
  const unsafe = !bodyless.has(method) && method !== "QUERY"
  return [
    ...(credential === undefined ? [] : [`${headerName(contract.authentication!.header)}: ${credential}`]),
    ...(contentType === undefined ? [] : [`Content-Type: ${contentType}`]),
    "Accept: application/json",
    "X-Request-ID: (UUID: forwarded from the inbound request or message, else a new one)",
    ...(unsafe
      ? keyHeadersOf(contract).map((name) => `${name}: (key of the operation, the same on every attempt)`)
      : []),
    "traceparent: (W3C trace context, where the call is traced)"
  ].join("\n")
}

/** What a stream brings is not of this contract's bodies. */
const isStream = (schema: Schema.Top): boolean =>
  Predicate.hasProperty(schema, "_tag") && typeof schema._tag === "string" && schema._tag.startsWith("Stream")

const unwrapped = (schema: Schema.Top): Schema.Top =>
  HttpApiSchema.isWithHeaders(schema) ? (schema.schema as Schema.Top) : schema

const fieldsOf = (schema: Schema.Top): Blocks.Block => codeBlock("json", shapeOf(schema))

const bodyOf = (
  title: string,
  schema: Schema.Top,
  contentType: string | undefined,
  sourceSystem?: string
): ReadonlyArray<Blocks.Block> => {
  if (isStream(schema)) return [lines([strong(`${title}:`), ` a stream, ${contentType ?? ""}`])]
  if (isNothing(schema)) return [lines([strong(`${title}:`), " no body"])]
  const suffix = contentType === undefined || contentType === "application/json" ? "" : ` (${contentType})`
  const example = Json.exampleOf(schema)
  // What the client adds to JSON objects.
  const metadata =
    sourceSystem === undefined || suffix !== "" ? undefined : { sourceSystem, timestamp: "2026-01-01T00:00:00.000Z" }
  return [
    lines([strong(`${title}${suffix}:`)]),
    codeBlock(
      "json",
      metadata === undefined ? shapeOf(schema) : shapeOf(schema, { metadata: { ...metadata, timestamp: "ISO8601" } })
    ),
    ...exampleBlocks(isRecord(example) && metadata !== undefined ? { ...example, metadata } : example)
  ]
}

const isRecord = (value: Schema.Json | undefined): value is Schema.JsonObject =>
  Predicate.isObject(value) && !Array.isArray(value)

const exampleBlocks = (example: unknown): ReadonlyArray<Blocks.Block> =>
  example === undefined
    ? [lines("For example: none could be made of what the schema says; annotate it with `examples`.")]
    : [lines("For example:"), codeBlock("json", JSON.stringify(example, null, 2))]

/** Errors of the endpoint's own decode first; the row of their status still decides. */
const declared = ({ contract }: Integration.Contract, errors: Answers): ReadonlyArray<Blocks.Block> => {
  const named = [...errors].flatMap(([status, schemas]) =>
    schemas.map((schema): Blocks.Line => {
      const row = StatusTable.rowOf(contract.contract.errors, status)
      return [
        code(String(status)),
        " ",
        Json.nameOf(unwrapped(schema)) ?? "declared error",
        ", action of the row ",
        code(row.code)
      ]
    })
  )
  return named.length === 0 ? [] : [lines([strong("Errors of its own:")]), Blocks.list(named)]
}
