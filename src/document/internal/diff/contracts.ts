import type { Snapshot } from "../../Snapshot.ts"
import type { Contract } from "../snapshot/contract.ts"
import type { Endpoint } from "../snapshot/schemas.ts"
import { type Change, differences, type Fields, isFields, type Json, keysOf, whereTrue } from "./change.ts"
import { callChanges, worstCase } from "./ladders.ts"
import { payloadChanges } from "./payloads.ts"
import { appearance, byRules, paired, type Rule, without } from "./rules.ts"

type Kept = typeof Contract.Type
type At = { readonly subject: string; readonly section: (title: string) => string }

/** What has changed in the contracts. */
export const contractChanges = (before: Snapshot, after: Snapshot): ReadonlyArray<Change> =>
  paired(before.contracts, after.contracts).flatMap(({ after: is, before: was, name }): ReadonlyArray<Change> => {
    const at: At = { subject: name, section: (title) => `3.${(is ?? was)?.position ?? 0} ${title}`.trim() }
    if (was === undefined) {
      return [
        appearance("contract", name, "added", {
          kind: "behavioural",
          section: at.section(""),
          consequence: "compatible"
        })
      ]
    }
    if (is === undefined) {
      const consequence = "breaks who calls it"
      return [appearance("contract", name, "removed", { kind: "breaking", section: at.section(""), consequence })]
    }
    return [
      ...callChanges(was, is, at),
      ...endpoints(was, is, at),
      ...byRules(rulesFor(was, is, after), differences(generic(was), generic(is)), at)
    ]
  })

const generic = (contract: Kept): Fields => without(contract, ["retry", "endpoints"])

const rulesFor = (before: Kept, after: Kept, { overview }: Snapshot): ReadonlyArray<Rule> => [
  { at: "position", kind: "documentation", section: "", what: "place among the contracts" },
  { at: "direction.**", kind: "documentation", section: "" },
  { at: "callers", kind: "documentation", section: "" },
  { at: "rotation.**", kind: "documentation", section: "Authentication" },
  { at: "tokenEndpoint", kind: "documentation", section: "Authentication" },
  {
    at: "callerBudgetMillis",
    kind: "documentation",
    section: "Timeout Configuration",
    consequences: () => worstCase(before, after)
  },
  { at: "keyRetentionMillis", kind: "documentation", section: "Retry Policy", what: "provider's key retention" },
  { at: "baseUrl", kind: "behavioural", section: "Request Contract", what: "base URL" },
  {
    at: "idempotencyHeaders",
    kind: () => (lostHeader(before, after) ? "breaking" : "behavioural"),
    section: "Request Contract",
    what: "idempotency headers",
    consequences: () =>
      after.idempotencyHeaders.length === 0
        ? ["timeouts and 5xx of unsafe requests are not retried any more, and a redelivered event may be done twice"]
        : [
            ...whereTrue(
              before.idempotencyHeaders.length === 0,
              "unsafe requests are retried: the provider must know the keys"
            ),
            ...whereTrue(lostHeader(before, after), "a provider that looks for the old header finds no key")
          ]
  },
  {
    at: "authentication.details.**",
    kind: "behavioural",
    section: "Authentication"
  },
  {
    at: "authentication.refreshable",
    kind: "behavioural",
    section: "Authentication",
    consequences: () => (after.authentication?.refreshable ? [] : ["a 401 is final"])
  },
  {
    at: "authentication.**",
    kind: "breaking",
    section: "Authentication",
    consequences: () => ["the provider must accept the new credentials first"]
  },
  {
    at: "breaker.openForMillis",
    kind: "behavioural",
    section: "Circuit Breaker Configuration",
    consequences: () => {
      const rto = overview.rtoMillis
      const over = typeof rto === "number" && (after.breaker?.openForMillis ?? 0) > rto
      return whereTrue(over, "longer than the acceptable downtime (RTO)")
    }
  },
  { at: "breaker.**", kind: "behavioural", section: "Circuit Breaker Configuration" },
  { at: "circuitPerKey", kind: "behavioural", section: "Circuit Breaker Configuration", what: "one circuit per key" },
  { at: "rateLimit.**", kind: "behavioural", section: "Rate Limiting" },
  { at: "bulkhead.**", kind: "behavioural", section: "Rate Limiting" },
  {
    at: "timeouts.*",
    kind: "behavioural",
    section: "Timeout Configuration",
    consequences: () => worstCase(before, after)
  },
  { at: "sourceSystem", kind: "behavioural", section: "Request Contract" },
  { at: "personalData", kind: "behavioural", section: "Error Handling" },
  {
    at: "rows.*.error",
    kind: "breaking",
    section: "Error Handling",
    consequences: () => ["breaks callers that handle the error by its tag"]
  },
  {
    at: "rows.*.action.kind",
    kind: "behavioural",
    section: "Error Handling",
    consequences: ({ after: kind }) =>
      whereTrue(kind === "retry" && (after.retry?.delays.length ?? 0) === 0, "no retry policy")
  },
  {
    at: "rows.*.action.guidance",
    kind: "documentation",
    section: "Error Handling"
  },
  {
    at: "rows.*",
    kind: ({ after: row, before: was, path }) => {
      if (path.length > 2) return "behavioural"
      const tag = isFields(row) ? row.error : isFields(was) ? was.error : undefined
      const table = Object.values((row === undefined ? after : before).rows)
      return table.some(({ error }) => error === tag) ? "behavioural" : "breaking"
    },
    section: "Error Handling",
    consequences: ({ after: row }) =>
      row === undefined ? ["the row of its class decides"] : ["callers get an error of its own"]
  },
  { at: "rows.**", kind: "behavioural", section: "Error Handling" },
  { at: "**", kind: "behavioural", section: "" }
]

