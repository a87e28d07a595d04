/** A design whose names and schemas are as odd as the types allow. */
import { Config, Effect, Redacted, Schema } from "effect"
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity
} from "effect/http-api"
import { Channel, Codec, Consumer, EventType, Ordering } from "../../src/event/index.ts"
import { Authentication, HttpContract, StatusTable } from "../../src/http/index.ts"
import * as Integration from "../../src/Integration.ts"
import { ErrorAction, RetryPolicy } from "../../src/policy/index.ts"

export const secret = "hunter2-do-not-print"

interface Tree {
  readonly "odd ~/name": string
  readonly children: ReadonlyArray<Tree>
}
export const Tree: Schema.Codec<Tree> = Schema.Struct({
  "odd ~/name": Schema.String,
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
}).annotate({ identifier: "Tree of/odd ~names" })

const Shape = Schema.Union([
  Schema.TaggedStruct("Circle", { radius: Schema.Finite }),
  Schema.TaggedStruct("Named", { metadata: Schema.Struct({ own: Schema.String }), problem: Schema.optionalKey(Tree) })
]).annotate({ identifier: "Problem" })

class Gone extends Schema.TaggedError<Gone>()("Gone", { since: Schema.DateTimeUtc }, { httpApiStatus: 409 }) {}
class Teapot extends StatusTable.Error<Teapot>()("Teapot") {}
class Later extends StatusTable.Error<Later>()("Later") {}

/** @effect-expect-leaking HttpServerRequest ParsedSearchParams RouteContext */
class Keyed extends HttpApiMiddleware.Service<Keyed>()("Keyed", {
  security: { bearer: HttpApiSecurity.apiKey({ key: "X-Tenant-Key" }), token: HttpApiSecurity.bearer }
}) {}

const api = HttpApi.make("hostile")
  .add(
    HttpApiGroup.make('odd "group" <b>|{}').add(
      HttpApiEndpoint.get("no body", "/v1/a-b/:treeId/items", {
        params: { treeId: Schema.String },
        query: { limit: Schema.optionalKey(Schema.FiniteFromString), tag: Schema.Array(Schema.String) },
        success: Schema.Array(Tree)
      }),
      HttpApiEndpoint.post("shape", "/v1/shapes", { payload: Shape, success: Shape, error: Gone }),
      HttpApiEndpoint.put("tree", "/v1/trees", {
        payload: Tree,
        headers: { "x-request-id": Schema.String, "idempotency-key": Schema.String },
        success: HttpApiSchema.NoContent
      }),
      HttpApiEndpoint.patch("list", "/v1/list", { payload: Schema.Array(Schema.Int), success: Schema.String }),
      HttpApiEndpoint.query("search", "/v1/trees", { payload: Tree, success: Tree }),
      HttpApiEndpoint.delete("gone", "/v1/trees/:id", { params: { id: Schema.String } })
    )
  )
  .add(
    HttpApiGroup.make("secured", { topLevel: true })
      .add(HttpApiEndpoint.post("keyed", "/v1/keyed", { payload: Schema.Unknown, success: Schema.Unknown }))
      .middleware(Keyed)
  )

const errors = StatusTable.override(StatusTable.standard, {
  418: StatusTable.row(Teapot, "TEAPOT", ErrorAction.make("fail", { guidance: 'use a <kettle> "now" | please' })),
  "423 locked": StatusTable.row(Later, "LATER", ErrorAction.wait, { problemType: "urn:example:locked" }),
  503: StatusTable.row(Later, "LATER", ErrorAction.fail)
})

const shared = { api, errors, baseUrl: `https://user:${secret}@api.example.com/base/?key=${secret}#x` } as const

