import type * as Integration from "../../Integration.ts"
import * as Policy from "../../policy/Policy.ts"
import * as Blocks from "./blocks.ts"
import { directionOf } from "./graph.ts"
import * as Limits from "./limits.ts"
import * as Errors from "./errors.ts"
import { requestOf } from "./request.ts"
import { credentialOf, headerName, keyHeadersOf } from "./sent.ts"

const { code, field, given, givenCode, heading, table, time } = Blocks

/** One contract of section 3. */
export const contract = (
  design: Integration.Integration,
  each: Integration.Contract,
  number: string
): ReadonlyArray<Blocks.Block> => {
  const policy = each.contract.contract
  const { from, to } = directionOf(design, each.direction)
  const callers = each.callers ?? [...design.consumers, ...design.sagas].map(({ name }) => name)
  return [
    heading(3, `${number} Integration: ${each.contract.key}`),
    Blocks.lines(
      field("Protocol", "REST/HTTPS"),
      field("Direction", `${given(from)} → ${given(to)}`),
      field("Idempotency", idempotency(each)),
      field("Called by", Blocks.codes(callers, "no consumer or saga of this design")),
      field("The caller waits for", Blocks.givenTime(each.callerBudget)),
      field("Personal data, redacted in what errors carry", Blocks.codes(policy.personalData ?? [])),
      field("Circuits", policy.circuitKey === undefined ? "one" : "one for each key of a request"),
      field("Order of composition", [code(Policy.order)])
    ),
    ...authentication(each),
    ...requestOf(each),
    ...Errors.errors(policy),
    ...Limits.retry(policy),
    ...Limits.breaker(policy),
    ...Limits.rateLimit(policy),
    ...Limits.timeouts(policy)
  ]
}

const idempotency = ({ contract, keyRetention }: Integration.Contract): Blocks.Line => {
  const headers = keyHeadersOf(contract.contract)
  if (headers.length === 0) {
    return "NO — a POST or PATCH is made again only where it provably was not processed"
  }
  return Blocks.joined(
    [
      "YES — use ",
      Blocks.joined(
        headers.map((name) => [code(name)]),
        " and "
      ),
      ` header${headers.length === 1 ? "" : "s"}: one key per logical operation, the same on every attempt; the provider remembers it for: ${Blocks.givenTime(keyRetention)}`
    ],
    ""
  )
}

const types = {
  bearer: "Bearer token",
  apiKey: "API key",
  clientCredentials: "OAuth2 client credentials (RFC 6749, 4.4): Bearer token"
} as const

const authentication = ({ contract, rotation, tokenEndpoint }: Integration.Contract): ReadonlyArray<Blocks.Block> => {
  const { authentication } = contract.contract
  const title = heading(4, "Authentication")
  const columns = ["Method", "Details"]
  if (authentication === undefined) return [title, table(columns, [["Type", "none: no credentials are sent"]])]
  const oauth2 = authentication.kind === "clientCredentials"
  const header = headerName(authentication.header)
  const rotated =
    rotation === undefined ? Blocks.notGiven : `Every ${time(rotation.every)} — coordinated via ${rotation.process}`
  return [
    title,
    table(columns, [
      ["Type", types[authentication.kind]],
      ["Header", [code(`${header}: ${credentialOf(contract.contract)}`)]],
      ["Key rotation", rotated],
      ["Token endpoint", oauth2 ? givenCode(tokenEndpoint) : "none: not OAuth2"],
      ["After a 401", authentication.refreshable ? "other credentials are tried once" : "the call fails"],
      ...Object.entries(authentication.details).map(([name, value]) => [
        `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`,
        value
      ])
    ])
  ]
}
