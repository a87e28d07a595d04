/**
 * Section 7 of the document: alerts, rules for Prometheus, dashboards, health and synthetic probes.
 *
 * @since 0.1.0
 */
export * as Rule from "./Rule.ts"
