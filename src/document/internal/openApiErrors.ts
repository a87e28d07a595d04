import type * as Schema from "effect/Schema"
import type * as HttpPolicy from "../../http/HttpPolicy.ts"
import * as StatusTable from "../../http/StatusTable.ts"
import type * as ErrorAction from "../../policy/ErrorAction.ts"

type JsonObject = Schema.JsonObject
type Row = StatusTable.Row<ErrorAction.Actionable>

/** Problem details (RFC 9457) as the library reads them, with the `code` that many providers add. */
export const problem: JsonObject = {
  type: "object",
  description: "Problem details (RFC 9457)",
  properties: {
    type: { type: "string", format: "uri-reference", default: "about:blank" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    instance: { type: "string", format: "uri-reference" },
    code: { type: "string" }
  }
}

/** What providers answer that do not know RFC 9457. */
export const codeAndMessage: JsonObject = {
  type: "object",
  properties: { code: { type: "string" }, message: { type: "string" } }
}

/** The rows of one status, or class of statuses. */
export interface Rows {
  readonly main: Row
  /** For some problem types only. */
  readonly special: ReadonlyArray<Row>
}

/** The rows of a table by the key of their response: `404`, `4XX`. */
export const rowsOf = (table: StatusTable.StatusTable<unknown>): ReadonlyMap<string, Rows> => {
  const found = new Map<string, Rows>()
  for (const [key, row] of Object.entries(table.rows as Readonly<Record<string, Row>>)) {
    const status = key.slice(0, 3).replace("xx", "XX")
    const { main, special } = found.get(status) ?? { main: undefined, special: [] }
    found.set(
      status,
      row.problemType === undefined
        ? { main: row, special }
        : { main: main ?? (StatusTable.rowOf(table, Number(status)) as Row), special: [...special, row] }
    )
  }
  return found
}

/** The rows that answer for a status that an endpoint declares itself. */
export const rowsFor = (table: StatusTable.StatusTable<unknown>, status: string): Rows =>
  rowsOf(table).get(status) ?? { main: StatusTable.rowOf(table, Number(status)) as Row, special: [] }

const verbs: Readonly<Record<ErrorAction.ErrorAction["kind"], string>> = {
  fail: "fails",
  retry: "retries",
  wait: "waits, then retries",
  skip: "goes on",
  refresh: "refreshes its credentials and retries once"
}

/** What this contract really does: it skips, retries and refreshes only where it can. */
const actionOf = (contract: HttpPolicy.Any, { action }: Row): ErrorAction.ErrorAction => {
  const fails = (guidance: string): ErrorAction.ErrorAction => ({ ...action, kind: "fail", guidance })
  switch (action.kind) {
    case "skip":
      return isIdempotent(contract) ? action : { ...fails("in conflict with another request"), log: "error" }
    case "retry":
    case "wait":
      return (contract.retry?.maxRetries ?? 0) === 0 ? fails("this contract retries nothing") : action
    case "refresh":
      return contract.authentication?.refreshable === true ? action : fails("there are no other credentials")
    default:
      return action
  }
}

const isIdempotent = ({ idempotent = false }: HttpPolicy.Any): boolean => idempotent !== false

const sentence = (contract: HttpPolicy.Any, row: Row): string => {
  const { guidance, kind } = actionOf(contract, row)
  const where = row.problemType === undefined ? "" : ` where the problem is ${row.problemType}`
  const again = kind === "retry" || kind === "wait"
  const limit = again && !isIdempotent(contract) && row.outcome !== "unprocessed" ? ", but no POST or PATCH" : ""
  return `${row.error.name} (${row.code})${where}. The consumer ${verbs[kind]}${limit}: ${guidance}.`
}

/** What the consumer does, for people and for machines. */
export const described = (contract: HttpPolicy.Any, { main, special }: Rows): JsonObject => ({
  description: [main, ...special].map((row) => sentence(contract, row)).join("\n\n"),
  "x-consumer-actions": [main, ...special].map((row) => {
    const { code, error, outcome, problemType } = row
    const { circuit, guidance, kind, log, notify } = actionOf(contract, row)
    const where = problemType === undefined ? {} : { problemType }
    return { error: error.name, code, ...where, action: kind, circuit, log, notify, outcome, guidance }
  })
})

/** Whether Retry-After means something to the consumer here. */
export const waits = ({ main, special }: Rows): boolean => [main, ...special].some((row) => row.retryAfter)

/** The bodies of errors that no endpoint declares itself. */
export const content = (
  { special }: Rows,
  schemas: { readonly problem: string; readonly other: string }
): JsonObject => ({
  ...problemContent(special, schemas.problem),
  "application/json": { schema: { $ref: schemas.other } }
})

/** Problem details, with an example for each problem type that matters. */
export const problemContent = (special: ReadonlyArray<Row>, schema: string): JsonObject => ({
  "application/problem+json": {
    schema: { $ref: schema },
    ...(special.length === 0
      ? undefined
      : {
          examples: Object.fromEntries(
            special.map(({ code, problemType = "" }) => [code, { value: { type: problemType } }])
          )
        })
  }
})
