import type * as Integration from "../../Integration.ts"
import * as Telemetry from "../../Telemetry.ts"
import * as Shown from "./shown.ts"

export interface Receiver {
  readonly name: string
  readonly pagerduty_configs?: ReadonlyArray<object>
  readonly slack_configs?: ReadonlyArray<object>
}

type Tool = "pagerduty" | "slack"

/** Which tool a channel of the design is of, by its first word. */
export const toolOf = (channel: string): Tool | undefined => {
  const tool = /^\s*(pagerduty|slack)\b/i.exec(channel)?.[1]?.toLowerCase()
  return tool === "pagerduty" || tool === "slack" ? tool : undefined
}

const partOf = (channel: string): string => channel.replace(/^\s*\w+[\s:]*/, "").trim()

/** A name that says who is told. Webhooks are cut: their path is their secret. */
export const nameOf = (channels: ReadonlyArray<string>): string => channels.map(Shown.withoutPaths).join(" + ")

/** The file of each channel's secret, such as `pagerduty-payments`. */
export const filesOf = (design: Integration.Integration, folder: string): ReadonlyMap<string, string> => {
  const files = new Map<string, string>()
  const taken = new Set<string>()
  for (const channel of new Set(design.alerts.flatMap(({ channels }) => channels))) {
    const tool = toolOf(channel)
    if (tool === undefined) continue
    const legal = Telemetry.legalName(Shown.withoutPaths(partOf(channel))).replaceAll("_", "-")
    const name = legal === "" ? tool : `${tool}-${legal}`
    let free = name
    for (let next = 2; taken.has(free); next += 1) free = `${name}-${next}`
    taken.add(free)
    files.set(channel, `${folder.replace(/\/+$/, "")}/${free}`)
  }
  return files
}

/** All who are told of a condition. */
export const make = (channels: ReadonlyArray<string>, files: ReadonlyMap<string, string>): Receiver => {
  const of = (tool: Tool) => channels.filter((channel) => toolOf(channel) === tool)
  const pagers = of("pagerduty").map((channel) => pagerDuty(files.get(channel)!))
  const slacks = of("slack").map((channel) => slack(partOf(channel), files.get(channel)!))
  return {
    name: nameOf(channels),
    ...(pagers.length === 0 ? {} : { pagerduty_configs: pagers }),
    ...(slacks.length === 0 ? {} : { slack_configs: slacks })
  }
}

/** The severities of the design in the words of PagerDuty. */
const severity =
  '{{ with .CommonLabels.severity }}{{ if eq . "high" }}error{{ else if eq . "medium" }}warning{{ else if eq . "low" }}info{{ else }}critical{{ end }}{{ end }}'

const pagerDuty = (file: string) => ({
  routing_key_file: file,
  send_resolved: true,
  severity,
  description: "{{ .CommonLabels.subject }}: {{ .CommonAnnotations.summary }}",
  component: "{{ .CommonLabels.subject }}",
  group: "{{ .CommonLabels.integration }}",
  class: "{{ .CommonLabels.condition }}",
  details: {
    description: "{{ .CommonAnnotations.description }}",
    escalation: "{{ .CommonAnnotations.escalation }}",
    investigate_within: "{{ .CommonAnnotations.investigate_within }}",
    runbook: "{{ .CommonAnnotations.runbook_url }}",
    dashboard: "{{ .CommonAnnotations.dashboard }}"
  }
})

/** Slack reads `<!channel>` in any text as a mention. */
const escaped = (field: string): string =>
  `{{ ${field} | reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;" }}`

const line = (title: string, field: string): string => `\n{{ with ${field} }}${title}: ${escaped(".")}{{ end }}`

const slack = (channel: string, file: string) => ({
  api_url_file: file,
  send_resolved: true,
  ...(/^[#@]\S+$/.test(channel) ? { channel } : {}),
  color: '{{ if eq .Status "resolved" }}good{{ else }}danger{{ end }}',
  title: `[{{ .Status | toUpper }}] {{ .CommonLabels.severity | toUpper }} ${escaped(".CommonAnnotations.summary")}`,
  text:
    escaped(".CommonAnnotations.description") +
    line("Escalation", ".CommonAnnotations.escalation") +
    line("Runbook", ".CommonAnnotations.runbook_url") +
    line("Dashboard", ".CommonAnnotations.dashboard")
})
