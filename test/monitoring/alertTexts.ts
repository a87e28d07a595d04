/** Alerts made of any text, and the texts that break things. */
import { DateTime, Duration } from "effect"
import type { Alert } from "effect-integration/monitoring"

export const alertOf = (over: Partial<Alert.Alert> = {}): Alert.Alert => ({
  id: "checkout/error-rate/payments",
  incident: 1,
  state: "firing",
  design: "checkout",
  condition: "error rate",
  severity: "high",
  subject: "payments",
  summary: "more than 5 % of the calls to payments fail",
  since: DateTime.makeUnsafe("2026-11-23T10:00:00Z"),
  measured: {
    metric: "errorRate",
    name: "integration_payments_error_rate",
    value: 12.5,
    comparison: { _tag: "Above", value: 5 },
    for: Duration.minutes(5)
  },
  ids: [],
  count: 1,
  earlier: 0,
  routes: [
    {
      condition: "error rate",
      channels: ["PagerDuty Checkout"],
      escalation: "on-call engineer",
      investigateWithin: "15 minutes",
      runbook: "https://runbooks.acme.com/checkout"
    }
  ],
  dashboard: "https://grafana.acme.com/d/checkout?var=a&b=c",
  ...over
})

export const hostile: ReadonlyArray<readonly [name: string, text: string]> = [
  ["10,000 letters", "a".repeat(10_000)],
  ["10,000 ampersands", "&".repeat(10_000)],
  ["a mention of everybody", "<!channel> <!here> <@U123> <https://evil.example|click> & more"],
  ["quotes and formatting", "*bold* _it_ ~no~ `code` ```block``` > quote \" ' \\"],
  ["lines", "one\ntwo\r\nthree\n\n\n>>> four"],
  ["10,000 emoji", "👩‍👩‍👧‍👦".repeat(2_500)],
  ["halves of surrogate pairs", "\ud800x\udc00".repeat(2000)],
  ["control characters", "\u0000\u0007\u001b[31m\u007f\u2028\u2029"],
  ["right to left and combining", `\u202e${"e\u0301".repeat(2000)}`],
  ["an escaped text", "&amp;lt;!channel&gt;"],
  ["nothing", ""],
  ["blanks", "   \n "]
]

/** An alert that has the text wherever a text can be. */
export const full = (text: string): Alert.Alert =>
  alertOf({
    id: `checkout/${text}`,
    design: text,
    subject: text,
    summary: text,
    error: { tag: text, message: text },
    ids: Array.from({ length: 10 }, () => text),
    earlier: 3,
    count: 1_000_000,
    dashboard: text,
    routes: Array.from({ length: 20 }, (_, nth) => ({
      condition: "engineering" as const,
      channels: ["x"],
      escalation: `${text}${nth}`,
      investigateWithin: `${nth + 1} minutes` as const,
      runbook: `https://runbooks.acme.com/${nth}?q=${text}`
    }))
  })
