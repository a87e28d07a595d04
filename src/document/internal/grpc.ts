import type * as Integration from "../../Integration.ts"
import * as Blocks from "./blocks.ts"
import { directionOf } from "./graph.ts"

/** A gRPC service of section 3, as its proto file says it. */
export const grpc = (
  design: Integration.Integration,
  { direction, messages, methods, name, service }: Integration.GrpcService,
  number: string
): ReadonlyArray<Blocks.Block> => {
  const { from, to } = directionOf(design, direction)
  const stream = (streams: boolean | undefined) => (streams === true ? "stream " : "")
  const proto = [
    `service ${service} {`,
    ...methods.map(
      (method) => `  rpc ${method.name} (${method.request}) returns (${stream(method.streams)}${method.response});`
    ),
    "}",
    ...Object.entries(messages).flatMap(([message, fields]) => [
      "",
      `message ${message} {`,
      ...fields.map((field, index) => `  ${field.type} ${field.name} = ${index + 1};`),
      "}"
    ])
  ]
  return [
    Blocks.heading(3, `${number} Integration: ${name}`),
    Blocks.lines(
      Blocks.field("Protocol", "gRPC"),
      Blocks.field("Direction", `${Blocks.given(from)} → ${Blocks.given(to)}`),
      [Blocks.strong("Service definition:")]
    ),
    Blocks.codeBlock("proto", proto.join("\n")),
    Blocks.note("Agreed upon, and called by code of its own: the policies of this document do not act on it.")
  ]
}
