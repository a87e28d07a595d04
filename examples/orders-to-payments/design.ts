/**
 * Orders to Payments: the whole design as one value. `DOCUMENT.md` beside it is rendered from it:
 * `npx tsx examples/orders-to-payments/write.ts`.
 */
import { Integration } from "effect-integration"
import { Billing, Orders, OrderStatus, Settlements, Shipments } from "./orders.ts"
import { Payments } from "./payments.ts"
import { PlaceOrder } from "./placing.ts"

export const options: Integration.Options = {
  project: "Checkout",
  version: "1.2",
  date: "2026-11-23",
  author: "Ada Okafor",
  status: "In Review",
  reviewers: ["Linus Berg", "Mei Tanaka"],
  history: [
    { version: "0.1", date: "2026-09-14", author: "Ada Okafor", changes: "Initial draft" },
    { version: "1.0", date: "2026-10-19", author: "Ada Okafor", changes: "Approved for the pilot tenants" },
    { version: "1.2", date: "2026-11-23", author: "Mei Tanaka", changes: "Refunds, and the settlements channel" }
  ],
  purpose: "Orders are charged when they are placed, each exactly once, and the shop learns what became of the money",
  criticality: "critical",
  impactIfDown: "Orders are taken but not charged; shipping stops after about one hour",
  rto: "1 hour",
  rpo: "0 seconds",
  parties: {
    consumer: { system: "Shop", service: "Order Service", team: "Checkout", contact: "checkout@acme.com" },
    provider: { system: "Payments", service: "Payments API", team: "Money", contact: "money-oncall@acme.com" }
  },
  topology: { gateway: "API Gateway", providerDatabase: "Payments DB", worker: "Settlement Worker" },
  contracts: [
    {
      contract: Payments,
      baseUrl: "https://payments.acme.com",
      tokenEndpoint: "https://login.acme.com/oauth/token",
      direction: { from: "Shop", to: "Payments" },
      rotation: { every: "90 days", process: "the secrets vault; the old secret stays valid for 24 hours" },
      callers: ["billing", "place-order"],
      callerBudget: "30 seconds",
      keyRetention: "90 days"
    }
  ],
  grpc: [
    {
      name: "stock",
      service: "StockService",
      direction: { from: "Shop", to: "Stock" },
      methods: [
        { name: "Reserve", request: "ReserveRequest", response: "Reservation" },
        { name: "Watch", request: "ReserveRequest", response: "Reservation", streams: true }
      ],
      messages: {
        ReserveRequest: [
          { type: "string", name: "id" },
          { type: "string", name: "tenant_id" },
          { type: "string", name: "order_id" }
        ],
        Reservation: [
          { type: "string", name: "id" },
          { type: "bool", name: "reserved" },
          { type: "google.protobuf.Timestamp", name: "created_at" }
        ]
      }
    }
  ],
  channels: [
    {
      channel: Orders,
      producer: "Order Service",
      notes: "A tenant's orders are charged in the order in which they were placed",
      durability: "replicated",
      replayHorizon: "30 days",
      eventsPerMinute: 300,
      processes: 3
    },
    {
      channel: Settlements,
      producer: "Settlement Worker",
      notes: "Each event says the new state; the last one wins",
      durability: "replicated",
      replayHorizon: "30 days",
      eventsPerMinute: 300,
      processes: 2
    },
    {
      channel: Shipments,
      producer: "Order Service",
      notes: "Shipments do not depend on each other",
      durability: "replicated",
      replayHorizon: "30 days",
      eventsPerMinute: 300,
      processes: 2
    }
  ],
  consumers: [Billing, OrderStatus],
  sagas: [PlaceOrder],
  consistency: [
    { data: "The state of an order", model: "eventual", acceptableLag: "5 minutes" },
    { data: "The orders of one tenant", model: "causal", acceptableLag: "15 minutes" },
    { data: "The ledger of payments", model: "strong", acceptableLag: "0 seconds" }
  ],
  pactBroker: "https://pact.acme.com",
  environments: [
    { name: "Local", purpose: "Dev testing with mocked provider", trigger: "Manual", sampling: 100 },
    { name: "Staging", purpose: "Full integration with staging provider", trigger: "Every PR merge", sampling: 100 },
    { name: "Production", purpose: "Synthetic monitoring", trigger: "Every 5 minutes", sampling: 5 }
  ],
  scenarios: {
    happy: [
      { name: "An order is placed", expected: "one charge, the order is paid, the shipment is ordered" },
      { name: "A charge is refunded", expected: "the order is refused and its stock released" }
    ],
    error: [{ name: "The card is declined", expected: "402, no retry, the reservation is released" }]
  },
  monitoring: {
    errorRate: { percent: 2, for: "5 minutes", severity: "high" },
    latencyP99: { limit: "3 seconds", for: "5 minutes", severity: "medium" },
    lag: { messages: 1000, age: "5 minutes", severity: "high" },
    circuitOpen: { severity: "critical" },
    deadLetters: { severity: "high" },
    outboxAge: { limit: "1 minute", severity: "high" },
    sagaStuck: { severity: "critical" },
    probeFailed: { severity: "critical" },
    dashboard: "https://grafana.acme.com/d/orders-to-payments"
  },
  probes: [{ name: "charge-one-cent", every: "5 minutes" }],
  tracing: { tool: "Tempo", dashboard: "https://grafana.acme.com/explore/orders-to-payments" },
  alerts: [
    {
      condition: "circuit open",
      channels: ["PagerDuty Checkout", "Slack #checkout-alerts"],
      escalation: "On-call engineer",
      investigateWithin: "5 minutes",
      runbook: "https://runbooks.acme.com/payments/circuit"
    },
    {
      condition: "dead letters",
      channels: ["Slack #checkout-alerts"],
      escalation: "Checkout team",
      investigateWithin: "1 hour",
      runbook: "https://runbooks.acme.com/payments/dead-letters"
    },
    {
      condition: "error rate",
      channels: ["PagerDuty Checkout"],
      escalation: "On-call engineer",
      investigateWithin: "5 minutes",
      runbook: "https://runbooks.acme.com/payments/errors"
    },
    {
      condition: "latency",
      channels: ["Slack #checkout-alerts"],
      escalation: "Checkout team",
      investigateWithin: "1 hour",
      runbook: "https://runbooks.acme.com/payments/latency"
    },
    {
      condition: "consumer lag",
      channels: ["PagerDuty Checkout"],
      escalation: "On-call engineer",
      investigateWithin: "15 minutes",
      runbook: "https://runbooks.acme.com/payments/lag"
    },
    {
      condition: "saga stuck",
      channels: ["PagerDuty Checkout"],
      escalation: "On-call engineer",
      investigateWithin: "15 minutes",
      runbook: "https://runbooks.acme.com/orders/stuck"
    },
    {
      condition: "outbox age",
      channels: ["PagerDuty Checkout"],
      escalation: "On-call engineer",
      investigateWithin: "15 minutes",
      runbook: "https://runbooks.acme.com/orders/outbox"
    },
    {
      condition: "probe failed",
      channels: ["PagerDuty Checkout"],
      escalation: "On-call engineer",
      investigateWithin: "5 minutes",
      runbook: "https://runbooks.acme.com/payments/probe"
    },
    {
      condition: "engineering",
      channels: ["Slack #checkout-alerts"],
      escalation: "Checkout team",
      investigateWithin: "1 day",
      runbook: "https://runbooks.acme.com/payments/contract"
    },
    {
      condition: "escalation",
      channels: ["Slack #money"],
      escalation: "Product owner of payments",
      investigateWithin: "1 day",
      runbook: "https://runbooks.acme.com/payments/business-rules"
    }
  ],
  approvals: [
    { role: "Author", name: "Ada Okafor", date: "2026-11-20", signature: "A. Okafor" },
    { role: "Consumer Team Lead", name: "Linus Berg", date: "2026-11-20", signature: "L. Berg" },
    { role: "Provider Team Lead", name: "Mei Tanaka", date: "2026-11-21", signature: "M. Tanaka" },
    { role: "Platform/Infra", name: "Omar Haddad", date: "2026-11-22", signature: "O. Haddad" },
    { role: "Approver", name: "Ines Duarte", date: "2026-11-23", signature: "I. Duarte" }
  ],
  acknowledged: [
    ...["orders", "settlements", "shipments"].map((channel) => ({
      finding: `dead-letters-discarded/${channel}`,
      reason: "They are replayed or written off within a working day; personal data is not kept for longer than 30 days"
    })),
    {
      finding: "events-ignored/shipments",
      reason: "The warehouse reads orders to ship, and no other event that may be added to the channel"
    },
    {
      finding: "ladder-breaks-order/order-status",
      reason: "Each event names the state before it, so the order book ignores one that comes late"
    },
    {
      finding: "retries-multiply/billing/payments",
      reason: "The provider has agreed to it: every attempt carries the same idempotency key"
    }
  ]
}

export default Integration.make("orders-to-payments", options)
