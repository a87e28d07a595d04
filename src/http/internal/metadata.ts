import type * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Predicate from "effect/Predicate"
import { jsonType } from "./mismatch.ts"

/** Adds `metadata` to a JSON object (section 3.1, Request Body); what is none is sent as it is. */
export const withMetadata = (
  request: HttpClientRequest.HttpClientRequest,
  sourceSystem: string,
  clock: Clock.Clock
): HttpClientRequest.HttpClientRequest => {
  const { body } = request
  if (body._tag !== "Uint8Array" || !jsonType.test(body.contentType)) return request
  const text = new TextDecoder().decode(body.body)
  const payload = objectOf(text)
  if (payload === undefined) return request
  const timestamp = DateTime.formatIso(DateTime.makeUnsafe(clock.currentTimeMillisUnsafe()))
  const own = Predicate.isObject(payload.metadata) && !Array.isArray(payload.metadata) ? payload.metadata : undefined
  const metadata = { ...own, sourceSystem, timestamp }
  // Written into the text: to write the whole again could change its numbers.
  const filled =
    "metadata" in payload
      ? JSON.stringify({ ...payload, metadata })
      : text.replace(/\}\s*$/, `${Object.keys(payload).length === 0 ? "" : ","}"metadata":${JSON.stringify(metadata)}}`)
  return HttpClientRequest.setBody(request, HttpBody.text(filled, body.contentType))
}

const objectOf = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return Predicate.isObject(value) && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
