/**
 * The routing table of a design (section 7.3) for Alertmanager: who is told of which condition, by PagerDuty and Slack.
 *
 * **Details**
 *
 * - A channel that begins with `PagerDuty` or `Slack` is a receiver of that; the rest is its name. What other channels mean
 *   only the team knows: `others` names them, and the file has them as receivers that tell nobody.
 * - There is no secret in it. The routing key of PagerDuty and the URL of the webhook of Slack are read from files that the
 *   operator puts where `routing_key_file` and `api_url_file` say.
 * - One message for each alert, as they are routed in the process, and one when it is over.
 * - It goes with `PrometheusRules`, whose labels it matches. Alerts of other designs reach the receiver of the root, which
 *   tells nobody: give that to your default, and put the route of each design below it.
 *
 * **Gotchas**
 *
 * Alertmanager 0.25 or later, which reads the routing key of PagerDuty from a file.
 *
 * **Example** (A file for Alertmanager)
 *
 * ```ts
 * import type { Integration } from "effect-integration"
 * import { Alertmanager } from "effect-integration/monitoring"
 *
 * declare const design: Integration.Integration
 *
 * export const yaml = Alertmanager.render(design, { secrets: "/etc/alertmanager/secrets" })
 * ```
 *
 * @since 0.1.0
 */
import type * as Integration from "../Integration.ts"
import * as Receivers from "./internal/receivers.ts"
import * as Shown from "./internal/shown.ts"
import * as Yaml from "./internal/yaml.ts"

/** @category models @since 0.1.0 */
export interface Route {
  readonly receiver: string
  readonly matchers?: ReadonlyArray<string>
  readonly group_by?: ReadonlyArray<string>
  readonly group_wait?: string
  readonly group_interval?: string
  readonly repeat_interval?: string
  readonly routes?: ReadonlyArray<Route>
}

/** @category models @since 0.1.0 */
export interface Configuration {
  readonly route: Route
  readonly receivers: ReadonlyArray<Receivers.Receiver>
}

/** @category models @since 0.1.0 */
export interface Options {
  /** The folder of the files with the secrets. Default: `/etc/alertmanager/secrets`. */
  readonly secrets?: string
}

const nobody = "nobody"
const secrets = "/etc/alertmanager/secrets"

/**
 * The configuration of Alertmanager.
 *
 * @category constructors
 * @since 0.1.0
 */
export const of = (design: Integration.Integration, options: Options = {}): Configuration => {
  const files = Receivers.filesOf(design, options.secrets ?? secrets)
  const told = new Map<Integration.Condition, ReadonlyArray<string>>()
  for (const { channels, condition } of design.alerts) {
    told.set(condition, [...new Set([...(told.get(condition) ?? []), ...channels])])
  }
  const receivers = new Map(
    [...told.values()].map((channels) => {
      const receiver = Receivers.make(channels, files)
      return [receiver.name, receiver]
    })
  )
  return {
    route: {
      receiver: nobody,
      // Each alert on its own, as in the process.
      group_by: ["..."],
      group_wait: "5s",
      group_interval: "1m",
      repeat_interval: "4h",
      ...(told.size === 0
        ? {}
        : {
            routes: [
              {
                receiver: nobody,
                matchers: [matcher("integration", Shown.withoutCredentials(design.name))],
                routes: Array.from(told, ([condition, channels]) => ({
                  receiver: Receivers.nameOf(channels),
                  matchers: [matcher("condition", condition)]
                }))
              }
            ]
          })
    },
    receivers: [{ name: nobody }, ...receivers.values()]
  }
}

/** A quoted value knows three escapes. */
const matcher = (label: string, value: string): string => {
  const escaped = value.toWellFormed().replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")
  return `${label}="${escaped}"`
}

/**
 * Channels of the design that are neither of PagerDuty nor of Slack.
 *
 * @category getters
 * @since 0.1.0
 */
export const others = (design: Integration.Integration): ReadonlyArray<string> => [
  ...new Set(
    design.alerts.flatMap(({ channels }) => channels.filter((channel) => Receivers.toolOf(channel) === undefined))
  )
]

/**
 * The configuration as a file.
 *
 * @category formatting
 * @since 0.1.0
 */
export const render = (design: Integration.Integration, options: Options = {}): string => {
  const files = Receivers.filesOf(design, options.secrets ?? secrets)
  const shown = (text: string) => Yaml.comment(Shown.withoutPaths(text))
  const comments = [
    ...Array.from(
      files,
      ([channel, file]) => `# ${Yaml.comment(file)}: ${kinds[Receivers.toolOf(channel)!]} of ${shown(channel)}`
    ),
    ...others(design).map((channel) => `# ${shown(channel)}: nobody is told, add who it is to its receivers`)
  ]
  return [...comments, Yaml.encode(of(design, options) as unknown as Yaml.Value)].join("\n")
}

/** What the operator puts into the file. */
const kinds = { pagerduty: "the routing key (Events API v2)", slack: "the URL of the incoming webhook" } as const
