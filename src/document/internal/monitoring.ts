import type * as Integration from "../../Integration.ts"
import * as RabbitMq from "../../rabbitmq/Queues.ts"
import * as Telemetry from "../../Telemetry.ts"
import { alertRules } from "./alertRules.ts"
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
      ...design.channels.flatMap((topic) => ofChannel(design, topic)),
      ...design.consumers.flatMap((consumer) => ofConsumer(design, consumer.name)),
      ...design.sagas.flatMap((saga) => ofSaga(design, saga.name)),
      ...design.probes.flatMap((probe) => ofProbe(design, probe))
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
  ),
  ...alertRules(design)
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
      Blocks.joined(["share of ", metric("requests"), " of the last minute whose outcome is not success"], "")
    ],
    [
      [code(Telemetry.metricName("latencyP99", key))],
      "Gauge",
      latencyP99 === undefined
        ? Blocks.notGiven
        : `> ${Blocks.milliseconds(latencyP99.limit)} for ${time(latencyP99.for ?? "5 minutes")}`,
      upper(latencyP99?.severity, "medium"),
      Blocks.joined(["quantile 0.99 of ", metric("latency"), " in the last minute"], "")
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

const ofChannel = ({ monitoring }: Integration.Integration, { channel }: Integration.Topic): ReadonlyArray<Row> => {
  const metric = (metric: Telemetry.MetricName): Blocks.Line => [code(Telemetry.metricName(metric, channel.name))]
  const { outboxAge } = monitoring ?? {}
  return [
    [metric("published"), "Counter", none, none, "recorded, by outcome"],
    ...(outboxAge === undefined
      ? []
      : [
          [
            metric("outboxAge"),
            "Gauge",
            `> ${time(outboxAge.limit)}`,
            upper(outboxAge.severity, "high"),
            "asked of the outbox"
          ]
        ])
  ]
}

const ofSaga = ({ monitoring }: Integration.Integration, name: string): ReadonlyArray<Row> => [
  [[code(Telemetry.metricName("sagas", name))], "Counter", none, none, "recorded, by outcome"],
  [
    [code(Telemetry.metricName("sagasStuck", name))],
    "Gauge",
    "> 0",
    upper(monitoring?.sagaStuck?.severity, "high"),
    "asked of the store of the sagas"
  ]
]

const ofProbe = ({ monitoring }: Integration.Integration, { every, name }: Integration.Probe): ReadonlyArray<Row> => [
  [
    [code(Telemetry.metricName("probeSuccess", name))],
    "Gauge",
    "== 0",
    upper(monitoring?.probeFailed?.severity, "high"),
    `recorded by the synthetic probe, every ${time(every)}`
  ],
  [[code(Telemetry.metricName("probeDuration", name))], "Gauge", none, none, "recorded by the synthetic probe"]
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
  const { errorRate, lag, latencyP99, outboxAge } = design.monitoring ?? {}
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
    case "outbox age":
      return outboxAge === undefined
        ? `Outbox older than ${Blocks.notGiven}`
        : `Oldest unpublished event > ${time(outboxAge.limit)}`
    case "probe failed":
      return "Synthetic probe failed"
    case "engineering":
      return "An error whose action alerts engineering"
    case "escalation":
      return "An error whose action escalates"
  }
}

const deadQueues = (design: Integration.Integration): string => {
  const names = design.channels.flatMap(({ channel }) =>
    Queues.groupsOf(design, channel).map(({ name }) => RabbitMq.deadQueueOf(channel, name))
  )
  return names.length === 0 ? "" : ` (${names.join(", ")})`
}
