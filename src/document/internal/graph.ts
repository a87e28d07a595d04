import type * as Integration from "../../Integration.ts"
import { notGiven } from "./blocks.ts"
import * as RabbitMq from "../../rabbitmq/Queues.ts"
import * as Queues from "./queues.ts"

/** What the integration is made of and how it hangs together, from which both drawings of the topology are made. */
export interface Graph {
  readonly groups: ReadonlyArray<Group>
  readonly edges: ReadonlyArray<Edge>
}

export interface Group {
  readonly id: "ConsumerSide" | "Integration" | "ProviderSide" | "Others" | "Alerts"
  readonly title: string
  readonly nodes: ReadonlyArray<Node>
}

export interface Node {
  readonly id: string
  readonly shape: "service" | "policy" | "queue" | "database" | "alert"
  /** The label, line by line. */
  readonly lines: ReadonlyArray<string>
}

export interface Edge {
  readonly from: string
  readonly to: string
  readonly label?: string
}

/** Nodes and edges, found one by one. */
class Builder {
  readonly nodes: Record<Group["id"], Array<Node>> = {
    ConsumerSide: [],
    Integration: [],
    ProviderSide: [],
    Others: [],
    Alerts: []
  }
  readonly edges: Array<Edge> = []
  readonly #others = new Map<string, string>()
  readonly #services: ReadonlyMap<string, string>
  readonly design: Integration.Integration

  constructor(design: Integration.Integration) {
    this.design = design
    const { consumer, provider } = design.parties ?? {}
    const worker = design.topology?.worker
    this.#services = new Map([
      ...[provider?.system, provider?.service].map((name) => [name ?? "", "P_SVC"] as const),
      ...[consumer?.system, consumer?.service].map((name) => [name ?? "", "C_SVC"] as const),
      ...(worker === undefined ? [] : [[worker, "P_WORKER"] as const])
    ])
  }
  add(group: Group["id"], id: string, shape: Node["shape"], ...lines: ReadonlyArray<string>): string {
    this.nodes[group].push({ id, shape, lines })
    return id
  }
  connect(from: string, to: string, label?: string): void {
    this.edges.push(label === undefined ? { from, to } : { from, to, label })
  }
  /** The node of a system or service: of one of the parties, or of somebody else. */
  nodeOf(name: string): string {
    const known = this.#services.get(name) ?? this.#others.get(name)
    if (known !== undefined) return known
    const id = this.add("Others", `X${this.#others.size + 1}`, "service", name)
    this.#others.set(name, id)
    return id
  }
}

/** The topology of a design: only what is in it. */
export const graphOf = (design: Integration.Integration): Graph => {
  const { parties, topology } = design
  const builder = new Builder(design)
  builder.add("ConsumerSide", "C_SVC", "service", parties?.consumer?.service ?? parties?.consumer?.system ?? "Consumer")
  builder.add("ProviderSide", "P_SVC", "service", parties?.provider?.service ?? parties?.provider?.system ?? "Provider")
  if (topology?.providerDatabase !== undefined) {
    builder.connect("P_SVC", builder.add("ProviderSide", "P_DB", "database", topology.providerDatabase))
  }
  if (topology?.worker !== undefined) builder.add("ProviderSide", "P_WORKER", "service", topology.worker)
  if (topology?.gateway !== undefined && design.contracts.length > 0) {
    builder.add("Integration", "GW", "policy", topology.gateway)
  }
  for (const [index, contract] of design.contracts.entries()) call(builder, contract, index + 1)
  for (const service of design.grpc) {
    const { from, to } = directionOf(design, service.direction)
    const target = builder.nodeOf(to ?? service.service)
    builder.connect(from === undefined ? "C_SVC" : builder.nodeOf(from), target, "gRPC")
  }
  for (const [index, topic] of design.channels.entries()) channel(builder, topic, index + 1)
  const title = (side: string, system: string | undefined) => `${side} — ${system ?? notGiven}`
  const groups: ReadonlyArray<Group> = [
    {
      id: "ConsumerSide",
      title: title("Consumer", parties?.consumer?.system),
      nodes: builder.nodes.ConsumerSide
    },
    { id: "Integration", title: "Integration Layer", nodes: builder.nodes.Integration },
    { id: "ProviderSide", title: title("Provider", parties?.provider?.system), nodes: builder.nodes.ProviderSide },
    { id: "Others", title: "Others", nodes: builder.nodes.Others },
    { id: "Alerts", title: "Alert System", nodes: builder.nodes.Alerts }
  ]
  return { groups: groups.filter(({ nodes }) => nodes.length > 0), edges: builder.edges }
}

