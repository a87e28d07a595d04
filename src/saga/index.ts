/**
 * Distributed transactions that are finished after any crash (section 5).
 *
 * @since 0.1.0
 */
export * as Saga from "./Saga.ts"
export * as SagaEngine from "./SagaEngine.ts"
export * as Sagas from "./Sagas.ts"
export * as SagaStore from "./SagaStore.ts"
export * from "./CurrentStep.ts"
export * from "./Outcome.ts"
export * from "./SagaError.ts"
