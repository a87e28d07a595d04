import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"

type Method = (request: unknown) => Effect.Effect<unknown, unknown>
type Methods = Readonly<Record<string, Method | Readonly<Record<string, Method>>>>

/** A client of some methods. Whoever calls another is told which one the test has to give. */
export const make = (contract: string, api: HttpApi.Top, given: object): object => {
  const methods = given as Methods
  const client: Record<string, any> = {}
  HttpApi.reflect(api, {
    onGroup: ({ group }) => {
      if (!group.topLevel) client[group.identifier] = {}
    },
    onEndpoint: ({ endpoint, group }) => {
      const target = group.topLevel ? client : client[group.identifier]
      const from = (group.topLevel ? methods : methods[group.identifier]) as
        | Readonly<Record<string, Method>>
        | undefined
      const name = group.topLevel ? endpoint.identifier : `${group.identifier}.${endpoint.identifier}`
      const method = from?.[endpoint.identifier]
      target[endpoint.identifier] = (request: { readonly responseMode?: string } | undefined) => {
        if (method === undefined) return Effect.die(new Error(`${contract}: the mock has no method ${name}`))
        const { responseMode = "decoded-only" } = request ?? {}
        if (responseMode === "decoded-only") return method(request)
        return Effect.die(new Error(`${contract}: the mock of ${name} has no response to give (${responseMode})`))
      }
    }
  })
  return client
}