/** Who calls whom: as the contract says, or from the consumer to the provider. */
export const directionOf = (
  { parties }: Integration.Integration,
  given: { readonly from: string; readonly to: string } | undefined
): { readonly from: string | undefined; readonly to: string | undefined } =>
  given ?? { from: parties?.consumer?.system, to: parties?.provider?.system }

const call = (builder: Builder, { contract, direction }: Integration.Contract, index: number): void => {
  const { from, to } = directionOf(builder.design, direction)
  const { breaker, retry } = contract.contract
  let last = from === undefined ? "C_SVC" : builder.nodeOf(from)
  const side = last === "P_SVC" || last === "P_WORKER" ? "ProviderSide" : last === "C_SVC" ? "ConsumerSide" : "Others"
  const step = (id: string, what: string) => {
    builder.connect(last, builder.add(side, `${id}${index}`, "policy", what, contract.key))
    last = `${id}${index}`
  }
  if (breaker !== undefined) {
    step("CB", "Circuit Breaker")
    alert(builder, "circuit open", last)
  }
  if (retry !== undefined && retry.maxRetries > 0) step("RETRY", "Retry Handler")
  const target = to === undefined ? "P_SVC" : builder.nodeOf(to)
  const gateway = builder.nodes.Integration.some(({ id }) => id === "GW")
  if (!gateway) return builder.connect(last, target, "HTTPS REST")
  builder.connect(last, "GW", "HTTPS REST")
  if (!builder.edges.some((edge) => edge.from === "GW" && edge.to === target)) builder.connect("GW", target)
}

const channel = (builder: Builder, { channel, producer }: Integration.Topic, index: number): void => {
  const groups = Queues.groupsOf(builder.design, channel)
  const from = producer === undefined ? undefined : builder.nodeOf(producer)
  if (groups.length === 0) {
    const id = builder.add("Integration", `T${index}`, "queue", "Channel without consumers", channel.name)
    if (from !== undefined) builder.connect(from, id, "Publish")
  }
  for (const [at, group] of groups.entries()) {
    const queue = `Q${index}_${at + 1}`
    builder.add("Integration", queue, "queue", "Message Queue", Queues.rangeOf(RabbitMq.queuesOf(channel, group.name)))
    const dead = builder.add(
      "Integration",
      `DLQ${index}_${at + 1}`,
      "queue",
      "Dead Letter Queue",
      RabbitMq.deadQueueOf(channel, group.name)
    )
    if (from !== undefined) builder.connect(from, queue, "Publish")
    const to = group.consumer === undefined ? builder.nodeOf(group.name) : "C_SVC"
    builder.connect(queue, to, group.consumer === undefined ? "Consume" : `Consume: ${group.name}`)
    builder.connect(queue, dead, "Failed")
    alert(builder, "dead letters", dead)
  }
}

/** Who is told of a condition. The alert system is there only where somebody is. */
const alert = (builder: Builder, condition: Integration.Condition, from: string): void => {
  for (const route of builder.design.alerts.filter((each) => each.condition === condition)) {
    for (const name of route.channels) {
      const { Alerts } = builder.nodes
      const known = Alerts.find(({ lines }) => lines[0] === name)
      const to = known?.id ?? builder.add("Alerts", `A${Alerts.length + 1}`, "alert", name)
      if (!builder.edges.some((edge) => edge.from === from && edge.to === to)) builder.connect(from, to, "Alert")
    }
  }
}
