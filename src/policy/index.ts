/**
 * What one call may do, whatever the wire (section 3 of the document).
 *
 * @since 0.1.0
 */
export * as Bulkhead from "./Bulkhead.ts"
export * as CircuitBreaker from "./CircuitBreaker.ts"
export * as CircuitBreakers from "./CircuitBreakers.ts"
export * as ErrorAction from "./ErrorAction.ts"
export { InvalidOption } from "./InvalidOption.ts"
export * as OperationKey from "./OperationKey.ts"
export * as Policy from "./Policy.ts"
export * as RateLimit from "./RateLimit.ts"
export * as RequestContext from "./RequestContext.ts"
export * as RetryPolicy from "./RetryPolicy.ts"
export * as Timeouts from "./Timeouts.ts"