class Open extends HttpContract.Service<Open>()("open «1» __proto__", { ...shared, sourceSystem: 'a "b" <c>' }) {}
class Bearer extends HttpContract.Service<Bearer>()("bearer", {
  ...shared,
  authentication: Authentication.bearer([Redacted.make(secret), Redacted.make(`${secret}2`)]),
  idempotent: { headers: ["Idempotency-Key", "idempotency-key", "X-Odd!Key", "X-Request-Id"] },
  sourceSystem: "shop",
  personalData: ["email"],
  bulkhead: { maxConcurrent: 3 }
}) {}
class Key extends HttpContract.Service<Key>()("key", {
  ...shared,
  baseUrl: Config.URL("BASE_URL"),
  authentication: Authentication.apiKey({ key: Redacted.make(secret), header: "X-Tenant-Key" })
}) {}
const oauth = Authentication.clientCredentials({
  tokenUrl: `https://issuer.example.com/token?secret=${secret}`,
  id: secret,
  secret: Redacted.make(secret),
  scope: ["charges:write", "charges:read"]
})
class OAuth extends HttpContract.Service<OAuth>()("oauth", {
  ...shared,
  authentication: oauth,
  idempotent: true,
  retry: RetryPolicy.make({ delays: ["1 second", "2 seconds"], jitter: "full" })
}) {}
class OAuthElsewhere extends HttpContract.Service<OAuthElsewhere>()("oauth elsewhere", {
  ...shared,
  authentication: oauth
}) {}

const Grown = EventType.make("com.acme/odd type <1>", {
  source: "/odd?source=1",
  data: Schema.Struct({
    at: Schema.DateTimeUtc,
    key: Schema.Struct({ id: Schema.String.check(Schema.isUUID()) }),
    amount: Schema.BigInt,
    kinds: Schema.Tuple([Schema.Literals(["x", "y"]), Schema.Int]),
    shape: Shape,
    tree: Tree,
    either: Schema.NullOr(Schema.Number),
    rate: Schema.Finite.check(Schema.isMultipleOf(5), Schema.isGreaterThan(7)),
    currency: Schema.String.check(Schema.isPattern(/^[A-Z]{3}$/))
  }),
  dataschema: "https://acme.com/schemas/grown/2",
  previous: {
    "https://acme.com/schemas/grown/1": EventType.version(Schema.Struct({ old: Schema.Boolean }), () => {
      throw new Error("not called")
    })
  }
})
const Impossible = EventType.make("impossible", {
  source: "/x",
  data: Schema.String.check(Schema.makeFilter(() => false))
})
const Plain = EventType.make("plain", { source: "/x", data: Schema.String, datacontenttype: "text/plain" })
const Bytes = EventType.make("bytes", { source: "/x", data: Schema.Uint8Array, datacontenttype: "application/pdf" })
const Nothing = EventType.make("nothing", { source: "/x", data: Schema.Void })

const erp = Codec.json({ id: (_, message) => message.messageId, type: () => "nothing", source: () => "/erp" })

export const grown = Channel.make("grown.1", [Grown, Impossible], {
  partitions: 3,
  consumers: ["audit"],
  retention: { maxAge: "7 days", maxMessages: 1000 },
  deadLetters: { maxAge: "30 days" },
  acceptableLag: "1 minute",
  unknownEvents: "ignore"
})
export const strict = Channel.make("strict", [Grown], { ordering: Ordering.strict("key.id", { exhausted: "halt" }) })
export const structured = Channel.make("grown", [Grown, Plain, Bytes, Nothing], {
  codec: Codec.structured,
  ordering: Ordering.bestEffort
})
export const binary = Channel.make("binary", [Plain, Bytes], { consumers: ["audit"] })
export const empty = Channel.make("empty", [])
export const existing = Channel.make("erp", [Nothing], {
  codec: erp,
  existing: { queue: "ERP/OUT {1}", exchange: "erp.topic", routingKey: "out.#" }
})
export const queue = Channel.make("erp2", [Nothing], { codec: erp, existing: { queue: "ERP.IN" }, consumers: ["one"] })

const nothing = () => Effect.void
const Reader = Consumer.make("reader", grown, {
  handlers: { "com.acme/odd type <1>": nothing, impossible: nothing },
  retry: RetryPolicy.make({ delays: ["1 second"] }),
  dedup: { window: "14 days", mode: "transactional" }
})
const ErpReader = Consumer.make("erp-reader", existing, { handlers: { nothing } })

export const design = Integration.make('odd: "design" <script>|', {
  purpose: "as odd as it can be",
  contracts: [
    Open,
    { contract: Bearer, rotation: { every: "90 days", process: "a ticket" } },
    Key,
    { contract: OAuth, tokenEndpoint: `https://u:${secret}@issuer.example.com/token?x=${secret}` },
    { contract: OAuthElsewhere, baseUrl: "https://ignored.example.com" }
  ],
  channels: [grown, { channel: strict, producer: "the 'shop'", notes: "per key" }, structured, binary, empty, queue],
  consumers: [Reader, ErpReader]
})
