import * as Duration from "effect/Duration"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpPolicy from "../../../http/HttpPolicy.ts"
import * as StatusTable from "../../../http/StatusTable.ts"
import type * as Integration from "../../../Integration.ts"
import type * as ErrorAction from "../../../policy/ErrorAction.ts"
import * as Timeouts from "../../../policy/Timeouts.ts"

/** A contract of the design with its numbers in milliseconds, `Infinity` where there is no limit. */
export interface ContractFacts {
  readonly key: string
  readonly given: Integration.Contract
  readonly options: Integration.Contract["contract"]["contract"]
  readonly timeouts: { readonly [K in keyof Required<Timeouts.Timeouts>]: number }
  readonly isIdempotent: boolean
  /** Whether a 401 leads to another attempt. */
  readonly refreshes: boolean
  /** The heading of a part of its section of the document. */
  readonly section: (title: string) => string
}

export const contractsOf = (design: Integration.Integration): ReadonlyArray<ContractFacts> =>
  design.contracts.map((given, at) => {
    const { contract: options, key } = given.contract
    const { authentication, errors, idempotent = false, timeouts = HttpPolicy.defaultTimeouts } = options
    return {
      key,
      given,
      options,
      timeouts: Timeouts.toMillis(timeouts),
      isIdempotent: idempotent !== false,
      refreshes: StatusTable.rowOf(errors, 401).action.kind === "refresh" && authentication?.refreshable === true,
      section: (title) => `3.${at + 1} ${title}`
    }
  })

export const rowsOf = (
  contract: ContractFacts
): ReadonlyArray<{ readonly key: string; readonly code: string; readonly action: ErrorAction.ErrorAction }> =>
  Object.entries(contract.options.errors.rows as Readonly<Record<string, StatusTable.Row<unknown>>>).map(
    ([key, { action, code }]) => ({ key, code, action })
  )

/** The endpoints as a reader knows them: `POST /v1/charges`. */
export const endpointsOf = (
  contract: ContractFacts
): ReadonlyArray<{ readonly method: string; readonly path: string }> => {
  const found: Array<{ readonly method: string; readonly path: string }> = []
  HttpApi.reflect(contract.options.api as unknown as HttpApi.Top, {
    onGroup: () => {},
    onEndpoint: ({ endpoint }) => {
      found.push({ method: endpoint.method, path: endpoint.path })
    }
  })
  return found
}

/** Whether a consumer or saga may call a contract. */
export const calls = (name: string, contract: ContractFacts): boolean => contract.given.callers?.includes(name) ?? true

export const toMillis = (given: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(given))

/** Milliseconds, where something is given. */
export const millisOf = (given: Duration.Input | undefined): number | undefined =>
  given === undefined ? undefined : toMillis(given)

/** What is said of a channel beside its code. */
export const topicOf = (design: Integration.Integration, channel: string): Integration.Topic | undefined =>
  design.channels.find((topic) => topic.channel.name === channel)

/** The soonest that somebody looks after an alert of a condition, in milliseconds. */
export const investigatedWithin = (
  design: Integration.Integration,
  condition: Integration.Condition
): number | undefined => {
  const limits = design.alerts.flatMap((route) =>
    route.condition === condition && route.investigateWithin !== undefined ? [toMillis(route.investigateWithin)] : []
  )
  return limits.length === 0 ? undefined : Math.min(...limits)
}
