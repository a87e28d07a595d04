/**
 * OpenAPI 3.1 of the contracts of a design: what the `HttpApi` says, and what the contract adds to it.
 *
 * **Details**
 *
 * - Each row of the error table is a response, with the body that the library reads and what the consumer does about it
 *   (`x-consumer-actions`). A status that an endpoint declares itself keeps its own body.
 * - Headers: X-Request-ID both ways, the idempotency key where the contract is idempotent, Retry-After where it is obeyed.
 * - Where the contract names its `sourceSystem`, the bodies of unsafe requests have the `metadata` that the client adds.
 * - Policies are extensions, durations in milliseconds: `x-timeouts`, `x-rate-limit`, `x-retry`, `x-circuit-breaker`,
 *   `x-bulkhead`.
 * - An address that is configured is taken from the design (`baseUrl`, `tokenEndpoint`). Without it the server is a
 *   variable, and OAuth2 is described as the bearer token that it gives. No address shows a user, password or query.
 *
 * **Example** (The documents of a design)
 *
 * ```ts
 * import { Integration } from "effect-integration"
 * import { OpenApi } from "effect-integration/document"
 *
 * declare const design: Integration.Integration
 *
 * export const text = JSON.stringify(OpenApi.of(design)["payments"], undefined, 2)
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import type * as HttpApi from "effect/http-api/HttpApi"
import * as EffectOpenApi from "effect/http-api/OpenApi"
import type * as Schema from "effect/Schema"
import * as HttpPolicy from "../http/HttpPolicy.ts"
import type * as Integration from "../Integration.ts"
import * as Timeouts from "../policy/Timeouts.ts"
import { freeName, publicText, publicUrl } from "./internal/naming.ts"
import * as Errors from "./internal/openApiErrors.ts"
import * as Headers from "./internal/openApiHeaders.ts"
import * as Metadata from "./internal/openApiMetadata.ts"
import { type Security, securityOf } from "./internal/openApiSecurity.ts"

type JsonObject = Schema.JsonObject
type Components = Readonly<Record<string, JsonObject>>

/**
 * An OpenAPI 3.1 document, as JSON.
 *
 * @category models
 * @since 0.1.0
 */
export interface Document {
  readonly openapi: "3.1.0"
  readonly info: JsonObject & { readonly title: string; readonly version: string }
  readonly servers: ReadonlyArray<JsonObject>
  readonly paths: Components
  readonly components: Readonly<Record<string, Components>>
  readonly security: ReadonlyArray<JsonObject>
  readonly tags: ReadonlyArray<JsonObject>
  readonly [extension: `x-${string}`]: Schema.Json
}

/**
 * The documents of the contracts of a design, by the name of the contract.
 *
 * **Gotchas**
 *
 * Throws where `OpenApi.fromApi` of Effect does: for an API with two operations of one method and path.
 *
 * @category rendering
 * @since 0.1.0
 */
export const of = (design: Integration.Integration): Readonly<Record<string, Document>> =>
  Object.fromEntries(design.contracts.map((each) => [each.contract.key, documentOf(design, each)]))

const documentOf = (design: Integration.Integration, given: Integration.Contract): Document => {
  const { contract, key } = given.contract
  // A copy: the generator keeps its own.
  const spec = EffectOpenApi.fromApi(contract.api as HttpApi.Top)
  const { components, info, paths, security: asked, servers, tags, ...extensions } = spec
  const security = securityOf(given, components.securitySchemes as unknown as Components)
  const schemas = components.schemas as Components
  const problem = freeName("Problem", schemas)
  const other = freeName("CodeAndMessage", schemas)
  const rows = Errors.rowsOf(contract.errors)
  const names = { problem: `#/components/schemas/${problem}`, other: `#/components/schemas/${other}` }
  const headers = Headers.added(contract)
  const shape: Shape = { contract, schemas, security, rows, headers, problem: names.problem }
  return {
    ...(extensions as object),
    openapi: "3.1.0",
    info: {
      ...(info as object),
      // What the generator writes where the API does not say it.
      title: info.title === "Api" ? key : info.title,
      version: info.version === "0.0.1" ? (design.version ?? info.version) : info.version,
      ...(info.description === undefined && design.purpose !== undefined ? { description: design.purpose } : undefined)
    },
    servers: serversOf(given, servers as ReadonlyArray<JsonObject> | undefined),
    paths: Object.fromEntries(
      Object.entries(paths as unknown as Components).map(([path, item]) => [path, pathItem(shape, item)])
    ),
    components: {
      ...(components as object),
      schemas: { ...schemas, [problem]: Errors.problem, [other]: Errors.codeAndMessage },
      securitySchemes: security.schemes,
      parameters: { ...headers.always, ...headers.keys },
      headers: Headers.components,
      responses: Object.fromEntries(
        Array.from(rows, ([status, each]) => [
          status,
          {
            ...Errors.described(contract, each),
            headers: Headers.headersOf(Errors.waits(each)),
            content: Errors.content(each, names)
          }
        ])
      )
    },
    security: asked as ReadonlyArray<JsonObject>,
    tags: tags as unknown as ReadonlyArray<JsonObject>,
    ...policies(contract)
  }
}

