import type * as Integration from "../../Integration.ts"
import * as Blocks from "./blocks.ts"
import { graphOf } from "./graph.ts"
import { topologySvg } from "./topologySvg.ts"
import * as Topology from "../Topology.ts"

const { field, given, givenTime, heading, table } = Blocks

/** The title, who wrote it, and its history. */
export const front = (design: Integration.Integration): ReadonlyArray<Blocks.Block> => [
  heading(1, "Integration Design Document"),
  Blocks.lines(
    field("Project", design.project),
    field("Integration", design.name),
    field("Version", design.version),
    field("Date", design.date),
    field("Author", design.author),
    field("Status", design.status),
    field("Reviewers", design.reviewers.length === 0 ? undefined : design.reviewers.join(", "))
  ),
  heading(2, "Document History"),
  table(
    ["Version", "Date", "Author", "Changes"],
    design.history.map(({ author, changes, date, version }) => [version, date, author, changes])
  )
]

const kinds: { readonly [K in Integration.Integration["kind"]]: string } = {
  synchronous: "Synchronous (REST/gRPC)",
  asynchronous: "Asynchronous (Events/Queue)",
  bidirectional: "Bidirectional",
  file: "File-based"
}

export const capital = (word: string): string => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`

/** Section 1. */
export const overview = (design: Integration.Integration): ReadonlyArray<Blocks.Block> => {
  const party = (role: string, each: Integration.Party | undefined) => [
    role,
    given(each?.system),
    given(each?.team),
    given(each?.contact)
  ]
  const { criticality, rpo, rto } = design
  return [
    heading(2, "1. Integration Overview & Context"),
    Blocks.lines(field("Integration Name", design.name), field("Type", kinds[design.kind])),
    Blocks.lines(field("Business Purpose", design.purpose)),
    Blocks.lines(field("Criticality", criticality === undefined ? undefined : capital(criticality))),
    Blocks.list([
      `Impact if down: ${given(design.impactIfDown)}`,
      `Acceptable downtime: ${givenTime(rto)}`,
      `Max data loss: ${givenTime(rpo)}`
    ]),
    Blocks.lines([Blocks.strong("Parties:")]),
    table(
      ["Party", "System", "Team", "Contact"],
      [party("Consumer (caller)", design.parties?.consumer), party("Provider (server)", design.parties?.provider)]
    )
  ]
}

/** Section 2. */
export const topology = (design: Integration.Integration): ReadonlyArray<Blocks.Block> => {
  const graph = graphOf(design)
  const both = design.contracts.some(({ contract: { contract } }) => contract.breaker && contract.retry)
  return [
    heading(2, "2. Integration Topology Diagram"),
    Blocks.drawing("Topology", Topology.flowchart(design), () => topologySvg(graph)),
    ...(both
      ? [
          Blocks.note(
            "The circuit breaker is drawn before the retry handler, as the caller sees it: an open circuit ends the call before anything else. " +
              "Each attempt asks it again; the whole order of composition is printed with each contract in section 3."
          )
        ]
      : [])
  ]
}
