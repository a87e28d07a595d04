import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import type * as Integration from "../../Integration.ts"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import * as Alert from "../Alert.ts"
import type * as Rule from "../Rule.ts"
import { bounded } from "./alertText.ts"
import * as Redaction from "./redaction.ts"

/** How long an error must not have occurred for its alert to be over. */
const quiet = Duration.minutes(5)
/** How many different errors are told apart at once. */
const mostOpen = 256
const mostIds = 10
const longestId = 200

const conditions = { alert: "engineering", escalate: "escalation" } as const
const severities = { alert: "high", escalate: "medium" } as const
const summaries = {
  alert: "engineering is to look at an error of",
  escalate: "the owners of the business rules are to decide about an error of"
} as const

interface Incident {
  alert: Alert.Alert
  /** Monotonic milliseconds of the latest notice. */
  last: number
  readonly quietMillis: number
}

/** Errors that people are told of at once: each kind of error of an integration once, until it has been quiet. */
export class Notices {
  readonly #design: Integration.Integration
  readonly #rules: ReadonlyArray<Rule.Rule>
  readonly #incidentOf: (id: string) => number
  readonly #open = new Map<string, Incident>()
  readonly #seen = new Map<string, number>()
  /** An error says what its author pleased. */
  readonly #plain: (message: string) => string
  constructor(design: Integration.Integration, rules: ReadonlyArray<Rule.Rule>, incidentOf: (id: string) => number) {
    this.#design = design
    this.#rules = rules
    this.#incidentOf = incidentOf
    this.#plain = Redaction.make(Redaction.personalData(design)).text
  }

  /** The alert that a notice fires; `undefined` where it is told of already. */
  take(notice: ErrorAction.Notice, now: number, at: DateTime.Utc): Alert.Alert | undefined {
    const { error, integration, kind } = notice
    const subject = bounded(integration, longestId)
    if (this.#seen.size < mostOpen || this.#seen.has(`${kind} ${subject}`)) {
      this.#seen.set(`${kind} ${subject}`, this.seen(kind, subject) + 1)
    }
    if (this.#isRule(notice)) return undefined
    const tag = bounded(error === undefined ? "notice" : ErrorAction.tagOf(error), 100)
    const known = `${this.#design.name}/${conditions[kind]}/${subject}/${tag}`
    const id =
      this.#open.size < mostOpen || this.#open.has(known) ? known : `${this.#design.name}/${conditions[kind]}/other`
    const incident = this.#open.get(id)
    const message = bounded(this.#plain(notice.message.slice(0, 4 * Alert.maximumText)), Alert.maximumText)
    if (incident !== undefined) {
      const { alert } = incident
      incident.last = now
      incident.alert = { ...alert, error: { tag, message }, count: alert.count + 1, ids: withIds(alert.ids, notice) }
      return undefined
    }
    const rule = this.#rules.find((each) => each.subject === integration && each.condition === conditions[kind])
    const fired: Alert.Alert = {
      id,
      incident: this.#incidentOf(id),
      state: "firing",
      design: this.#design.name,
      condition: conditions[kind],
      severity: rule?.severity ?? severities[kind],
      subject,
      summary: rule?.summary ?? `${summaries[kind]} ${subject}`,
      since: at,
      error: { tag, message },
      ids: withIds([], notice),
      count: 1,
      earlier: 0,
      routes: rule?.routes ?? this.#design.alerts.filter(({ condition }) => condition === conditions[kind]),
      ...(this.#design.monitoring?.dashboard === undefined
        ? undefined
        : { dashboard: this.#design.monitoring.dashboard })
    }
    const quietFor = rule?.comparison._tag === "Increased" ? rule.comparison.within : quiet
    this.#open.set(id, { alert: fired, last: now, quietMillis: Duration.toMillis(quietFor) })
    return fired
  }

  /** A circuit that is open for long is told of by its rule. */
  #isRule({ error, integration, kind }: ErrorAction.Notice): boolean {
    const isLong = (rule: Rule.Rule) => rule.condition === "circuit open" && !Duration.isZero(rule.for)
    return (
      kind === "alert" &&
      error === undefined &&
      this.#rules.some((rule) => rule.subject === integration && isLong(rule))
    )
  }

  /** How many notices of an integration came here, rather than only being counted. */
  seen(kind: string, subject: string): number {
    return this.#seen.get(`${kind} ${subject}`) ?? 0
  }

  /** Those that are over, taken away. */
  quietened(now: number, at: DateTime.Utc): ReadonlyArray<Alert.Alert> {
    const over = Array.from(this.#open).filter(([, { last, quietMillis }]) => now - last >= quietMillis)
    for (const [id] of over) this.#open.delete(id)
    return over.map(([, { alert }]) => ({ ...alert, state: "resolved", resolvedAt: at }))
  }
  /** When the first of them will be over. */
  get nextQuiet(): number {
    return Math.min(Infinity, ...Array.from(this.#open.values(), ({ last, quietMillis }) => last + quietMillis))
  }
  get firing(): ReadonlyArray<Alert.Alert> {
    return Array.from(this.#open.values(), ({ alert }) => alert)
  }
}

const withIds = (ids: ReadonlyArray<string>, { requestId }: ErrorAction.Notice): ReadonlyArray<string> => {
  if (requestId === undefined) return ids
  const id = bounded(requestId, longestId)
  return [...ids.filter((each) => each !== id), id].slice(-mostIds)
}
