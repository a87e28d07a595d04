import * as Duration from "effect/Duration"
import type * as Schema from "effect/Schema"
import type * as Integration from "../../Integration.ts"
import { freeName, publicText, publicUrl } from "./naming.ts"

type JsonObject = Schema.JsonObject
type Requirement = Readonly<Record<string, ReadonlyArray<string>>>

/** The security schemes of a document, and how the requirement of each operation is changed. */
export interface Security {
  readonly schemes: Readonly<Record<string, JsonObject>>
  readonly of: (declared: ReadonlyArray<Requirement>) => ReadonlyArray<Requirement>
}

/**
 * What the contract's authentication makes of the security that the API declares. A scheme of the API that uses the same
 * header is this very authentication, so it takes its place; any other is asked for besides.
 */
export const securityOf = (
  { contract: { contract }, rotation, tokenEndpoint }: Integration.Contract,
  declared: Readonly<Record<string, JsonObject>>
): Security => {
  const { authentication } = contract
  if (authentication === undefined) return { schemes: declared, of: (given) => given }
  const { details, header, kind } = authentication
  const tokenUrl = publicUrl(tokenEndpoint)
  const scopes = kind === "clientCredentials" && details.scope !== undefined ? details.scope.split(" ") : []
  const notes = [
    ...(kind === "clientCredentials" ? ["OAuth2 client credentials (RFC 6749, 4.4)"] : []),
    ...(tokenEndpoint !== undefined && tokenUrl === undefined ? [`token endpoint: ${publicText(tokenEndpoint)}`] : []),
    ...Object.entries(details).map(([name, value]) => `${name}: ${value}`),
    ...(rotation === undefined
      ? []
      : [`changed every ${Duration.format(Duration.fromInputUnsafe(rotation.every))}: ${rotation.process}`])
  ]
  const scheme: JsonObject = {
    ...(kind === "apiKey"
      ? { type: "apiKey", in: "header", name: header }
      : kind === "clientCredentials" && tokenUrl !== undefined
        ? {
            type: "oauth2",
            flows: {
              clientCredentials: { tokenUrl, scopes: Object.fromEntries(scopes.map((scope) => [scope, ""])) }
            }
          }
        : // Without the address of the token endpoint the flow cannot be written down, but its token can.
          { type: "http", scheme: "bearer" }),
    ...(notes.length === 0 ? undefined : { description: notes.join("; ") })
  }
  const same = new Set(Object.keys(declared).filter((name) => headerOf(declared[name]!) === header))
  const others = Object.fromEntries(Object.entries(declared).filter(([name]) => !same.has(name)))
  const name = freeName(kind, others)
  const ours: Requirement = { [name]: scheme.type === "oauth2" ? scopes : [] }
  const of: Security["of"] = (given) => {
    const alternatives = given.length === 0 ? [{}] : given
    const stands = alternatives.some((each) => Object.keys(each).some((key) => same.has(key)))
    const changed = alternatives.map((each) => {
      const rest = Object.fromEntries(Object.entries(each).filter(([key]) => !same.has(key)))
      return stands && Object.keys(rest).length === Object.keys(each).length ? each : { ...rest, ...ours }
    })
    return [...new Map(changed.map((each) => [JSON.stringify(each), each])).values()]
  }
  return { schemes: { ...others, [name]: scheme }, of }
}

const headerOf = (scheme: JsonObject): string | undefined =>
  scheme.type === "http" || scheme.type === "oauth2"
    ? "authorization"
    : scheme.in === "header" && typeof scheme.name === "string"
      ? scheme.name.toLowerCase()
      : undefined
