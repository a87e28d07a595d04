/** A provider in this process, and the flagship's contract calling it. */
import { ConfigProvider, Context, Effect, Exit, Fiber, Layer } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import type { HttpContract, HttpPolicy } from "../../../src/http/index.ts"
import { part } from "../sections.ts"
import * as Variants from "../variants.ts"
import { now } from "./case.ts"

/** A request that has arrived. */
export interface Asked {
  readonly at: number
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: any
}

/** What the provider does with its request number `index`, from 0. */
export type Answer = (index: number, asked: Asked) => Response | Effect.Effect<Response>

export const ids = {
  orderId: "0d6f7a1e-3b52-4c8e-9d0e-5a1f6b7c8d9e",
  tenantId: "7c9e6679-7425-40de-944b-e07fc1f90ae7"
}
const payload = { ...ids, amount: 4200, currency: "EUR" as const }

export const json = (status: number, body: unknown, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } })
export const good = (): Response => json(200, { id: "ch_1042", ...payload, status: "captured" })
export const broken = (): Response => json(500, {})

const tokenUrl = "https://login.acme.com/oauth/token"
const settings = ConfigProvider.layer(
  ConfigProvider.fromUnknown({
    PAYMENTS_URL: "https://payments.acme.com",
    TOKEN_URL: tokenUrl,
    CLIENT_ID: "shop",
    CLIENT_SECRET: "secret"
  })
)

export const tokenLifetime = 3600

const layerOf = (contract: HttpContract.Any) =>
  (contract as unknown as { readonly layer: Layer.Layer<any, unknown, HttpClient.HttpClient> }).layer

/** The contract of the flagship with some of its policies replaced: what is printed of it, and its client. */
export const connect = Effect.fnUntraced(function* (
  over: { readonly [K in keyof HttpPolicy.Any]?: HttpPolicy.Any[K] | undefined },
  answer: Answer
) {
  const asked: Array<Asked> = []
  const tokens: Array<Asked> = []
  const transport = HttpClient.make((request, url) =>
    Effect.gen(function* () {
      const text = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
      const seen: Asked = {
        at: yield* now,
        method: request.method,
        url: url.toString(),
        headers: request.headers,
        body: text.startsWith("{") ? JSON.parse(text) : text
      }
      if (seen.url.startsWith(tokenUrl)) {
        tokens.push(seen)
        const token = { access_token: `token-${tokens.length}`, token_type: "Bearer", expires_in: tokenLifetime }
        return HttpClientResponse.fromWeb(request, json(200, token))
      }
      asked.push(seen)
      const answered = answer(asked.length - 1, seen)
      const response = Effect.isEffect(answered) ? yield* answered : answered
      return HttpClientResponse.fromWeb(request, response)
    })
  )
  const contract = Variants.contractWith(over)
  const context = yield* Layer.build(Layer.fresh(layerOf(contract))).pipe(
    Effect.provideService(HttpClient.HttpClient, transport),
    Effect.provide(settings)
  )
  const client: any = Context.get(context, contract as any)
  const text = Variants.textOf(Variants.withContract(contract, { baseUrl: undefined as never }))
  return {
    contract,
    context,
    asked,
    tokens,
    text,
    printed: (title: string) => part(text, `Integration: payments${title === "" ? "" : ` > ${title}`}`),
    create: client.charges.create({ payload }) as Effect.Effect<unknown, any>
  }
})

/** A call that goes on beside the test, and what has become of it. */
export const begin = Effect.fnUntraced(function* (call: Effect.Effect<unknown, any>) {
  const ended: { tag: string | undefined; error: any; at: number } = { tag: undefined, error: undefined, at: -1 }
  const fiber = yield* Effect.forkScoped(
    Effect.onExit(call, (exit) =>
      Effect.gen(function* () {
        ended.at = yield* now
        const [reason] = Exit.isFailure(exit) ? exit.cause.reasons : []
        ended.error = reason?._tag === "Fail" ? reason.error : reason
        ended.tag = Exit.isSuccess(exit) ? "Success" : (ended.error?._tag ?? "defect")
      })
    )
  )
  return Object.assign(ended, { interrupt: Fiber.interrupt(fiber) })
})
