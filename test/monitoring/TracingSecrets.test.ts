import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Redacted, Schema } from "effect"
import { Channel, Consumer, EventType, MemoryBroker, Publisher } from "effect-integration/event"
import { Authentication, HttpPolicy, StatusTable } from "effect-integration/http"
import { Tracing } from "effect-integration/monitoring"
import { ErrorAction } from "effect-integration/policy"
import { HttpClient, HttpClientRequest, HttpServerResponse } from "effect/http"
import design from "../../examples/orders-to-payments/design.ts"
import { listen } from "../http/server.ts"
import { collect, named, record } from "./collector.ts"
import { accessToken, clientSecret, run } from "./flagship.ts"

const secrets = {
  bearer: "secret-bearer",
  apiKey: "secret-api-key",
  query: "secret-query",
  user: "secret-user",
  password: "secret-password",
  name: "Ada-Lovelace",
  hidden: "secret-redacted",
  thrown: "secret-thrown"
}

const local = (url: string) =>
  Tracing.layer(design, { environment: "Local", endpoint: url, format: "json" }).pipe(
    Layer.provide(NodeHttpClient.layerUndici)
  )

const silent = (texts: ReadonlyArray<string>, values: ReadonlyArray<string>) => {
  const all = texts.join("\n")
  assert.isAbove(all.length, 1000)
  for (const value of values) assert.notInclude(all, value)
}

describe("no secret is in what a collector gets", () => {
  it.live("of the flagship", () =>
    Effect.gen(function* () {
      const collector = yield* collect
      yield* run(MemoryBroker.layer, local(collector.url))
      silent(collector.bodies, [clientSecret, accessToken, Buffer.from(`shop:${clientSecret}`).toString("base64")])
    })
  )

  it.live("of calls, servers, handlers and whatever programs say of themselves", () =>
    Effect.gen(function* () {
      const collector = yield* collect
      const Placed = EventType.make("com.acme.placed", { source: "https://acme.com", data: Schema.String })
      const Orders = Channel.make("orders", [Placed], { consumers: ["last"] })
      const failed = yield* Deferred.make<void>()
      class Broken extends Error {
        readonly errorAction = ErrorAction.fail
      }
      const program = Effect.gen(function* () {
        const url = yield* listen(
          Effect.succeed(HttpServerResponse.jsonUnsafe({ cardholder: secrets.name, code: "NO" }, { status: 400 }))
        )
        const { host } = new URL(url)
        const Last = Consumer.make("last", Orders, {
          handlers: {
            "com.acme.placed": () =>
              Effect.andThen(
                Deferred.succeed(failed, undefined),
                Effect.fail(
                  new Broken(`GET http://${secrets.user}:${secrets.password}@x/y?key=${secrets.thrown} failed`)
                )
              )
          }
        })
        const client = yield* HttpPolicy.make("payments-of-the-test", {
          baseUrl: `http://${secrets.user}:${secrets.password}@${host}`,
          errors: StatusTable.standard,
          authentication: Authentication.apiKey({ header: "x-shop", key: Redacted.make(secrets.apiKey) }),
          personalData: ["cardholder"]
        })
        const asked = yield* Effect.exit(
          client.get(`/v1/a?token=${secrets.query}`, { urlParams: { key: secrets.query } })
        )
        assert.isTrue(Exit.isFailure(asked))
        const plain = yield* HttpClient.HttpClient
        yield* plain.execute(
          HttpClientRequest.get(`http://${host}/v1/b?token=${secrets.query}`, { headers: { "x-shop": secrets.apiKey } })
        )
        yield* Effect.void.pipe(
          Effect.withSpan("own", {
            attributes: {
              cardholder: secrets.name,
              "charge.cardholder": secrets.name,
              body: { amount: 1, inner: [{ cardHolder: secrets.name }] },
              json: `{"amount":1,"cardholder":"${secrets.name}"}`,
              form: `amount=1&cardholder=${secrets.name}&x=1`,
              authorization: `Bearer ${secrets.bearer}`,
              target: `POST /v1/c?key=${secrets.query}`,
              location: new URL(
                `https://${secrets.user}:${secrets.password}@shop/v1/d?x=${secrets.query}#${secrets.query}`
              ),
              amqp: `amqp://${secrets.user}:${secrets.password}@queue:5672/vhost`,
              redacted: Redacted.make(secrets.hidden),
              kept: "a?b is kept, and so is 10:30"
            }
          })
        )
        yield* Effect.exit(
          Effect.withSpan(
            Effect.die(new Error(`no answer of /v1/e?key=${secrets.thrown}, Bearer ${secrets.bearer}`)),
            "dies"
          )
        )
        yield* Effect.withSpan(
          Effect.flatMap(Effect.currentSpan, (span) =>
            Effect.sync(() =>
              span.event("said", 1n, {
                cardholder: secrets.name,
                url: `https://u:${secrets.password}@x/?${secrets.query}`
              })
            )
          ),
          "tells"
        )
        yield* Effect.andThen(Publisher.publish(Orders, Placed, secrets.name), Deferred.await(failed)).pipe(
          Effect.provide(Last.layer.pipe(Layer.provideMerge(MemoryBroker.layer)))
        )
      })
      yield* program.pipe(Effect.provide(Layer.merge(NodeHttpClient.layerUndici, local(collector.url))), Effect.scoped)
      const spans = collector.spans()
      silent(collector.bodies, Object.values(secrets))
      const own = record(named(spans, "own")[0]!.attributes)
      assert.deepInclude(own, {
        cardholder: "<redacted>",
        json: '{"amount":1,"cardholder":<redacted>}',
        form: "amount=1&cardholder=<redacted>&x=1",
        authorization: "Bearer <redacted>",
        target: "POST /v1/c",
        location: "https://shop/v1/d",
        amqp: "amqp://queue:5672/vhost",
        kept: "a?b is kept, and so is 10:30"
      })
      const [died] = named(spans, "dies")
      assert.strictEqual(died!.status.message, "no answer of /v1/e Bearer <redacted>")
      const [handler] = named(spans, "process orders")
      assert.strictEqual(handler!.status.message, "GET http://x/y failed")
      assert.strictEqual(record(handler!.events[0]!.attributes)["exception.message"], "GET http://x/y failed")
      const servers = spans.filter(({ kind }) => kind === 2)
      assert.lengthOf(servers, 2)
      for (const server of servers) assert.notProperty(record(server.attributes), "url.query")
      assert.match(String(record(servers[0]!.attributes)["url.full"]), /\/v1\/a$/)
      const errors = spans.filter(({ status }) => status.code === 2)
      assert.isAtLeast(errors.length, 4)
    })
  )
})
