import type * as Consumer from "../../event/Consumer.ts"
import type * as Channel from "../../event/Channel.ts"
import type * as Integration from "../../Integration.ts"

/** Several queues by the first and the last. */
export const rangeOf = (queues: ReadonlyArray<string>): string =>
  queues.length === 1 ? queues[0]! : `${queues[0]} to .${queues.length - 1}`

/** A group of a channel, with its consumer where that is part of the design. */
export interface Group {
  readonly name: string
  readonly consumer: Consumer.Any | undefined
}

/** Who consumes a channel: the consumers of the design, and the groups that the channel names beside them. */
export const groupsOf = (design: Integration.Integration, channel: Channel.Any): ReadonlyArray<Group> => {
  const own = design.consumers.filter((consumer) => consumer.channel.name === channel.name)
  const others = channel.consumers.filter((name) => !own.some((consumer) => consumer.name === name))
  return [
    ...own.map((consumer) => ({ name: consumer.name, consumer })),
    ...others.map((name) => ({ name, consumer: undefined }))
  ]
}
