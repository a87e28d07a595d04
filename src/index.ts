/**
 * Everything that needs only `effect`. Each folder is a subpath too, such as `effect-integration/policy`.
 *
 * @since 0.1.0
 */
export * from "./event/index.ts"
export * from "./http/index.ts"
export * as Integration from "./Integration.ts"
export * from "./policy/index.ts"
export * from "./saga/index.ts"
export * as Telemetry from "./Telemetry.ts"
