import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Schema from "effect/Schema"

/** A JSON Schema (2020-12) with its definitions. */
export const jsonSchemaOf = (schema: Schema.Constraint): Schema.Json => {
  const body = HttpApiSchema.isWithHeaders(schema) ? schema.schema : schema
  const { definitions, schema: root } = Schema.toJsonSchemaDocument(body as Schema.Constraint)
  // What an annotation holds need not be JSON.
  return JSON.parse(JSON.stringify(Object.keys(definitions).length === 0 ? root : { ...root, $defs: definitions }))
}

export const Endpoint = Schema.Struct({
  method: Schema.String,
  path: Schema.String,
  /** By part: `params`, `query`, `headers`, and `body` with its media type. */
  request: Schema.Record(Schema.String, Schema.Json),
  /** By status. */
  responses: Schema.Record(Schema.String, Schema.Json),
  errors: Schema.Record(Schema.String, Schema.Json),
  streams: Schema.Boolean
})

/** The endpoints of an API by name: `charges.create`. */
export const endpointsOf = (api: HttpApi.Constraint): Readonly<Record<string, typeof Endpoint.Type>> => {
  const found: Record<string, typeof Endpoint.Type> = {}
  HttpApi.reflect(api as HttpApi.Top, {
    onGroup: () => {},
    onEndpoint: ({ endpoint, errors, group, successes }) => {
      const parts: Record<string, Schema.Json> = {}
      for (const part of ["params", "query", "headers"] as const) {
        const schema: Schema.Constraint | undefined = endpoint[part]
        if (schema !== undefined) parts[part] = jsonSchemaOf(schema)
      }
      for (const [type, { schemas }] of endpoint.payload) parts[`body ${type}`] = oneOf(schemas)
      found[`${group.identifier}.${endpoint.identifier}`] = {
        method: endpoint.method,
        path: endpoint.path,
        request: parts,
        responses: byStatus(successes),
        errors: byStatus(errors),
        // Streams and upgrades have no status of their own.
        streams: endpoint.success.size > Array.from(successes.values()).flat().length
      }
    }
  })
  return found
}

const oneOf = (schemas: ReadonlyArray<Schema.Constraint>): Schema.Json =>
  schemas.length === 1 ? jsonSchemaOf(schemas[0]!) : { anyOf: schemas.map(jsonSchemaOf) }

const byStatus = (
  schemas: ReadonlyMap<number, ReadonlyArray<Schema.Constraint>>
): Readonly<Record<string, Schema.Json>> =>
  Object.fromEntries(Array.from(schemas, ([status, each]) => [String(status), oneOf(each)]))
