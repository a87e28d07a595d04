/**
 * Where each placeholder of the template comes from: the field of the design, the part of the document, and what stands
 * there in the flagship, once for each place where the template has it.
 */
export interface Source {
  readonly field: string
  readonly part: string
  readonly text: string
}

const at = (field: string, part: string, text: string): Source => ({ field, part, text })

const front = "Integration Design Document"
const overview = "1. Integration Overview & Context"
const topology = "2. Integration Topology Diagram"
const contract = "3.1 Integration: payments"
const authentication = `${contract} > Authentication`
const request = `${contract} > Request Contract`
const limits = `${contract} > Rate Limiting`
const timeouts = `${contract} > Timeout Configuration`
const breaker = `${contract} > Circuit Breaker Configuration`
const retry = `${contract} > Retry Policy`
const grpc = "3.2 Integration: stock"
const event = "Event: order.placed"
const topics = "4.2 Topics / Queues"
const ordering = "4.3 Ordering Guarantees"
const saga = "Saga: place-order"
const metrics = "7.1 Key Metrics"
const tracing = "7.2 Distributed Tracing"
const routing = "7.3 Alert Routing"

export const sources: Readonly<Record<string, ReadonlyArray<Source>>> = {
  PROJECT_NAME: [at("project", front, "**Project:** Checkout")],
  INTEGRATION_NAME: [
    at("name", front, "**Integration:** orders-to-payments"),
    at("name", overview, "**Integration Name:** orders-to-payments")
  ],
  VERSION: [at("version", front, "**Version:** 1.2")],
  DATE: [at("date", front, "**Date:** 2026-11-23"), at("history[].date", "Document History", "| 0.1 | 2026-09-14 |")],
  AUTHOR: [
    at("author", front, "**Author:** Ada Okafor"),
    at("history[].author", "Document History", "| Ada Okafor | Initial draft |")
  ],
  REVIEWERS: [at("reviewers", front, "**Reviewers:** Linus Berg, Mei Tanaka")],
  WHY_THIS_INTEGRATION_EXISTS: [at("purpose", overview, "Orders are charged when they are placed, each exactly once")],
  BUSINESS_IMPACT_IF_UNAVAILABLE: [at("impactIfDown", overview, "Orders are taken but not charged")],
  RTO: [at("rto", overview, "Acceptable downtime: 1h")],
  RPO: [at("rpo", overview, "Max data loss: 0s")],
  CONSUMER_SYSTEM: [
    at("parties.consumer.system", overview, "| Consumer (caller) | Shop |"),
    at("parties.consumer.system", topology, 'subgraph ConsumerSide["Consumer — Shop"]')
  ],
  PROVIDER_SYSTEM: [
    at("parties.provider.system", overview, "| Provider (server) | Payments |"),
    at("parties.provider.system", topology, 'subgraph ProviderSide["Provider — Payments"]')
  ],
  TEAM_A: [
    at("parties.consumer.team", overview, "| Shop | Checkout |"),
    at("alerts[].channels", routing, "| Circuit breaker open | PagerDuty Checkout")
  ],
  TEAM_B: [at("parties.provider.team", overview, "| Payments | Money |")],
  CONTACT_A: [at("parties.consumer.contact", overview, "checkout@acme.com")],
  CONTACT_B: [at("parties.provider.contact", overview, "money-oncall@acme.com")],
  ConsumerService: [at("parties.consumer.service", topology, 'C_SVC["Order Service"]')],
  ProviderService: [at("parties.provider.service", topology, 'P_SVC["Payments API"]')],
  QUEUE_NAME: [at("channels[].channel", topology, "orders.billing.0 to .7")],
  DLQ_NAME: [at("channels[].channel", topology, "orders.billing.dead")],

  INTEGRATION_NAME_1: [
    at("contracts[0].contract.key", "3. Service Contracts > 3.1 Integration: payments", "REST/HTTPS")
  ],
  CONSUMER: [at("contracts[].direction.from", contract, "**Direction:** Shop →")],
  PROVIDER: [at("contracts[].direction.to", contract, "→ Payments")],
  TOKEN: [at("contracts[].contract.authentication", authentication, "`Authorization: Bearer (access token)`")],
  ROTATION_PERIOD: [at("contracts[].rotation.every", authentication, "Every 90d")],
  ROTATION_PROCESS: [at("contracts[].rotation.process", authentication, "coordinated via the secrets vault")],
  AUTH_ENDPOINT: [at("contracts[].tokenEndpoint", authentication, "`https://login.acme.com/oauth/token`")],
  HTTP_METHOD: [at("contracts[].contract.api", request, "`POST https")],
  BASE_URL: [at("contracts[].baseUrl", request, "https://payments.acme.com/")],
  PATH: [at("contracts[].contract.api", request, "/v1/charges")],
  JWT_OR_API_KEY: [at("contracts[].contract.authentication", request, "Authorization: Bearer (access token)")],
  UUID: [
    at("policy", request, "X-Request-ID: (UUID: forwarded"),
    at("event", event, '"id": "6f1d1b9e-8a6c-4c0f-9a43-2f1f0a3d6b52"')
  ],
  IDEMPOTENCY_KEY: [at("contracts[].contract.idempotent", request, "X-Idempotency-Key: (key of the operation")],
  field1: [at("contracts[].contract.api", request, '"orderId"')],
  field2: [at("contracts[].contract.api", request, '"amount"')],
  type: [
    at("contracts[].contract.api", request, '"orderId": "string (uuid)'),
    at("contracts[].contract.api", request, '"amount": "integer (more than 0)'),
    at("contracts[].contract.api", request, '"id": "string'),
    at("contracts[].contract.api", request, '"refunded": "boolean')
  ],
  description: [
    at("contracts[].contract.api", request, "— id of the order"),
    at("contracts[].contract.api", request, "— in the smallest unit of the currency")
  ],
  CONSUMER_SYSTEM_ID: [at("contracts[].contract.sourceSystem", request, '"sourceSystem": "order-service"')],
  responseField1: [at("contracts[].contract.api", request, '"status":')],
  responseField2: [at("contracts[].contract.api", request, '"refunded":')],
  MAX_RETRIES: [at("contracts[].contract.retry", retry, "**Max retries:** 3 ")],
  DELAY_1: [at("contracts[].contract.retry", retry, "[100ms, ")],
  DELAY_2: [at("contracts[].contract.retry", retry, ", 300ms, ")],
  DELAY_3: [at("contracts[].contract.retry", retry, ", 900ms]")],
  TIMEOUT_MS: [at("contracts[].contract.timeouts.attempt", retry, "**Timeout per attempt:** 2000ms")],
  FAILURE_PERCENT: [at("contracts[].contract.breaker", breaker, "50% failures")],
  WINDOW_SECONDS: [at("contracts[].contract.breaker", breaker, "in 10s window")],
  OPEN_DURATION_SECONDS: [at("contracts[].contract.breaker", breaker, "**Open duration:** 30s")],
  ALERT_THRESHOLD_SECONDS: [at("contracts[].contract.breaker", breaker, "Circuit open for > 120s")],
  RPM: [at("contracts[].contract.rateLimit", limits, "| Requests per minute | 600 |")],
  BURST: [at("contracts[].contract.rateLimit", limits, "| Burst limit | 50 |")],
  DAILY: [at("contracts[].contract.rateLimit", limits, "| Daily quota | 100000 |")],
  CONN_TIMEOUT_MS: [at("contracts[].contract.timeouts", timeouts, "| Connection timeout | 1000ms")],
  READ_TIMEOUT_MS: [at("contracts[].contract.timeouts", timeouts, "| Read timeout | 1500ms")],
  TOTAL_TIMEOUT_MS: [at("contracts[].contract.timeouts", timeouts, "| Total request timeout | 10000ms")],

  INTEGRATION_NAME_2: [at("grpc[].name", "3. Service Contracts > 3.2 Integration: stock", "gRPC")],
  ServiceName: [at("grpc[].service", grpc, "service StockService {")],
  MethodName: [at("grpc[].methods[].name", grpc, "rpc Reserve (")],
  StreamMethodName: [at("grpc[].methods[].streams", grpc, "rpc Watch (ReserveRequest) returns (stream ")],
  RequestMessage: [
    at("grpc[].methods[].request", grpc, "Reserve (ReserveRequest)"),
    at("grpc[].methods[].request", grpc, "Watch (ReserveRequest)"),
    at("grpc[].messages", grpc, "message ReserveRequest {")
  ],
  ResponseMessage: [
    at("grpc[].methods[].response", grpc, "returns (Reservation)"),
    at("grpc[].methods[].response", grpc, "returns (stream Reservation)"),
    at("grpc[].messages", grpc, "message Reservation {")
  ],
  FieldType: [
    at("grpc[].messages[][].type", grpc, "  string order_id = 3;"),
    at("grpc[].messages[][].type", grpc, "  bool reserved = 2;")
  ],
  field_name: [
    at("grpc[].messages[][].name", grpc, " order_id = 3;"),
    at("grpc[].messages[][].name", grpc, " reserved = 2;")
  ],

  entity: [at("channels[].channel.events[].type", `4.1 Event Schemas (CloudEvents 1.0) > ${event}`, "order.")],
  ACTION: [at("channels[].channel.events[].type", `4.1 Event Schemas (CloudEvents 1.0) > ${event}`, ".placed")],
  PUBLISHER_SYSTEM: [at("channels[].producer", event, "**Published by:** Order Service")],
  CONSUMER_SYSTEM_1: [at("consumers", "Event: payment.captured", "**Consumed by:** order-status, ")],
  CONSUMER_SYSTEM_2: [
    at("channels[].channel.consumers", "Event: payment.captured", "reporting (outside of this design)")
  ],
  REVERSE_DNS_EVENT_TYPE: [at("channels[].channel.events[].type", event, '"type": "com.acme.order.placed"')],
  SYSTEM_DOMAIN: [at("channels[].channel.events[].source", event, '"source": "https://orders.acme.com/')],
  resource: [at("channels[].channel.events[].source", event, "orders.acme.com/orders")],
  RESOURCE_ID: [at("channels[].channel.events[].data", event, '"subject": "')],
  DOMAIN_FIELD_1: [at("channels[].channel.events[].data", event, '"orderId"')],
  DOMAIN_FIELD_2: [at("channels[].channel.events[].data", event, '"amount"')],
  STATE: [at("channels[].channel.events[].data", event, '"newState": "placed"')],
  TOPIC_NAME_1: [at("channels[0].channel.name", topics, "| `orders` |")],
  TOPIC_NAME_2: [at("channels[1].channel.name", topics, "| `settlements` |")],
  N: [
    at("channels[0].channel.partitions", topics, "| `orders` | 8 |"),
    at("channels[1].channel.partitions", topics, "| `settlements` | 1 |")
  ],
  RETENTION: [
    at("channels[0].channel.retention", topics, "| 8 | 7d, then to the dead letters; 1000000 messages"),
    at("channels[1].channel.retention", topics, "| 1 | 7d, then to the dead letters |")
  ],
  CONSUMER_GROUPS: [
    at("consumers", topics, "| `billing` |"),
    at("channels[].channel.consumers", topics, "| `order-status`, `reporting` |")
  ],
  PRODUCER_SERVICE: [
    at("channels[0].producer", topics, "| `billing` | Order Service |"),
    at("channels[1].producer", topics, "`reporting` | Settlement Worker |")
  ],
  INTEGRATION_1: [
    at("channels[0].channel.ordering", ordering, "| orders | Strict order | Per `tenantId` | A tenant's")
  ],
  INTEGRATION_2: [at("channels[1].channel.ordering", ordering, "| settlements | Best-effort | Global | Each event")],
  INTEGRATION_3: [at("channels[2].channel.ordering", ordering, "| shipments | No ordering | N/A | Shipments do")],
  DEDUP_WINDOW: [at("consumers[].options.dedup.window", "Consumer: billing", "**Deduplication window:** 60d")],

  MAX_LAG_SECONDS: [at("consistency[].acceptableLag", "5.1 Consistency Model", "| Eventual | 300s |")],
  SERVICE_1: [at("sagas[].nodes[].service", saga, "participant S1 as Stock")],
  SERVICE_2: [at("sagas[].nodes[].service", saga, "participant S2 as Payments")],
  SERVICE_3: [at("sagas[].nodes[].service", saga, "participant S3 as Shipments")],
  STEP_1: [at("sagas[].nodes[].name", saga, "| reserve |")],
  STEP_2: [at("sagas[].nodes[].name", saga, "| charge |")],
  COMPENSATION_1: [at("sagas[].nodes[].compensation", saga, "| release the reservation; nothing")],
  COMPENSATION_2: [at("sagas[].nodes[].compensation", saga, "| refund what was charged |")],
  NOTES: [
    at("sagas[].nodes[].compensationRetry", saga, "none | tried again 10 times"),
    at("sagas[].nodes[].retry", saga, "the step itself: tried again 3 times")
  ],

  PACT_BROKER_URL: [at("pactBroker", "6.1 Contract Testing (Pact)", "`https://pact.acme.com`")],
  SCENARIO_1: [at("scenarios.happy[0]", "6.3 Test Scenarios", "An order is placed — one charge")],
  SCENARIO_2: [at("scenarios.happy[1]", "6.3 Test Scenarios", "A charge is refunded — the order")],

  name: [
    at("contracts[].contract.key", metrics, "integration_payments_requests_total"),
    at("contracts[].contract.key", metrics, "integration_payments_error_rate"),
    at("contracts[].contract.key", metrics, "integration_payments_latency_p99_ms"),
    at("contracts[].contract.key", metrics, "integration_payments_circuit_open`"),
    at("consumers[].name", metrics, "integration_billing_dlq_depth"),
    at("consumers[].name", metrics, "integration_billing_consumer_lag")
  ],
  THRESHOLD: [
    at("monitoring.errorRate", metrics, "> 2% for 5m | HIGH"),
    at("monitoring.latencyP99", metrics, "> 3000ms for 5m | MEDIUM"),
    at("monitoring.errorRate", routing, "| Error rate > 2% | PagerDuty Checkout | On-call engineer |")
  ],
  LAG_THRESHOLD: [at("monitoring.lag", metrics, "> 1000 messages or > 5m old | HIGH")],
  SAMPLE_RATE: [at("environments[].sampling", tracing, "5% in Production")],
  TRACING_TOOL: [at("tracing.tool", tracing, "Tracing tool: Tempo")],
  DASHBOARD_URL: [at("tracing.dashboard", tracing, "dashboard: https://grafana.acme.com/explore")],
  CHANNEL: [
    at("alerts[].channels", routing, "+ Slack #checkout-alerts | On-call engineer"),
    at("alerts[].channels", routing, "| Slack #checkout-alerts | Checkout team | 1h |")
  ]
}
