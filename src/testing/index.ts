/**
 * Real servers for tests, with scripted faults.
 *
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 */
export * as BrokerSuite from "./BrokerSuite.ts"

/**
 * @since 0.1.0
 */
export * as DedupStoreSuite from "./DedupStoreSuite.ts"

/**
 * @since 0.1.0
 */
export * as OutboxSuite from "./OutboxSuite.ts"

/**
 * @since 0.1.0
 */
export * as ParkingSuite from "./ParkingSuite.ts"

/**
 * @since 0.1.0
 */
export * as Reply from "./Reply.ts"

/**
 * @since 0.1.0
 */
export * as RequestLimit from "./RequestLimit.ts"

/**
 * @since 0.1.0
 */
export * as Route from "./Route.ts"

/**
 * @since 0.1.0
 */
export * as StubProvider from "./StubProvider.ts"

/**
 * @since 0.1.0
 */
export * as TokenIssuer from "./TokenIssuer.ts"

/**
 * @since 0.1.0
 */
export * as Unreachable from "./Unreachable.ts"

export type { Outcome, RecordedRequest } from "./RecordedRequest.ts"
