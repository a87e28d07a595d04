import type * as Headers from "effect/http/Headers"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** Problem details (RFC 9457) as a response. */
export const problem = (
  status: number,
  details: { readonly type: string; readonly title: string; readonly detail: string; readonly code?: string },
  headers?: Headers.Input
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(JSON.stringify({ ...details, status }), {
    status,
    contentType: "application/problem+json",
    ...(headers === undefined ? undefined : { headers })
  })
