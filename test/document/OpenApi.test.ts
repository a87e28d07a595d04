import { assert, describe, it } from "@effect/vitest"
import { validate } from "@readme/openapi-parser"
import { Ajv2020 } from "ajv/dist/2020.js"
import { Effect, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { OpenApi } from "../../src/document/index.ts"
import { HttpContract, StatusTable } from "../../src/http/index.ts"
import * as Integration from "../../src/Integration.ts"
import { channel, consumer, Payments } from "./charging.ts"
import * as Hostile from "./hostileApis.ts"

const demo = Integration.make("orders-to-payments", {
  purpose: "Orders are charged when they are placed",
  version: "1.2.0",
  contracts: [
    { contract: Payments, baseUrl: "https://payments.example.com/", tokenEndpoint: "https://login.example.com/token" }
  ],
  channels: [channel],
  consumers: [consumer]
})

type Dynamic = any
const payments: Dynamic = OpenApi.of(demo)["payments"]
const hostile: Record<string, Dynamic> = OpenApi.of(Hostile.design)
const everyDocument: ReadonlyArray<[string, Dynamic]> = [["payments", payments], ...Object.entries(hostile)]

/** A validator of each schema of a document, by where it is. The parser does not look into schemas. */
const compiled = (document: Dynamic) => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  ajv.addSchema({ $id: "document:", components: document.components })
  return (schema: Dynamic) => {
    const text = JSON.stringify(schema).replaceAll('"#/components', '"document:#/components')
    return ajv.compile(JSON.parse(text))
  }
}

const operationsOf = (document: Dynamic): ReadonlyArray<[string, Dynamic]> =>
  Object.entries<Dynamic>(document.paths).flatMap(([path, item]) =>
    Object.entries<Dynamic>({ ...item, ...item["x-oai-additionalOperations"] })
      .filter(([method]) => !method.startsWith("x-"))
      .map(([method, each]): [string, Dynamic] => [`${method} ${path}`, each])
  )

describe("documents of OpenAPI 3.1", () => {
  it.effect.each(everyDocument)("pass the validator: %s", ([, document]) =>
    Effect.gen(function* () {
      const result = yield* Effect.promise(() => validate(structuredClone(document)))
      assert.deepStrictEqual(result, { valid: true, warnings: [], specification: "OpenAPI" })
      const compile = compiled(document)
      const bodies = operationsOf(document).flatMap(([, { requestBody, responses }]) =>
        [requestBody, ...Object.values(responses), ...Object.values(document.components.responses)].flatMap((each) =>
          Object.values<Dynamic>((each as Dynamic)?.content ?? {})
        )
      )
      assert.isAbove(bodies.length, 0)
      for (const { schema } of bodies) assert.isFunction(compile(schema))
      assert.deepStrictEqual(JSON.parse(JSON.stringify(document)), document)
    })
  )

  it.effect("are refused by the validator when they are wrong", () =>
    Effect.gen(function* () {
      const broken = structuredClone(payments)
      broken.components.parameters["X-Request-ID"].in = "nowhere"
      const result = yield* Effect.promise(() => validate(broken))
      assert.isFalse(result.valid)
      assert.throws(() => compiled(payments)({ type: "strin" }))
    })
  )

  it("are the same each time, hold no secret, and leave nothing unsaid", () => {
    assert.strictEqual(JSON.stringify(OpenApi.of(Hostile.design)), JSON.stringify(hostile))
    assert.strictEqual(JSON.stringify(OpenApi.of(demo)["payments"]), JSON.stringify(payments))
    const text = JSON.stringify([payments, hostile])
    for (const bad of [Hostile.secret, "undefined", "[object Object]"]) assert.notInclude(text, bad)
  })

  it("say who it is and where", () => {
    assert.deepStrictEqual(payments.info, {
      title: "payments",
      version: "1.2.0",
      description: "Orders are charged when they are placed"
    })
    assert.deepStrictEqual(payments.servers, [{ url: "https://payments.example.com" }])
    assert.deepStrictEqual(hostile["bearer"].servers, [{ url: "https://api.example.com/base" }])
    assert.strictEqual(hostile["key"].servers[0].url, "{baseUrl}")
    assert.strictEqual(hostile["oauth elsewhere"].servers[0].url, "https://api.example.com/base")
  })
})

