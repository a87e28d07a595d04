import * as Schema from "effect/Schema"
import type * as Integration from "../../../Integration.ts"
import { given } from "./times.ts"

/** A gRPC service. Its messages are lists, since the place of a field is its number. */
export const Service = Schema.Struct({
  /** The number of its section, after those of the contracts. */
  position: Schema.Int,
  service: Schema.String,
  direction: Schema.optionalKey(Schema.Struct({ from: Schema.String, to: Schema.String })),
  methods: Schema.Record(
    Schema.String,
    Schema.Struct({ request: Schema.String, response: Schema.String, streams: Schema.Boolean })
  ),
  messages: Schema.Record(Schema.String, Schema.Array(Schema.Struct({ name: Schema.String, type: Schema.String })))
})

export const serviceOf = (each: Integration.GrpcService, position: number): typeof Service.Type =>
  given({
    position,
    service: each.service,
    direction: each.direction,
    methods: Object.fromEntries(
      each.methods.map(({ name, request, response, streams = false }) => [name, { request, response, streams }])
    ),
    messages: Object.fromEntries(
      Object.entries(each.messages).map(([message, fields]) => [
        message,
        fields.map(({ name, type }) => ({ name, type }))
      ])
    )
  })
