/**
 * A dashboard of Grafana for a design (section 7.1), from the same catalogue and the same rules as the alerts.
 *
 * **Details**
 *
 * - A row for each contract, channel, consumer, saga and probe; a panel for each metric that it has.
 * - Where a rule watches a metric, its limit is drawn. Alerts that fire are marked in every panel.
 * - The data source is chosen in the dashboard: any that speaks PromQL. The recording rules are not needed.
 * - The same design gives the same `uid`, so that importing it again replaces it.
 *
 * **Example** (A dashboard to import)
 *
 * ```ts
 * import type { Integration } from "effect-integration"
 * import { Grafana } from "effect-integration/monitoring"
 *
 * declare const design: Integration.Integration
 *
 * export const json = JSON.stringify(Grafana.of(design))
 * ```
 *
 * @since 0.1.0
 */
import type * as Integration from "../Integration.ts"
import * as Panels from "./internal/panels.ts"
import * as PromQL from "./internal/promql.ts"
import * as Shown from "./internal/shown.ts"
import * as Subjects from "./internal/subjects.ts"
import * as Rule from "./Rule.ts"

/** The parts of Grafana's model that are written. @category models @since 0.1.0 */
export interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly description?: string
  readonly tags: ReadonlyArray<string>
  readonly schemaVersion: number
  readonly editable: boolean
  readonly graphTooltip: number
  readonly refresh: string
  readonly time: { readonly from: string; readonly to: string }
  readonly timezone: string
  readonly templating: { readonly list: ReadonlyArray<object> }
  readonly annotations: { readonly list: ReadonlyArray<object> }
  readonly links: ReadonlyArray<object>
  readonly panels: ReadonlyArray<Panels.Row | Panels.Panel>
}

const width = 8
const height = 7
const perLine = 3

/** The dashboard of a design. @category constructors @since 0.1.0 */
export const of = (design: Integration.Integration): Dashboard => {
  const rules = Rule.of(design)
  const panels: Array<Panels.Row | Panels.Panel> = []
  let y = 0
  for (const subject of Subjects.of(design)) {
    panels.push(Panels.row(panels.length + 1, `${subject.kind} ${Shown.withoutCredentials(subject.name)}`, y))
    y += 1
    for (const [index, metric] of subject.metrics.entries()) {
      const at = { x: (index % perLine) * width, y: y + Math.floor(index / perLine) * height, w: width, h: height }
      const watching = rules.find((rule) => rule.subject === subject.name && rule.metric === metric)
      panels.push(Panels.make(panels.length + 1, metric, subject.name, at, watching))
    }
    y += Math.ceil(subject.metrics.length / perLine) * height
  }
  const { purpose } = design
  return {
    uid: uidOf(design.name),
    title: Shown.withoutCredentials(design.name),
    ...(purpose === undefined ? {} : { description: Shown.withoutCredentials(purpose) }),
    tags: ["integration"],
    schemaVersion: 38,
    editable: true,
    graphTooltip: 1,
    refresh: "15s",
    time: { from: "now-1h", to: "now" },
    timezone: "browser",
    templating: {
      list: [{ name: "datasource", label: "Data source", type: "datasource", query: "prometheus", refresh: 1, hide: 0 }]
    },
    annotations: { list: [firing(design)] },
    links: runbooks(rules),
    panels
  }
}

const firing = (design: Integration.Integration) => ({
  name: "Alerts",
  enable: true,
  iconColor: "red",
  datasource: Panels.datasource,
  expr: `ALERTS{integration=${PromQL.quoted(Shown.withoutCredentials(design.name))}, alertstate="firing"}`,
  titleFormat: "{{alertname}}",
  textFormat: "{{subject}}: {{severity}}"
})

/** Of each condition, where it is a link. */
const runbooks = (rules: ReadonlyArray<Rule.Rule>): ReadonlyArray<object> => {
  const links = rules.flatMap(({ routes }) =>
    routes.flatMap(({ condition, runbook }) =>
      runbook !== undefined && /^https?:\/\//i.test(runbook)
        ? [[condition, Shown.withoutCredentials(runbook)] as const]
        : []
    )
  )
  return Array.from(new Map(links), ([condition, url]) => ({
    title: `Runbook: ${condition}`,
    type: "link",
    icon: "doc",
    targetBlank: true,
    url
  }))
}

/** At most 40 characters, as Grafana wants, and another one for another name. */
const uidOf = (name: string): string => {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  const legal = name.replaceAll(/[^A-Za-z0-9_-]+/g, "-")
  return legal === name && name.length <= 40 ? name : `${legal.slice(0, 31)}-${hash.toString(16).padStart(8, "0")}`
}
