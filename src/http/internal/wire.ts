import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as Policy from "../../policy/Policy.ts"
import type * as StatusTable from "../StatusTable.ts"
import type { Authenticator } from "./credential.ts"

/** What all calls of one contract share. */
export interface Wire {
  readonly name: string
  readonly httpClient: HttpClient.HttpClient
  /** What the URLs of requests are relative to. */
  readonly baseUrl: string
  readonly policy: Policy.Policy<any, any>
  readonly table: StatusTable.StatusTable<unknown>
  readonly authenticator: Authenticator<unknown> | undefined
  readonly idempotent: boolean
  readonly keyHeaders: ReadonlyArray<string>
  readonly sourceSystem: string | undefined
  readonly personalData: ReadonlySet<string>
  readonly circuitKey: ((request: HttpClientRequest.HttpClientRequest) => string) | undefined
  /** The limit of `connect`, to name it where the client noticed first. */
  readonly connectMillis: number
}

/** What is known about one call when something goes wrong. */
export interface Site {
  readonly integration: string
  readonly method: string
  readonly path: string
  readonly requestId: string
}

export const siteOf = (integration: string, request: HttpClientRequest.HttpClientRequest, requestId: string): Site => ({
  integration,
  method: request.method,
  path: pathOf(request),
  requestId
})

/** The path of a request, without the host, which may come with a password, and without the query. */
export const pathOf = (request: HttpClientRequest.HttpClientRequest): string => {
  const end = request.url.search(/[?#]/)
  const url = end < 0 ? request.url : request.url.slice(0, end)
  return url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, "") || "/"
}
