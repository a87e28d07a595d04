/**
 * Contracts over HTTP (section 3.1 of the document), for the caller's and the provider's side.
 *
 * @since 0.1.0
 */
export * as Authentication from "./Authentication.ts"
export * as CallError from "./CallError.ts"
export * as HttpContract from "./HttpContract.ts"
export * as HttpPolicy from "./HttpPolicy.ts"
export * as Idempotency from "./Idempotency.ts"
export * as IdempotencyMiddleware from "./IdempotencyMiddleware.ts"
export * as IdempotencyStore from "./IdempotencyStore.ts"
export * as RateLimitMiddleware from "./RateLimitMiddleware.ts"
export * as RequestIdMiddleware from "./RequestIdMiddleware.ts"
export * as StatusTable from "./StatusTable.ts"
