/** The flagship with one of its parts replaced. */
import { options } from "../../examples/orders-to-payments/design.ts"
import { api, Payments } from "../../examples/orders-to-payments/payments.ts"
import { Markdown } from "../../src/document/index.ts"
import type { Channel, Consumer } from "../../src/event/index.ts"
import { HttpContract, type HttpPolicy } from "../../src/http/index.ts"
import { Integration } from "../../src/index.ts"
import type { Saga } from "../../src/saga/index.ts"

export const [agreed, ...otherContracts] = options.contracts as ReadonlyArray<Integration.Contract>
export const topics = options.channels as ReadonlyArray<Integration.Topic>

/** The flagship with other options. */
export const designOf = (over: Partial<Integration.Options>): Integration.Integration =>
  Integration.make("orders-to-payments", { ...options, ...over })

export const textOf = (over: Partial<Integration.Options>): string => Markdown.render(designOf(over))

/** The policies of the flagship's contract. */
export const policies = Payments.contract as unknown as HttpPolicy.Any

/** The flagship's contract with some of its policies replaced; `undefined` leaves one out. */
export const contractWith = (over: {
  readonly [K in keyof HttpPolicy.Any]?: HttpPolicy.Any[K] | undefined
}): HttpContract.Any => {
  const given = Object.entries({ ...policies, api, ...over }).filter(([, value]) => value !== undefined)
  return HttpContract.Service<any>()("payments", Object.fromEntries(given) as any) as unknown as HttpContract.Any
}

/** The options of the flagship with another contract. */
export const withContract = (
  contract: HttpContract.Any,
  beside: Partial<Integration.Contract> = {}
): Partial<Integration.Options> => ({ contracts: [{ ...agreed!, contract, ...beside }, ...otherContracts] })

/** The options of the flagship with another channel, whose consumers are on it. */
export const withChannel = (channel: Channel.Any, beside: Partial<Integration.Topic> = {}) => ({
  channels: topics.map((topic) => (topic.channel.name === channel.name ? { ...topic, ...beside, channel } : topic)),
  consumers: options.consumers!.map((each): Consumer.Any =>
    each.channel.name === channel.name ? { ...each, channel } : each
  )
})

/** The options of the flagship with another consumer. */
export const withConsumer = (consumer: Consumer.Any): Partial<Integration.Options> => ({
  consumers: options.consumers!.map((each) => (each.name === consumer.name ? consumer : each))
})

export const withSaga = (saga: Saga.Any): Partial<Integration.Options> => ({ sagas: [saga] })
