/** A program that starts a server of its own and waits, to be killed. */
import { Effect } from "effect"
import * as Postgres from "./Postgres.ts"
import * as RabbitMq from "./RabbitMq.ts"

const [kind] = process.argv.slice(2)

const hold = Effect.gen(function* () {
  const server = yield* kind === "rabbitmq" ? RabbitMq.make() : Postgres.make()
  const pid = yield* server.pid
  yield* Effect.sync(() => console.log(JSON.stringify({ pid, port: server.port })))
  return yield* Effect.never
})

await Effect.runPromise(Effect.scoped(hold))
