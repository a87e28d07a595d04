/** The provider that sagas call: it honours idempotency keys, and counts what it has done. */
import { Effect } from "effect"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { type Demand, refusal } from "./sagas.ts"

/** What was done for a saga. */
export interface Done {
  /** Demands that had an effect, in their order: the key, what was done, and what it relied on. */
  readonly effects: Array<string>
  /** How often each key was demanded, refusals among them. */
  readonly demands: Map<string, number>
  /** The pids of the processes that demanded something. */
  readonly processes: Set<number>
}

export interface Provider {
  readonly url: string
  readonly doneFor: (order: string) => Done
  readonly orders: () => ReadonlyArray<string>
}

const bodyOf = async (request: http.IncomingMessage): Promise<Demand> => {
  let text = ""
  for await (const chunk of request) text += String(chunk)
  return JSON.parse(text) as Demand
}

/** Until the scope closes. */
export const make = Effect.acquireRelease(
  Effect.callback<Provider & { readonly close: () => void }>((resume) => {
    const orders = new Map<string, Done>()
    const doneFor = (order: string): Done => {
      const known = orders.get(order) ?? { effects: [], demands: new Map(), processes: new Set() }
      orders.set(order, known)
      return known
    }
    const effects = new Set<string>()
    const answer = (demand: Demand, key: string): readonly [number, unknown] => {
      const { given, order, phase, step } = demand
      const { demands, effects: done, processes } = doneFor(order)
      processes.add(demand.process)
      demands.set(key, (demands.get(key) ?? 0) + 1)
      const refused = refusal(demand)
      if (refused === 422 || refused === 500) return [refused, { code: "REFUSED" }]
      if (!effects.has(`${order} ${key}`)) {
        effects.add(`${order} ${key}`)
        done.push(`${phase} ${step} given ${given}`)
      }
      if (refused === 504) return [504, { code: "LATE" }]
      return [200, { receipt: `receipt of ${phase} ${step}` }]
    }
    const server = http.createServer((request, response) => {
      // A process that is killed while it sends has sent nothing.
      void bodyOf(request).then(
        (demand) => {
          const key = String(request.headers["idempotency-key"])
          const [status, body] = answer(demand, key)
          response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
        },
        () => response.destroy()
      )
    })
    server.listen(0, "127.0.0.1", () => {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const close = () => {
        server.close()
        server.closeAllConnections()
      }
      resume(Effect.succeed({ url, doneFor, orders: () => Array.from(orders.keys()), close }))
    })
  }),
  ({ close }) => Effect.sync(close)
)
