/**
 * What every backend of the `Broker` service must do, as tests for any test runner.
 *
 * **When to use**
 *
 * Use to prove a backend of your own, or your server with the settings of your operations.
 *
 * **Details**
 *
 * Each test uses channels of its own, whose names begin with `suite-` and are new in each run, so several runs may share
 * a server. An error of the broker is the error of the test; a broken promise is a defect, an `AssertionError` that says
 * what was expected.
 *
 * **Gotchas**
 *
 * - Queues stay on the server. Run against a virtual host or a namespace that you drop.
 * - In test time the backend must run on the `TestClock`, in no other real time than promises take.
 *
 * **Example** (With Vitest)
 *
 * ```ts
 * import { describe, it } from "@effect/vitest"
 * import { Effect } from "effect"
 * import { MemoryBroker } from "effect-integration/event"
 * import { BrokerSuite } from "effect-integration/testing"
 *
 * describe("my broker", () => {
 *   for (const { name, run } of BrokerSuite.make({
 *     time: "test",
 *     delays: true,
 *     partitions: true,
 *     persistent: false,
 *     headerTypes: "all",
 *     givenBack: "place",
 *     maxAge: true,
 *     maxMessages: "exact"
 *   })) {
 *     it.effect(name, () => Effect.provide(run, MemoryBroker.layer))
 *   }
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { Broker } from "../event/Broker.ts"
import type { BrokerError, PublishError } from "../event/BrokerError.ts"
import * as Option from "../internal/option.ts"
import { deadLetters } from "./internal/brokerSuiteDeadLetters.ts"
import { depth } from "./internal/brokerSuiteDepth.ts"
import type { Features } from "./internal/brokerSuiteFeatures.ts"
import { groups } from "./internal/brokerSuiteGroups.ts"
import { messages } from "./internal/brokerSuiteMessages.ts"
import { order } from "./internal/brokerSuiteOrder.ts"
import { retention } from "./internal/brokerSuiteRetention.ts"
import { retries } from "./internal/brokerSuiteRetries.ts"
import { settlement } from "./internal/brokerSuiteSettlement.ts"
import { shutdown } from "./internal/brokerSuiteShutdown.ts"

export type { Features } from "./internal/brokerSuiteFeatures.ts"

/**
 * One promise, and the program that proves it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Test {
  /** Unique in the suite: `retry: a short delay does not wait for a long one before it`. */
  readonly name: string
  readonly run: Effect.Effect<void, BrokerError | PublishError, Broker>
}

const where = "BrokerSuite.make"

/**
 * The tests of a backend with these features. They may run at the same time.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (features: Features): ReadonlyArray<Test> => {
  Option.word(where, "time", features.time, ["test", "real"])
  Option.word(where, "headerTypes", features.headerTypes, ["all", "text"])
  Option.word(where, "maxMessages", features.maxMessages, ["exact", "approximate", "none"])
  Option.word(where, "givenBack", features.givenBack, ["place", "front"])
  if (features.messages !== undefined) Option.number(where, "messages", features.messages, { min: 1, integer: true })
  if (features.patience !== undefined) Option.millis(where, "patience", features.patience)
  return [messages, groups, settlement, retries, order, shutdown, deadLetters, depth, retention].flatMap((part) =>
    part(features)
  )
}
