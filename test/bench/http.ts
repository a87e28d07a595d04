/** Requests per second through a whole contract against a loopback server, against bare clients and peers. */
import { NodeHttpClient } from "@effect/platform-node"
import { create as createAxios } from "axios"
import * as Cockatiel from "cockatiel"
import { Effect, Schema } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { HttpApi, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { got } from "got"
import { once } from "node:events"
import * as Http from "node:http"
import { Worker } from "node:worker_threads"
import * as HttpContract from "../../src/http/HttpContract.ts"
import * as HttpPolicy from "../../src/http/HttpPolicy.ts"
import * as StatusTable from "../../src/http/StatusTable.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Measure from "./measure.ts"

const concurrency = 32
const requests = 2000

const Charge = Schema.Struct({ id: Schema.String, amount: Schema.Int })
const Api = HttpApi.make("bench").add(
  HttpApiGroup.make("charges").add(
    HttpApiEndpoint.get("get", "/v1/charges/:id", { params: { id: Schema.String }, success: Charge })
  )
)
const policies = {
  errors: StatusTable.standard,
  retry: RetryPolicy.make({ delays: ["100 millis", "300 millis"], jitter: "full" }),
  breaker: { failurePercent: 50, window: "10 seconds", openFor: "30 seconds" },
  rateLimit: { perMinute: 900_000_000, burst: 100_000_000 },
  timeouts: { connect: "1 second", read: "1500 millis", attempt: "2 seconds", total: "10 seconds" }
} as const

/** A server on a thread of its own, so that it does not take the clients' time. */
const server = `
const { parentPort } = require("node:worker_threads")
const body = JSON.stringify({ id: "c1", amount: 5 })
const server = require("node:http").createServer((request, response) => {
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
  response.end(body)
})
server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port))
`

export const run = async (): Promise<ReadonlyArray<Measure.Row>> => {
  const worker = new Worker(server, { eval: true })
  const [port] = (await once(worker, "message")) as [number]
  const baseUrl = `http://127.0.0.1:${port}`
  try {
    return await Effect.runPromise(compare(baseUrl).pipe(Effect.provide(NodeHttpClient.layerUndici), Effect.scoped))
  } finally {
    await worker.terminate()
  }
}

const compare = Effect.fnUntraced(function* (baseUrl: string) {
  class Bench extends HttpContract.Service<Bench>()("bench http", { api: Api, baseUrl, ...policies }) {}
  const context = yield* Effect.context<HttpClient.HttpClient>()
  const contract = yield* Effect.provide(Effect.service(Bench), Bench.layer)
  const plain = yield* HttpPolicy.make("bench plain", { baseUrl, ...policies })
  const bare = yield* HttpClient.HttpClient
  const api = yield* HttpApiClient.make(Api, {
    baseUrl,
    transformClient: HttpClient.mapRequest((request) =>
      HttpClientRequest.setHeaders(request, { accept: "application/json", "x-request-id": crypto.randomUUID() })
    )
  })
  const decode = HttpClientResponse.schemaJson(Schema.Struct({ body: Charge }))
  const agent = { http: new Http.Agent({ keepAlive: true, maxSockets: concurrency }) }
  const gotClient = got.extend({ agent, retry: { limit: 0 } })
  const axiosClient = createAxios({ httpAgent: agent.http })
  const cockatiel = Cockatiel.wrap(
    Cockatiel.retry(Cockatiel.handleAll, { maxAttempts: 2, backoff: new Cockatiel.ExponentialBackoff() }),
    Cockatiel.circuitBreaker(Cockatiel.handleAll, {
      halfOpenAfter: 30_000,
      breaker: new Cockatiel.SamplingBreaker({ threshold: 0.5, duration: 10_000 })
    }),
    Cockatiel.timeout(2000, Cockatiel.TimeoutStrategy.Cooperative)
  )
  const url = `${baseUrl}/v1/charges/c1`
  const effects = (call: Effect.Effect<unknown, unknown, HttpClient.HttpClient>) => () =>
    Effect.runPromiseWith(context)(
      Effect.forEach(Array.from({ length: requests }), () => call, { concurrency, discard: true })
    )
  const promises = (call: () => Promise<unknown>) => async () => {
    let left = requests
    const lane = async () => {
      while (left-- > 0) await call()
    }
    await Promise.all(Array.from({ length: concurrency }, lane))
  }
  const times = yield* Effect.promise(() =>
    Measure.interleaved(
      {
        // The same request on the wire: what a contract sends is part of what it is for, not of what it costs.
        bare: effects(
          Effect.suspend(() => {
            const headers = { accept: "application/json", "x-request-id": crypto.randomUUID() }
            return Effect.flatMap(bare.get(url, { headers }), decode)
          })
        ),
        api: effects(api.charges.get({ params: { id: "c1" } })),
        contract: effects(contract.charges.get({ params: { id: "c1" } })),
        plain: effects(Effect.flatMap(plain.get("/v1/charges/c1"), decode)),
        got: promises(() => cockatiel.execute(({ signal }) => gotClient(url, { signal }).json())),
        axios: promises(() => cockatiel.execute(({ signal }) => axiosClient.get(url, { signal })))
      },
      { rounds: 9, warmup: 3, collect: true }
    )
  )
  agent.http.destroy()
  const perSecond = (name: keyof typeof times) => (requests / Measure.median(times[name])) * 1e9
  const row = (ours: "contract" | "plain", peer: "bare" | "api" | "got" | "axios", name: string, target: number) => ({
    ...Measure.more(name, "requests/s", perSecond(ours), perSecond(peer), target),
    ratio: Measure.paired(times[peer], times[ours])
  })
  return [
    row("plain", "bare", "client with the whole policy, against Effect's bare undici HttpClient", 0.9),
    row("contract", "api", "contract, against Effect's HttpApiClient on the same bare client", 0.9),
    row("contract", "bare", "contract, against Effect's bare undici HttpClient", 0.9),
    row("contract", "got", "contract, against got with cockatiel", 1.2),
    row("contract", "axios", "contract, against axios with cockatiel", 1.2)
  ]
})
