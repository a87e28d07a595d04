/**
 * The same policies around a plain HttpClient, where there is no HttpApi: every status of 300 and above is a typed error.
 */
import { NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { Console, Duration, Effect } from "effect"
import { HttpPolicy, StatusTable } from "effect-integration/http"
import { RetryPolicy } from "effect-integration/policy"
import { Reply, StubProvider } from "effect-integration/testing"

const program = Effect.gen(function* () {
  const stub = yield* StubProvider.make()
  const busy = Reply.status(429, { headers: { "retry-after": "1" } })
  yield* stub.on("GET /v1/items/lamp", Reply.status(500), busy, Reply.json(200, { sku: "lamp", left: 7 }))
  yield* stub.on("GET /v1/items/unicorn", Reply.json(404, { code: "NO_SUCH_ITEM", message: "never heard of it" }))

  const client = yield* HttpPolicy.make("stock", {
    baseUrl: stub.url,
    errors: StatusTable.standard,
    retry: RetryPolicy.make({ delays: ["50 millis", "100 millis"] }),
    timeouts: { attempt: "1 second", total: "5 seconds" }
  })

  // A 500 is tried again after the backoff, a 429 no earlier than the provider asked.
  const [took, response] = yield* Effect.timed(client.get("/v1/items/lamp"))
  yield* Console.log("lamps:", yield* response.json, took > Duration.seconds(1) ? "(waited as told)" : "")

  // A 404 is an answer: it is not retried, and what the provider said is in the error.
  yield* client
    .get("/v1/items/unicorn")
    .pipe(Effect.catchTag("NotFound", (error) => Console.log(`no unicorns: ${error.status} ${error.problem?.code}`)))
})

program.pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici), NodeRuntime.runMain)