describe("errors of the status table", () => {
  it("are a response for each row, which says what the consumer does", () => {
    const { responses } = payments.paths["/v1/charges"].post
    const statuses = Object.keys(StatusTable.standard.rows).map((key) => key.slice(0, 3).replace("xx", "XX"))
    assert.sameMembers(Object.keys(responses), ["200", ...new Set(statuses)])
    const { 400: bad, 409: conflict, 429: limited, 500: failed } = payments.components.responses
    assert.strictEqual(bad.description, "ValidationError (VALIDATION_ERROR). The consumer fails: fix the request.")
    assert.strictEqual(conflict["x-consumer-actions"].length, 2)
    assert.strictEqual(conflict["x-consumer-actions"][1].problemType, StatusTable.ProblemType.inProgress)
    assert.include(conflict.description, "The consumer goes on: already done: skip.")
    assert.deepStrictEqual(limited.headers["Retry-After"], { $ref: "#/components/headers/Retry-After" })
    assert.notProperty(failed.headers, "Retry-After")
    assert.sameMembers(Object.keys(bad.content), ["application/problem+json", "application/json"])
  })

  it("follow an overridden table, and what the contract can really do", () => {
    const { 418: teapot, 423: locked, 503: later } = hostile["oauth"].components.responses
    assert.include(teapot.description, 'Teapot (TEAPOT). The consumer fails: use a <kettle> "now" | please.')
    assert.include(locked.description, "Later (LATER) where the problem is urn:example:locked. The consumer waits")
    assert.strictEqual(later["x-consumer-actions"][0].action, "fail")
    assert.include(hostile["oauth"].components.responses[502].description, "The consumer retries: ")
    const open = hostile["open «1» __proto__"].components.responses
    assert.include(open[401].description, "The consumer fails: there are no other credentials.")
    assert.include(open[409].description, "The consumer fails: in conflict with another request.")
    assert.include(open[502].description, "The consumer fails: this contract retries nothing.")
  })

  it("leave a declared error its own body", () => {
    const { 409: gone } = hostile["bearer"].paths["/v1/shapes"].post.responses
    assert.deepStrictEqual(gone.content["application/json"].schema, { $ref: "#/components/schemas/GoneEncoded" })
    assert.property(gone.content, "application/problem+json")
    assert.match(gone.description, /^Gone\n\nConflict \(CONFLICT\)/)
  })
})

