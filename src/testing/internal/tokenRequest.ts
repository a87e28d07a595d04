import * as Option from "effect/Option"
import { Buffer } from "node:buffer"
import type { RecordedRequest } from "../RecordedRequest.ts"
import { answer, type Reply } from "./reply.ts"

const error = (status: number, error: string, description: string): Reply =>
  answer(
    status,
    JSON.stringify({ error, error_description: description }),
    { "cache-control": "no-store", ...(status === 401 ? { "www-authenticate": `Basic realm="token"` } : {}) },
    "application/json"
  )

// RFC 6749 2.3.1: id and secret are form-encoded before they are joined and encoded as Basic
const decodeForm = Option.liftThrowable((value: string) => decodeURIComponent(value.replaceAll("+", " ")))

const credentialsOf = (header: string | undefined): Option.Option<readonly [id: string, secret: string]> => {
  const encoded = /^Basic +([A-Za-z0-9+/]+=*)$/i.exec(header ?? "")?.[1]
  if (encoded === undefined) {
    return Option.none()
  }
  const decoded = Buffer.from(encoded, "base64").toString("utf8")
  const colon = decoded.indexOf(":")
  return colon < 0
    ? Option.none()
    : Option.all([decodeForm(decoded.slice(0, colon)), decodeForm(decoded.slice(colon + 1))])
}

/** Why a token request is refused (RFC 6749 5.2), or undefined where it is right. */
export const refusal = (
  request: RecordedRequest,
  clients: Readonly<Record<string, string | ReadonlyArray<string>>>
): Reply | undefined => {
  const contentType = request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase()
  if (contentType !== "application/x-www-form-urlencoded") {
    return error(400, "invalid_request", `the body must be form-encoded, but its type is ${contentType ?? "missing"}`)
  }
  const form = new URLSearchParams(request.body)
  const repeated = Array.from(form.keys()).find((name) => form.getAll(name).length > 1)
  if (repeated !== undefined) {
    return error(400, "invalid_request", `the parameter ${repeated} is repeated`)
  }
  const credentials = credentialsOf(request.headers["authorization"])
  if (Option.isNone(credentials)) {
    return error(401, "invalid_client", "the client must authenticate with HTTP Basic")
  }
  const [id, secret] = credentials.value
  const secrets = Object.hasOwn(clients, id) ? [clients[id]!].flat() : []
  if (!secrets.includes(secret)) {
    return error(401, "invalid_client", "the client or its secret is unknown")
  }
  const grant = form.get("grant_type")
  if (grant === null) {
    return error(400, "invalid_request", "the parameter grant_type is missing")
  }
  return grant === "client_credentials"
    ? undefined
    : error(400, "unsupported_grant_type", `the grant type ${grant} is not client_credentials`)
}
