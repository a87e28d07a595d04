import type * as Integration from "../../Integration.ts"
import * as Telemetry from "../../Telemetry.ts"
import * as Blocks from "./blocks.ts"
import * as Queues from "./queues.ts"

const { code, given, givenTime, heading, list, table, time } = Blocks

/** Section 7. */
export const monitoring = (design: Integration.Integration): ReadonlyArray<Blocks.Block> => [
  heading(2, "7. Monitoring & Alerting"),
  heading(3, "7.1 Key Metrics"),
  table(
    ["Metric", "Type", "Alert Condition", "Severity", "Where it comes from"],
    [
      ...design.contracts.flatMap((each) => ofContract(design, each)),
      ...design.channels.map(ofChannel),
      ...design.consumers.flatMap((consumer) => ofConsumer(design, consumer.name))
    ]
  ),
  Blocks.lines(Blocks.field("Dashboard", design.monitoring?.dashboard)),
  heading(3, "7.2 Distributed Tracing"),
  ...tracing(design),
  heading(3, "7.3 Alert Routing"),
  table(
    ["Condition", "Alert Channel", "Escalation", "Investigate within", "Runbook"],
    design.alerts.map(({ channels, condition, escalation, investigateWithin, runbook }) => [
      conditionOf(design, condition),
      channels.join(" + "),
      given(escalation),
      givenTime(investigateWithin),
      given(runbook)
    ])
  )
]

type Row = ReadonlyArray<Blocks.Line>

const upper = (severity: Integration.Severity | undefined, otherwise: Integration.Severity): string =>
  (severity ?? otherwise).toUpperCase()

const none = "—"

const ofContract = (
  { monitoring }: Integration.Integration,
  { contract }: Integration.Contract
): ReadonlyArray<Row> => {
  const { key } = contract
  const metric = (name: Telemetry.MetricName): Blocks.Line => [code(Telemetry.metricName(name, key))]
  const { circuitOpen, errorRate, latencyP99 } = monitoring ?? {}
  return [
    [metric("requests"), "Counter", none, none, "recorded, by outcome"],
    [
      [code(Telemetry.metricName("errorRate", key))],
      "Gauge",
      errorRate === undefined ? Blocks.notGiven : `> ${errorRate.percent}% for ${time(errorRate.for ?? "5 minutes")}`,
      upper(errorRate?.severity, "high"),
      Blocks.joined(["share of ", metric("requests"), " whose outcome is not success"], "")
    ],
    [
      [code(Telemetry.metricName("latencyP99", key))],
      "Histogram",
      latencyP99 === undefined
        ? Blocks.notGiven
        : `> ${Blocks.milliseconds(latencyP99.limit)} for ${time(latencyP99.for ?? "5 minutes")}`,
      upper(latencyP99?.severity, "medium"),
      Blocks.joined(["quantile 0.99 of ", metric("latency")], "")
    ],
    [metric("latency"), "Histogram", none, none, "recorded, retries and waits included"],
    [metric("attempts"), "Counter", none, none, "recorded, retries included"],
    [metric("retries"), "Counter", none, none, "recorded, by reason"],
    [metric("rateLimitWait"), "Counter", none, none, "recorded"],
    ...(contract.contract.breaker === undefined
      ? []
      : [
          [metric("circuitOpen"), "Gauge", "== 1", upper(circuitOpen?.severity, "critical"), "recorded"],
          [metric("circuitOpenings"), "Counter", none, none, "recorded"]
        ]),
    ...(contract.contract.authentication?.kind === "clientCredentials"
      ? [[metric("tokenRefreshes"), "Counter", none, none, "recorded, by outcome"]]
      : [])
  ]
}

const ofChannel = ({ channel }: Integration.Topic): Row => [
  [code(Telemetry.metricName("published", channel.name))],
  "Counter",
  none,
  none,
  "recorded, by outcome"
]

const ofConsumer = ({ monitoring }: Integration.Integration, name: string): ReadonlyArray<Row> => {
  const metric = (metric: Telemetry.MetricName): Blocks.Line => [code(Telemetry.metricName(metric, name))]
  const { deadLetters, lag } = monitoring ?? {}
  const limits = [
    ...(lag?.messages === undefined ? [] : [`${lag.messages} messages`]),
    ...(lag?.age === undefined ? [] : [`${time(lag.age)} old`])
  ]
  return [
    [
      [code(Telemetry.metricName("deadLetters", name))],
      "Gauge",
      "> 0",
      upper(deadLetters?.severity, "high"),
      "asked of the broker"
    ],
    [
      [code(Telemetry.metricName("lag", name))],
      "Gauge",
      limits.length === 0 ? Blocks.notGiven : `> ${limits.join(" or > ")}`,
      upper(lag?.severity, "high"),
      "asked of the broker: messages that wait, and the age of the oldest"
    ],
    [metric("deliveries"), "Counter", none, none, "recorded, by what became of them"],
    [metric("handlingTime"), "Histogram", none, none, "recorded"],
    [metric("paused"), "Gauge", none, none, "recorded: 1 while the consumer takes no messages"]
  ]
}

const tracing = ({ environments, tracing }: Integration.Integration): ReadonlyArray<Blocks.Block> => {
  const rates = environments.map(
    ({ name, sampling }) => `${sampling === undefined ? Blocks.notGiven : `${sampling}%`} in ${name}`
  )
  return [
    list([
      ["Trace ID propagation: ", code("X-Request-ID"), " and ", code("traceparent"), " headers forwarded"],
      `Sampling rate: ${rates.length === 0 ? Blocks.notGiven : rates.join(", ")}`,
      `Tracing tool: ${given(tracing?.tool)} — dashboard: ${given(tracing?.dashboard)}`
    ])
  ]
}

/** A condition in the words of the template. */
const conditionOf = (design: Integration.Integration, condition: Integration.Condition): string => {
  const { errorRate, lag, latencyP99 } = design.monitoring ?? {}
  switch (condition) {
    case "circuit open":
      return "Circuit breaker open"
    case "dead letters":
      return `DLQ depth > 0${deadQueues(design)}`
    case "error rate":
      return errorRate === undefined ? `Error rate > ${Blocks.notGiven}` : `Error rate > ${errorRate.percent}%`
    case "latency":
      return latencyP99 === undefined ? `Latency > ${Blocks.notGiven}` : `Latency p99 > ${time(latencyP99.limit)}`
    case "consumer lag":
      return lag?.messages === undefined && lag?.age === undefined
        ? `Consumer lag > ${Blocks.notGiven}`
        : `Consumer lag > ${lag?.messages ?? ""}${lag?.messages !== undefined && lag?.age !== undefined ? " or " : ""}${lag?.age === undefined ? "" : time(lag.age)}`
    case "saga stuck":
      return "Saga stuck"
    case "engineering":
      return "An error whose action alerts engineering"
    case "escalation":
      return "An error whose action escalates"
  }
}

const deadQueues = (design: Integration.Integration): string => {
  const names = design.channels.flatMap(({ channel }) =>
    Queues.groupsOf(design, channel).map(({ name }) => Queues.deadQueueOf(channel, name))
  )
  return names.length === 0 ? "" : ` (${names.join(", ")})`
}
