import type * as Schema from "effect/Schema"
import type * as HttpPolicy from "../../http/HttpPolicy.ts"
import * as Idempotency from "../../http/Idempotency.ts"
import { freeName } from "./naming.ts"

type JsonObject = Schema.JsonObject
type Components = Readonly<Record<string, JsonObject>>

const requestId: JsonObject = {
  name: "X-Request-ID",
  in: "header",
  required: true,
  description: "Follows the work through all systems; the same on every attempt.",
  schema: { type: "string", minLength: 1 }
}

const idempotencyKey = (name: string): JsonObject => {
  const [example] = Object.values(Idempotency.headersOf("0b7f4a52-1c3d-4e5f-8a9b-6c7d8e9f0a1b", [name]))
  return {
    name,
    in: "header",
    required: true,
    description: "One key per logical operation, the same on every attempt: a retry cannot do the work twice.",
    schema: { type: "string", minLength: 1 },
    example: example!
  }
}

/** The headers that the client adds to requests, by the name of their component. Keys are for unsafe requests only. */
export interface Added {
  readonly always: Components
  readonly keys: Components
}

export const added = ({ idempotent = false }: HttpPolicy.Any): Added => {
  const names = idempotent === false ? [] : idempotent === true ? Idempotency.defaultHeaders : idempotent.headers
  const always = { "X-Request-ID": requestId }
  const keys: Record<string, JsonObject> = {}
  const seen = new Set(["x-request-id"])
  for (const name of names) {
    if (seen.has(name.toLowerCase())) continue
    seen.add(name.toLowerCase())
    keys[freeName(name, { ...always, ...keys })] = idempotencyKey(name)
  }
  return { always, keys }
}

/** The parameters of an operation, with those that it does not declare itself. */
export const parametersOf = (declared: ReadonlyArray<JsonObject>, headers: Components): ReadonlyArray<JsonObject> => {
  const own = new Set(declared.filter((each) => each.in === "header").map((each) => String(each.name).toLowerCase()))
  const missing = Object.keys(headers).filter((key) => !own.has(String(headers[key]!.name).toLowerCase()))
  return [...declared, ...missing.map((key) => ({ $ref: `#/components/parameters/${key}` }))]
}

/** The headers of responses. */
export const components: Components = {
  "X-Request-ID": { description: "The id of the request that is answered.", schema: { type: "string" } },
  "Retry-After": {
    description: "How long to leave the provider alone (RFC 9110, 10.2.3): seconds or a date. It is never shortened.",
    schema: { anyOf: [{ type: "integer", minimum: 0 }, { type: "string" }] }
  }
}

/** The headers of a response, with those that it does not declare itself. */
export const headersOf = (waits: boolean, declared: JsonObject = {}): JsonObject => {
  const own = new Set(Object.keys(declared).map((name) => name.toLowerCase()))
  const missing = Object.keys(components).filter(
    (name) => (waits || name !== "Retry-After") && !own.has(name.toLowerCase())
  )
  return {
    ...declared,
    ...Object.fromEntries(missing.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
  }
}