const lostHeader = (before: Kept, after: Kept): boolean =>
  after.idempotencyHeaders.length > 0 &&
  before.idempotencyHeaders.some((header) => !after.idempotencyHeaders.includes(header))

const endpoints = (before: Kept, after: Kept, at: At): ReadonlyArray<Change> =>
  paired(before.endpoints, after.endpoints).flatMap(({ after: is, before: was, name }): ReadonlyArray<Change> => {
    const section = at.section("Request Contract")
    const named = is ?? was
    const endpoint = `${named?.method} ${named?.path}`
    const words = (what: string, kind: Change["kind"], consequence: string): Change => ({
      kind,
      section,
      subject: at.subject,
      what: `${endpoint}: ${what}`,
      consequences: [consequence]
    })
    if (was === undefined) return [words("endpoint added", "behavioural", "compatible")]
    if (is === undefined) return [words("endpoint removed", "breaking", "breaks who calls it")]
    return [
      ...byRules(
        [
          {
            at: "**",
            kind: "breaking",
            section: "Request Contract",
            what: `endpoint ${name}`,
            consequences: () => ["the provider must serve it first"]
          }
        ],
        differences(without(was, parts), without(is, parts)),
        at
      ),
      ...parts.flatMap((part) =>
        bodies(part, was, is, (of) => ({ section, subject: at.subject, path: `${endpoint} ${of}` }))
      )
    ]
  })

const parts = ["request", "responses", "errors"] as const

const bodies = (
  part: (typeof parts)[number],
  before: typeof Endpoint.Type,
  after: typeof Endpoint.Type,
  at: (of: string) => { readonly section: string; readonly subject: string; readonly path: string }
): ReadonlyArray<Change> => {
  const [was, is]: readonly [Fields, Fields] = [before[part], after[part]]
  return keysOf(was, is).flatMap((of): ReadonlyArray<Change> => {
    const place = at(part === "request" ? of : `response ${of}`)
    if (was[of] !== undefined && is[of] !== undefined) {
      return payloadChanges(part === "request" ? "request" : "response", was[of], is[of], place)
    }
    const added = was[of] === undefined
    const breaks = part === "request" ? added && requires(is[of]) : part === "errors" || !added
    return [
      {
        kind: breaks ? "breaking" : "behavioural",
        section: place.section,
        subject: place.subject,
        what: `${place.path} ${added ? "added" : "removed"}`,
        consequences: [breaks ? "breaks callers" : "compatible"]
      }
    ]
  })
}

const requires = (schema: Json | undefined): boolean =>
  !isFields(schema) || schema.type !== "object" || (Array.isArray(schema.required) && schema.required.length > 0)
