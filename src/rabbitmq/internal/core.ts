import type * as Semaphore from "effect/Semaphore"
import type { Connection } from "./connection.ts"
import type { Plans } from "./plan.ts"
import type { Publisher } from "./publisher.ts"
import type { Settings } from "./settings.ts"

/** The consumers of one subscription, for its health. */
export interface Registered {
  readonly channel: string
  readonly group: string
  readonly wanted: number
  readonly present: () => number
  readonly problem: () => string | undefined
}

/** What the parts of a broker share. */
export interface Core {
  readonly settings: Settings
  readonly publishing: Connection
  /** Declares, too: a broker that blocks publishers does not read what they ask. */
  readonly consuming: Connection
  readonly publisher: Publisher
  readonly plans: Plans
  readonly subscriptions: Set<Registered>
  /** Held by the one session of this process that may try messages which were redelivered. */
  readonly probation: Semaphore.Semaphore
  /** Each count needs an AMQP channel, of which a connection has only so many: consumers need them. */
  readonly counting: Semaphore.Semaphore
}
