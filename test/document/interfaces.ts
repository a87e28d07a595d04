/** The fields that a design can have, read from the sources of its interfaces. */
import ts from "typescript"
import { sources } from "../house/Sources.ts"

/** Each interface that a design is made of, by the name that its fields have here. */
export const interfaces = {
  options: ["Integration.ts", "Options"],
  party: ["integration/Agreement.ts", "Party"],
  agreed: ["integration/Agreement.ts", "Contract"],
  grpc: ["integration/Agreement.ts", "GrpcService"],
  topic: ["integration/Agreement.ts", "Topic"],
  consistency: ["integration/Paper.ts", "Consistency"],
  environment: ["integration/Operation.ts", "Environment"],
  scenario: ["integration/Paper.ts", "Scenario"],
  monitoring: ["integration/Operation.ts", "Monitoring"],
  probe: ["integration/Operation.ts", "Probe"],
  route: ["integration/Operation.ts", "Route"],
  approval: ["integration/Paper.ts", "Approval"],
  acknowledged: ["integration/Paper.ts", "Acknowledged"],
  contract: ["http/HttpPolicy.ts", "Options"],
  row: ["http/StatusTable.ts", "Row"],
  credentials: ["http/Authentication.ts", "ClientCredentialsOptions"],
  retry: ["policy/RetryPolicy.ts", "RetryPolicy"],
  breaker: ["policy/CircuitBreaker.ts", "Options"],
  rateLimit: ["policy/RateLimit.ts", "Options"],
  bulkhead: ["policy/Bulkhead.ts", "Options"],
  timeouts: ["policy/Timeouts.ts", "Timeouts"],
  channel: ["event/Channel.ts", "Channel"],
  retention: ["event/Channel.ts", "Retention"],
  existing: ["event/Channel.ts", "Existing"],
  event: ["event/EventType.ts", "EventType"],
  consumer: ["event/Consumer.ts", "Resolved"],
  saga: ["saga/internal/definition.ts", "Definition"],
  step: ["saga/internal/definition.ts", "StepNode"],
  parallel: ["saga/internal/definition.ts", "ParallelNode"],
  wait: ["saga/internal/definition.ts", "WaitNode"],
  delay: ["saga/internal/definition.ts", "DelayNode"]
} as const

/** The fields of all interfaces, for example `breaker.openFor`; those of a field that is an object itself after a dot. */
export const fields = (): ReadonlyArray<string> => {
  const texts = sources()
  return Object.entries(interfaces).flatMap(([name, [file, type]]) => {
    const source = ts.createSourceFile(file, texts.get(file)!, ts.ScriptTarget.Latest)
    const found = source.statements.filter(ts.isInterfaceDeclaration).find((each) => each.name.text === type)
    if (found === undefined) throw new Error(`no interface ${type} in ${file}`)
    return found.members.flatMap((member) => namesOf(member, name))
  })
}

const namesOf = (member: ts.TypeElement, above: string): ReadonlyArray<string> => {
  if (!ts.isPropertySignature(member) || !(ts.isIdentifier(member.name) || ts.isStringLiteral(member.name))) return []
  // `_tag` and markers of types, such as `~Error`.
  if (/^[_~]/.test(member.name.text)) return []
  const name = `${above}.${member.name.text}`
  const below = literals(member.type).flatMap(({ members }) => members.flatMap((each) => namesOf(each, name)))
  return below.length > 0 ? [...new Set(below)] : [name]
}

/** The objects that a type is written out of: itself, the elements of an array, the members of a union. */
const literals = (type: ts.TypeNode | undefined): ReadonlyArray<ts.TypeLiteralNode> => {
  if (type === undefined) return []
  if (ts.isTypeLiteralNode(type)) return [type]
  if (ts.isUnionTypeNode(type)) return type.types.flatMap(literals)
  if (ts.isTypeReferenceNode(type)) return (type.typeArguments ?? []).flatMap(literals)
  return []
}
