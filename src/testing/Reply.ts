/**
 * What a stub provider does with a request, as data: an answer, a slow one, a broken one, or none at all.
 *
 * **Details**
 *
 * Constructors such as `json`, `hang` or `reset` are whole replies. Combinators such as `delay`, `truncated` or
 * `requireToken` take a reply last and change it. `times` and `cycle` are steps of a script, for `StubProvider.on`.
 *
 * An answer gets a `content-length` unless its headers name one or a `transfer-encoding`. Headers are a record, or an
 * array of pairs where a name must appear twice.
 *
 * **Gotchas**
 *
 * Delays are slept on the `Clock` of the fiber that made the stub. Under `it.effect` that is the `TestClock`, so a
 * delayed reply waits for `TestClock.adjust`.
 *
 * **Example** (A provider that fails 20 times, then is slow, then is well)
 *
 * ```ts
 * import { Reply } from "effect-integration/testing"
 *
 * export const outage: Reply.Script = [
 *   Reply.times(20, Reply.status(500)),
 *   Reply.status(503, { headers: { "retry-after": "1" } }),
 *   Reply.delay("300 millis", Reply.json(201, { id: "c1" })),
 *   Reply.json(201, { id: "c2" })
 * ]
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import {
  type Answer,
  answer,
  atLeast,
  bodyOf,
  type Bytes,
  type Headers,
  noise,
  part,
  type Reply,
  toBytes
} from "./internal/reply.ts"
import type { RecordedRequest } from "./RecordedRequest.ts"

export { rateLimit, requireToken } from "./Guard.ts"
export type { Answer, Bytes, Headers, Reply } from "./internal/reply.ts"
export { cycle, times, type Script } from "./Script.ts"

/**
 * An answer with a JSON body.
 *
 * @category answers
 * @since 0.1.0
 */
export const json = (status: number, body: unknown, headers?: Headers): Answer =>
  answer(status, JSON.stringify(body) ?? "", headers, "application/json")

/**
 * An answer with this status, and with the headers and body that are given.
 *
 * @category answers
 * @since 0.1.0
 */
export const status = (
  status: number,
  options?: { readonly headers?: Headers | undefined; readonly body?: Bytes | undefined }
): Answer => answer(status, options?.body ?? "", options?.headers)

/**
 * An answer with a text body, such as the HTML page of a load balancer.
 *
 * @category answers
 * @since 0.1.0
 */
export const text = (status: number, body: string, contentType = "text/plain; charset=utf-8"): Answer =>
  answer(status, body, undefined, contentType)

/**
 * An answer without a body.
 *
 * @category answers
 * @since 0.1.0
 */
export const empty = (status: number, headers?: Headers): Answer => answer(status, "", headers)

/**
 * Valid headers that promise JSON, and a body of bytes that are neither JSON nor UTF-8; the same bytes every time.
 *
 * @category faults
 * @since 0.1.0
 */
export const garbageBody = (size: number, status = 200): Answer =>
  answer(status, noise(size), undefined, "application/json")

/**
 * Bytes where a response should be that are not HTTP, then the end of the connection.
 *
 * @category faults
 * @since 0.1.0
 */
export const garbage = (bytes: Bytes = noise(64)): Reply => raw(bytes)

/**
 * These bytes on the socket, and nothing else; then the connection is closed, left hanging or reset.
 *
 * @category faults
 * @since 0.1.0
 */
export const raw = (bytes: Bytes, options?: { readonly end?: "close" | "hang" | "reset" | undefined }): Reply => ({
  _tag: "Raw",
  bytes: toBytes(bytes),
  end: options?.end ?? "close"
})

/**
 * The request is read and never answered.
 *
 * @category faults
 * @since 0.1.0
 */
export const hang: Reply = { _tag: "Hang" }

/**
 * The connection is reset (TCP RST) before any byte of a response.
 *
 * @category faults
 * @since 0.1.0
 */
export const reset: Reply = { _tag: "Reset" }

/**
 * Waits before the first byte of the response.
 *
 * @category combinators
 * @since 0.1.0
 */
export const delay = (duration: Duration.Input, reply: Reply): Reply => ({
  _tag: "Delay",
  duration: Duration.fromInputUnsafe(duration),
  reply
})

/**
 * Sends the headers at once, and waits before the body.
 *
 * @category combinators
 * @since 0.1.0
 */
export const delayBody = (duration: Duration.Input, self: Answer): Answer => ({
  ...self,
  body: [{ after: Duration.fromInputUnsafe(duration), bytes: bodyOf(self) }]
})

/**
 * Sends the headers at once, and the body in chunks with a pause before each.
 *
 * **When to use**
 *
 * Use for a body that drips: every read succeeds soon, and the whole takes `chunks` times `every`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const slowBody = (
  options: { readonly chunks: number; readonly every: Duration.Input },
  self: Answer
): Answer => {
  const bytes = bodyOf(self)
  const count = Math.min(atLeast("The number of chunks", 1, options.chunks), Math.max(bytes.length, 1))
  const after = Duration.fromInputUnsafe(options.every)
  const cut = (i: number) => Math.floor((i * bytes.length) / count)
  return {
    ...self,
    body: Array.from({ length: count }, (_, i) => ({ after, bytes: bytes.subarray(cut(i), cut(i + 1)) }))
  }
}

/**
 * Sends the headers and a part of the body (half, if not said), and then nothing.
 *
 * @category combinators
 * @since 0.1.0
 */
export const hangInBody = (self: Answer, options?: { readonly sent?: number | undefined }): Answer =>
  part(self, options?.sent, "hang")

/**
 * Sends the headers with the length of the whole body, a part of it (half, if not said), and closes the connection.
 *
 * @category combinators
 * @since 0.1.0
 */
export const truncated = (self: Answer, options?: { readonly sent?: number | undefined }): Answer =>
  part(self, options?.sent, "truncate")

/**
 * Lets an effect choose the reply, for providers that have state.
 *
 * **Details**
 *
 * The effect also runs to its end where the client gives up meanwhile, as a real provider would. If it dies, the answer
 * is a 500 with the code `STUB_FAILED`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const dynamic = (respond: (request: RecordedRequest) => Effect.Effect<Reply>): Reply => ({
  _tag: "Dynamic",
  respond
})
