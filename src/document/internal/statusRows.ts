import type * as HttpPolicy from "../../http/HttpPolicy.ts"
import type * as StatusTable from "../../http/StatusTable.ts"
import * as ErrorAction from "../../policy/ErrorAction.ts"

/** A row of the error table, for the statuses that share it. */
export interface StatusRow {
  readonly status: string
  readonly code: string
  readonly action: string
  readonly error: string
  readonly circuit: string
  readonly event: string
}

type Row = StatusTable.Row<unknown>

/** The rows of a contract's table in the order of their statuses, each with what is really done. */
export const statusRows = (contract: HttpPolicy.Any): ReadonlyArray<StatusRow> => {
  const rows = inOrder(contract.errors.rows as Readonly<Record<string, Row>>)
  const own = new Set(
    rows
      .map(([status]) => status)
      .filter((status) => !status.endsWith("xx"))
      .map((status) => status[0])
  )
  const found = new Map<string, { statuses: Array<string>; row: Row }>()
  for (const [status, row] of rows) {
    const { action, code, error, outcome, problemType, retryAfter } = row
    const isClass = status.endsWith("xx")
    const key = JSON.stringify([code, error.name, action, outcome, retryAfter, problemType, isClass ? status : ""])
    const name = isClass && own.has(status[0]) ? `other ${status}` : status
    const known = found.get(key)
    if (known === undefined) found.set(key, { statuses: [name], row })
    else known.statuses.push(name)
  }
  return Array.from(found.values(), ({ row, statuses }) => {
    const action = performed(contract, row.action)
    return {
      status: statuses.join("/"),
      code: row.code,
      action: consumerAction(contract, row),
      error: row.error.name,
      circuit: action.circuit,
      event: eventAction(action)
    }
  })
}

/** Rows in the order of their statuses; classes of statuses come after those that have a row of their own. */
export const inOrder = (rows: Readonly<Record<string, Row>>): ReadonlyArray<readonly [string, Row]> =>
  Object.entries(rows).toSorted(([a], [b]) => rankOf(a) - rankOf(b))

const rankOf = (status: string): number =>
  status.endsWith("xx")
    ? Number(status[0]) * 100 + 99.5
    : Number.parseInt(status, 10) + (status.includes(" ") ? 0.5 : 0)

const isIdempotent = ({ idempotent }: HttpPolicy.Any): boolean => idempotent !== undefined && idempotent !== false

/** A contract that is not idempotent does not skip: what is there already may be another's. */
const performed = (contract: HttpPolicy.Any, action: ErrorAction.ErrorAction): ErrorAction.ErrorAction =>
  action.kind === "skip" && !isIdempotent(contract)
    ? { ...action, kind: "fail", log: "error", guidance: "in conflict with another request" }
    : action

/** The action of a row as the contract performs it. */
export const consumerAction = (
  contract: HttpPolicy.Any,
  row: Pick<Row, "action" | "outcome" | "retryAfter">
): string => {
  const action = performed(contract, row.action)
  const { guidance, kind, log, notify } = action
  const said = guidance === ErrorAction.make(kind).guidance || guidance === kind ? [] : [guidance]
  const parts = [
    doing(contract, action, row.outcome === "unprocessed"),
    ...said,
    ...(row.retryAfter && kind !== "fail" ? ["Retry-After is honoured"] : []),
    ...(action.holds ? ["it holds back every call of the contract"] : []),
    `log ${log}`,
    ...(notify === "alert" ? ["alert engineering"] : notify === "escalate" ? ["escalate to the owner"] : [])
  ]
  return parts.join("; ")
}

const doing = (contract: HttpPolicy.Any, { kind }: ErrorAction.ErrorAction, unprocessed: boolean): string => {
  const retries = contract.retry?.maxRetries ?? 0
  const limited =
    isIdempotent(contract) || unprocessed ? "" : ", but never a POST or PATCH that may have been processed"
  const again = `up to ${retries} ${retries === 1 ? "retry" : "retries"}${limited}`
  switch (kind) {
    case "fail":
      return "Fail, do NOT retry"
    case "retry":
      return retries === 0 ? "Fail: the contract has no retries" : `Retry with backoff, ${again}`
    case "wait":
      return retries === 0
        ? "Fail: the contract has no retries"
        : `Wait as long as the provider says, then retry, ${again}`
    case "skip":
      return "Skip (idempotent): already done"
    case "refresh":
      return contract.authentication?.refreshable === true
        ? "Refresh the credentials, retry once"
        : "Fail: there are no other credentials"
  }
}

/** What becomes of an event whose handler ends with the error. */
export const eventAction = ({ kind, outage }: ErrorAction.ErrorAction): string => {
  if (kind === "skip") return "acknowledged"
  if (outage) return "the consumer pauses, no attempt is spent"
  return kind === "fail" ? "dead letter" : "delivered again, an attempt is spent"
}