/** What every operation of a contract shares. */
interface Shape {
  readonly contract: HttpPolicy.Any
  readonly schemas: Components
  readonly security: Security
  readonly rows: ReadonlyMap<string, Errors.Rows>
  readonly headers: Headers.Added
  readonly problem: string
}

const safe = new Set(["get", "head", "options", "trace", "query"])
const methods = new Set([...safe, "put", "post", "delete", "patch"])

/** Where the methods are that OpenAPI 3.1 does not know, such as QUERY. */
const additional = "x-oai-additionalOperations"

const pathItem = (shape: Shape, item: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(item).map(([name, value]) => {
      const method = name.toLowerCase()
      if (name === additional) return [name, pathItem(shape, value as JsonObject)]
      return [name, methods.has(method) ? operation(shape, method, value as JsonObject) : value]
    })
  )

const operation = (shape: Shape, method: string, given: JsonObject): JsonObject => {
  const { parameters = [], requestBody, responses = {}, security = [] } = given
  const { always, keys } = shape.headers
  const unsafe = !safe.has(method)
  const { sourceSystem } = shape.contract
  return {
    ...given,
    parameters: Headers.parametersOf(parameters as ReadonlyArray<JsonObject>, unsafe ? { ...always, ...keys } : always),
    ...(unsafe && requestBody !== undefined && sourceSystem !== undefined
      ? { requestBody: bodyOf(requestBody as JsonObject, sourceSystem, shape.schemas) }
      : undefined),
    responses: responsesOf(shape, responses as Components),
    security: shape.security.of(security as Parameters<Security["of"]>[0])
  }
}

const bodyOf = (body: JsonObject, sourceSystem: string, schemas: Components): JsonObject => ({
  ...body,
  content: Object.fromEntries(
    Object.entries(body.content as Components).map(([type, media]) => {
      const { schema } = media
      const filled = Metadata.isJson(type) && !("x-effect-stream" in media)
      return [
        type,
        filled ? { ...media, schema: Metadata.withMetadata(schema as JsonObject, sourceSystem, schemas) } : media
      ]
    })
  )
})

const responsesOf = (shape: Shape, declared: Components): JsonObject => {
  const table = Array.from(shape.rows.keys(), (status) => [status, { $ref: `#/components/responses/${status}` }])
  const own = Object.entries(declared).map(([status, response]) => {
    const headers = response.headers as JsonObject | undefined
    if (Number(status) < 300) return [status, { ...response, headers: Headers.headersOf(false, headers) }]
    const rows = Errors.rowsFor(shape.contract.errors, status)
    const { description, ...action } = Errors.described(shape.contract, rows)
    return [
      status,
      {
        ...response,
        description: [response.description, description].join("\n\n"),
        headers: Headers.headersOf(Errors.waits(rows), headers),
        ...(rows.special.length === 0
          ? undefined
          : {
              content: { ...Errors.problemContent(rows.special, shape.problem), ...(response.content as JsonObject) }
            }),
        ...action
      }
    ]
  })
  return Object.fromEntries([...table, ...own])
}

const serversOf = (
  { baseUrl, contract: { contract } }: Integration.Contract,
  declared: ReadonlyArray<JsonObject> = []
): ReadonlyArray<JsonObject> => {
  const url = Config.isConfig(contract.baseUrl) ? publicUrl(baseUrl) : publicUrl(contract.baseUrl.toString())
  if (url !== undefined) return [{ url }]
  if (declared.length > 0) return declared
  const variable = { default: "/", description: publicText(baseUrl ?? "Read from the configuration of the consumer.") }
  return [{ url: "{baseUrl}", variables: { baseUrl: variable } }]
}

const millis = (given: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(given))

const policies = (contract: HttpPolicy.Any): { readonly [extension: `x-${string}`]: Schema.Json } => {
  const { breaker, bulkhead, personalData, rateLimit, retry } = contract
  const timeouts = Object.entries(Timeouts.toMillis(contract.timeouts ?? HttpPolicy.defaultTimeouts))
  return {
    "x-timeouts": Object.fromEntries(timeouts.filter(([, limit]) => limit !== Infinity)),
    ...(rateLimit === undefined ? undefined : { "x-rate-limit": { ...rateLimit } }),
    ...(retry === undefined ? undefined : { "x-retry": { delays: retry.delays.map(millis), jitter: retry.jitter } }),
    ...(breaker === undefined
      ? undefined
      : {
          "x-circuit-breaker": {
            failurePercent: breaker.failurePercent,
            window: millis(breaker.window),
            openFor: millis(breaker.openFor)
          }
        }),
    ...(bulkhead === undefined ? undefined : { "x-bulkhead": { ...bulkhead } }),
    ...(personalData === undefined ? undefined : { "x-personal-data": personalData })
  }
}