describe("requests", () => {
  const named = (document: Dynamic, path: string, method: string) =>
    document.paths[path][method].parameters.map((each: Dynamic) =>
      each.$ref === undefined ? each.name : document.components.parameters[each.$ref.split("/").at(-1)].name
    )

  it("carry the headers that the client sends, each once", () => {
    assert.deepStrictEqual(named(payments, "/v1/charges", "post"), [
      "X-Request-ID",
      "Idempotency-Key",
      "X-Idempotency-Key"
    ])
    const bearer = hostile["bearer"]
    assert.deepStrictEqual(named(bearer, "/v1/trees", "put"), ["x-request-id", "idempotency-key", "X-Odd!Key"])
    assert.deepStrictEqual(named(bearer, "/v1/a-b/{treeId}/items", "get"), ["treeId", "limit", "tag", "X-Request-ID"])
    assert.deepStrictEqual(named(hostile["key"], "/v1/shapes", "post"), ["X-Request-ID"])
    // A QUERY changes nothing, so it has no key; OpenAPI 3.1 knows it as an extension only.
    const { QUERY: search } = bearer.paths["/v1/trees"]["x-oai-additionalOperations"]
    assert.deepStrictEqual(search.parameters, [{ $ref: "#/components/parameters/X-Request-ID" }])
    assert.property(search.responses, "4XX")
  })

  it("have the metadata that the client adds, in objects only", () => {
    const { properties, required } = payments.paths["/v1/charges"].post.requestBody.content["application/json"].schema
    assert.strictEqual(properties.metadata.properties.sourceSystem.const, "order-service")
    assert.include(required, "metadata")
    const { paths } = hostile["bearer"]
    const schemaOf = (path: string, method: string) =>
      paths[path][method].requestBody.content["application/json"].schema
    const takes = (path: string, method: string, body: unknown) =>
      compiled(hostile["bearer"])(schemaOf(path, method))(body)
    const metadata = { sourceSystem: "shop", timestamp: "2026-01-15T09:30:00.000Z" }
    assert.isTrue(takes("/v1/shapes", "post", { _tag: "Circle", radius: 1, metadata }))
    assert.isFalse(takes("/v1/shapes", "post", { _tag: "Circle", radius: 1 }))
    assert.isTrue(takes("/v1/shapes", "post", { _tag: "Named", metadata: { own: "x", ...metadata } }))
    assert.isFalse(takes("/v1/shapes", "post", { _tag: "Named", metadata }))
    const tree = { "odd ~/name": "x", children: [{ "odd ~/name": "y", children: [] }] }
    assert.isTrue(takes("/v1/trees", "put", { ...tree, metadata }))
    assert.isTrue(takes("/v1/list", "patch", [1]))
    // What answers is as before.
    assert.notInclude(JSON.stringify(hostile["bearer"].components.schemas), "sourceSystem")
    assert.notInclude(JSON.stringify(hostile["key"].paths), "sourceSystem")
  })

  it("say how they are authenticated", () => {
    const of = (name: string) => hostile[name].components.securitySchemes
    const asked = (name: string, path: string, method: string) => hostile[name].paths[path][method].security
    assert.deepStrictEqual(payments.paths["/v1/charges"].post.security, [{ clientCredentials: [] }])
    assert.deepStrictEqual(payments.components.securitySchemes.clientCredentials.flows, {
      clientCredentials: { tokenUrl: "https://login.example.com/token", scopes: {} }
    })
    assert.deepStrictEqual(asked("open «1» __proto__", "/v1/list", "patch"), [])
    assert.strictEqual(of("bearer").bearer_1.scheme, "bearer")
    assert.include(of("bearer").bearer_1.description, "changed every 90d: a ticket")
    assert.deepInclude(of("key").apiKey, { type: "apiKey", in: "header", name: "x-tenant-key" })
    assert.deepStrictEqual(asked("key", "/v1/keyed", "post"), [{ apiKey: [] }, { token: [] }])
    const scopes = ["charges:write", "charges:read"]
    assert.deepStrictEqual(asked("oauth", "/v1/list", "patch"), [{ clientCredentials: scopes }])
    assert.strictEqual(of("oauth elsewhere").clientCredentials.type, "http")
  })

  it("print the numbers of the policies", () => {
    assert.deepStrictEqual(payments["x-rate-limit"], { perMinute: 3000, burst: 60, perDay: 100_000 })
    assert.deepStrictEqual(payments["x-timeouts"], { connect: 500, read: 400, attempt: 600, total: 4000 })
    assert.deepStrictEqual(payments["x-retry"], { delays: [50, 150, 400], jitter: "full" })
    assert.deepInclude(payments["x-circuit-breaker"], { failurePercent: 40, window: 1000, openFor: 800 })
    assert.deepStrictEqual(hostile["bearer"]["x-bulkhead"], { maxConcurrent: 3 })
  })
})

it("leaves alone what other users of the same API have generated", () => {
  const api = HttpApi.make("shared").add(
    HttpApiGroup.make("a").add(HttpApiEndpoint.post("b", "/b", { payload: Schema.Struct({ c: Schema.String }) }))
  )
  class One extends HttpContract.Service<One>()("one", {
    api,
    baseUrl: "https://one.example.com",
    errors: StatusTable.standard,
    sourceSystem: "one"
  }) {}
  class Two extends HttpContract.Service<Two>()("two", {
    api,
    baseUrl: "https://two.example.com",
    errors: StatusTable.standard
  }) {}
  const documents = OpenApi.of(Integration.make("shared", { contracts: [One, Two] }))
  assert.include(JSON.stringify(documents["one"]), "sourceSystem")
  assert.notInclude(JSON.stringify(documents["two"]), "sourceSystem")
})
