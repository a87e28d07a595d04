import type * as Integration from "../../Integration.ts"
import * as Blocks from "./blocks.ts"

const { code, givenCode, heading, lines, list, strong, table } = Blocks

/** Section 6. */
export const testing = (design: Integration.Integration): ReadonlyArray<Blocks.Block> => [
  heading(2, "6. Integration Testing Strategy"),
  heading(3, "6.1 Contract Testing (Pact)"),
  list([
    "Consumer-driven contracts: Consumer writes tests defining expected provider behavior",
    "Provider verification: Provider CI runs consumer contracts on every build",
    Blocks.joined(["Pact Broker: ", givenCode(design.pactBroker)], "")
  ]),
  heading(3, "6.2 Integration Test Environments"),
  table(
    ["Environment", "Purpose", "Trigger"],
    design.environments.map(({ name, purpose, trigger }) => [name, purpose, trigger])
  ),
  ...(design.probes.length === 0
    ? []
    : [
        lines([
          `Synthetic probes: ${design.probes.map(({ every, name }) => `${name} every ${Blocks.time(every)}`).join(", ")}`
        ])
      ]),
  heading(3, "6.3 Test Scenarios"),
  lines([strong("Happy path:")]),
  list(scenarios(design.scenarios.happy)),
  lines([strong("Error scenarios:")]),
  list([...scenarios(design.scenarios.error), ...derived(design)])
]

const scenarios = (each: ReadonlyArray<Integration.Scenario>): ReadonlyArray<Blocks.Line> =>
  each.length === 0 ? [Blocks.notGiven] : each.map(({ expected, name }) => `${name} — ${expected}`)

/** What follows from what the contracts and consumers have. */
const derived = ({ consumers, contracts }: Integration.Integration): ReadonlyArray<Blocks.Line> => [
  ...contracts.flatMap(({ contract: { contract, key } }) => {
    const of = (what: string): Blocks.Line => [code(key), `: ${what}`]
    const { authentication, breaker, retry } = contract
    const retries = retry?.maxRetries ?? 0
    return [
      ...(breaker === undefined
        ? []
        : [
            of(`Provider returns 500 — circuit breaker opens after threshold (${breaker.failurePercent}% of the calls)`)
          ]),
      of(
        retries === 0
          ? "Provider times out — the call fails with a typed Timeout"
          : `Provider times out — retry policy kicks in (${retries} retries)`
      ),
      ...(authentication?.kind === "clientCredentials"
        ? [of("Auth token expired — token refresh flow works")]
        : authentication?.refreshable
          ? [of("Credentials refused — the next ones are used")]
          : []),
      of(
        retries === 0
          ? "Rate limit exceeded — 429 handled: the call fails, the next ones are held back"
          : "Rate limit exceeded — 429 handled, backoff applied"
      )
    ]
  }),
  ...consumers
    .filter(({ options }) => options.dedup !== undefined)
    .map((consumer): Blocks.Line => [
      code(consumer.name),
      ": Duplicate event consumed — idempotency key prevents double-processing"
    ])
]
