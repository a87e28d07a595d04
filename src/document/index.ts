/**
 * The document, rendered from the values that run.
 *
 * @since 0.1.0
 */
export * as SagaDocument from "./SagaDocument.ts"
