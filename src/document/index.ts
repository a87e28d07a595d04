/**
 * The document, rendered from the values that run.
 *
 * @since 0.1.0
 */
export * as AsyncApi from "./AsyncApi.ts"
export * as Diff from "./Diff.ts"
export * as Findings from "./Findings.ts"
export * as Html from "./Html.ts"
export * as Markdown from "./Markdown.ts"
export * as OpenApi from "./OpenApi.ts"
export * as SagaDocument from "./SagaDocument.ts"
export * as Snapshot from "./Snapshot.ts"
export * as Topology from "./Topology.ts"
export * as WorstCase from "./WorstCase.ts"
