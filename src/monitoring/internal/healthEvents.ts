import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Broker } from "../../event/Broker.ts"
import * as Consumers from "../../event/Consumers.ts"
import { DedupStore } from "../../event/DedupStore.ts"
import { Parking } from "../../event/Parking.ts"
import type * as Integration from "../../Integration.ts"
import type { Asked } from "./healthAsked.ts"
import type { Seen } from "./healthWatch.ts"

/** The connection, and of each subscription whether as many consumers are there as are wanted. */
export const broker = (context: Context.Context<never>): ReadonlyArray<Asked> => {
  const found = Context.getOption(context, Broker)
  if (Option.isNone(found)) return []
  const observe = Effect.map(found.value.health, ({ connected, problem, subscriptions }): ReadonlyArray<Seen> => [
    {
      key: "broker:connection",
      type: "component",
      status: connected ? (problem === undefined ? "pass" : "warn") : "fail",
      value: connected ? "connected" : "not connected",
      output: problem ?? "not connected"
    },
    ...subscriptions.map(({ channel, group, present, wanted }): Seen => {
      const missing = present < wanted
      return {
        key: `${group}:subscription`,
        type: "component",
        id: channel,
        status: missing ? "fail" : "pass",
        value: present,
        unit: "consumers",
        output: `${present} of ${wanted} consumers are there`
      }
    })
  ])
  return [{ name: "broker:connection", type: "component", part: "broker", observe }]
}

/**
 * The consumers of this process. One that is paused, by an operator or by an outage, is as somebody wants it: the outage is
 * told of by what is down.
 */
export const consumers = (
  design: Integration.Integration,
  context: Context.Context<never>,
  wanted: ReadonlyArray<string>
): Asked => ({
  name: "consumers",
  type: "component",
  part: "consumers",
  observe: Effect.map(Consumers.all, (all): ReadonlyArray<Seen> => {
    const running = new Set(all.map(({ name }) => name))
    return [
      ...all.map(ofConsumer),
      ...wanted
        .filter((name) => !running.has(name))
        .map((name): Seen => ({ ...absent, key: `${name}:consumer`, output: "does not run in this process" })),
      ...notAsked(design, context, running)
    ]
  })
})

const absent = { type: "component", status: "fail", value: "absent" } as const

const ofConsumer = ({ channel, name, reason, state }: Consumers.Status): Seen => ({
  key: `${name}:consumer`,
  type: "component",
  id: channel,
  status: state === "running" ? "pass" : state === "starting" ? "fail" : "warn",
  value: state,
  output: state === "starting" ? "is not subscribed yet" : (reason ?? "takes no messages")
})

/** What consumers of this process need and this layer was not given, so that nobody would know that it is down. */
const notAsked = (
  design: Integration.Integration,
  context: Context.Context<never>,
  running: ReadonlySet<string>
): ReadonlyArray<Seen> => {
  const here = design.consumers.filter(({ name }) => running.has(name))
  const has = (key: Context.Key<any, any>) => Option.isSome(Context.getOption(context, key))
  const missing = [
    ...(running.size > 0 && !has(Broker) ? ["Broker"] : []),
    ...(here.some(({ options }) => options.dedup !== undefined) && !has(DedupStore) ? ["DedupStore"] : []),
    ...(here.some(({ channel }) => channel.ordering._tag === "Strict") && !has(Parking) ? ["Parking"] : [])
  ]
  if (missing.length === 0) return []
  const output = `not asked, though consumers need it, since Health.layer was not given it: ${missing.join(", ")}`
  return [{ key: "health:coverage", type: "system", status: "warn", output }]
}
