import type { Snapshot } from "../../Snapshot.ts"
import { type Change, differences } from "./change.ts"
import { byRules, type Rule } from "./rules.ts"

const overview = "1 Integration Overview & Context"

/** What has changed in what people have written down. */
export const overviewChanges = (before: Snapshot, after: Snapshot): ReadonlyArray<Change> =>
  byRules(rules, [...differences(before.name, after.name, ["name"]), ...differences(before.overview, after.overview)], {
    subject: after.name,
    section: (title) => title
  })

const section = (at: string, title: string, kind: Rule["kind"] = "documentation"): Rule => ({
  at,
  kind,
  section: title
})

const rules: ReadonlyArray<Rule> = [
  section("history", "Document History"),
  section("topology.**", "2 Integration Topology Diagram"),
  section("consistency.**", "5.1 Consistency Model"),
  section("pactBroker", "6.1 Contract Testing (Pact)"),
  section("environments.*.sampling", "7.2 Distributed Tracing"),
  section("environments.**", "6.2 Integration Test Environments"),
  {
    ...section("probes.**", "6.2 Integration Test Environments", "behavioural"),
    consequences: () => ["downtime is noticed by it sooner or later than before"]
  },
  section("scenarios.**", "6.3 Test Scenarios"),
  section("monitoring.dashboard", "7.1 Key Metrics"),
  {
    ...section("monitoring.**", "7.1 Key Metrics", "behavioural"),
    consequences: () => ["alert rules that are made from the design change"]
  },
  section("tracing.**", "7.2 Distributed Tracing"),
  section("alerts.**", "7.3 Alert Routing", "behavioural"),
  section("approvals", "Approval"),
  section("acknowledged.**", overview),
  {
    ...section("rtoMillis", overview),
    what: "acceptable downtime (RTO)",
    consequences: () => ["what it is compared with is in the findings"]
  },
  { ...section("rpoMillis", overview), what: "acceptable data loss (RPO)" },
  section("**", overview)
]
