/**
 * Section 7 of the document: alerts, rules for Prometheus, dashboards, health and synthetic probes.
 *
 * @since 0.1.0
 */
export * as Alert from "./Alert.ts"
export * as AlertChannel from "./AlertChannel.ts"
export * as Alertmanager from "./Alertmanager.ts"
export * as Alerts from "./Alerts.ts"
export * as Grafana from "./Grafana.ts"
export * as Health from "./Health.ts"
export * as HealthCheck from "./HealthCheck.ts"
export * as HealthReport from "./HealthReport.ts"
export * as HealthRoute from "./HealthRoute.ts"
export * as Metrics from "./Metrics.ts"
export * as PagerDuty from "./PagerDuty.ts"
export * as PrometheusRules from "./PrometheusRules.ts"
export * as Rule from "./Rule.ts"
export * as Slack from "./Slack.ts"
export * as SyntheticProbe from "./SyntheticProbe.ts"
export * as Tracing from "./Tracing.ts"
