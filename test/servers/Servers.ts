/**
 * The servers of a run, for integration tests. Each test file has a virtual host and a database of its own.
 */
import { Effect } from "effect"
import { afterAll, describe, inject } from "vitest"
import * as Postgres from "./Postgres.ts"
import * as RabbitMq from "./RabbitMq.ts"
import { ServerUnavailable } from "./Supervised.ts"

const rabbitmq = inject("rabbitmq")
const postgres = inject("postgres")

let uniques = 0

/** The name with something behind it that no other process, file or call has. */
export const unique = (name: string): string => {
  uniques += 1
  return `${name}_${process.pid.toString(36)}_${Date.now().toString(36)}_${uniques}`
}

type Suite = (name: string, tests: () => void) => void

const suite = (available: boolean): Suite => (available ? describe : describe.skip)

/** A suite that needs the shared RabbitMQ. */
export const describeRabbitMq = suite(rabbitmq.url !== undefined)

/** A suite that needs the shared PostgreSQL. */
export const describePostgres = suite(postgres.url !== undefined)

/** A suite that needs both. */
export const describeServers = suite(rabbitmq.url !== undefined && postgres.url !== undefined)

/** A suite that starts brokers of its own, to kill them. */
export const describeOwnRabbitMq = suite(rabbitmq.startable)

/** A suite that starts database servers of its own, to kill them. */
export const describeOwnPostgres = suite(postgres.startable)

const missing = (what: string) => Effect.fail(new ServerUnavailable({ message: `there is no ${what} in this run` }))

/**
 * The URL of a new virtual host of the shared broker. A broker that `AMQP_URL` names is used as it is, so give queues and
 * exchanges `unique` names.
 */
export const freshVhost = (name: string): Effect.Effect<string, ServerUnavailable> => {
  const { control, url } = rabbitmq
  if (url === undefined) return missing("RabbitMQ")
  if (control === undefined) return Effect.succeed(url)
  const vhost = unique(name)
  return Effect.as(RabbitMq.addVhost(control, vhost), `${url}/${encodeURIComponent(vhost)}`)
}

const toDrop: Array<string> = []

/** The URL of a new and empty database on the shared server; it is dropped after the test file. */
export const freshDatabase = (name: string): Effect.Effect<string, ServerUnavailable> => {
  const { url } = postgres
  if (url === undefined) return missing("PostgreSQL")
  const database = unique(name)
  return Effect.tap(Postgres.createDatabase(url, database), () => Effect.sync(() => toDrop.push(database)))
}

afterAll(async () => {
  const { url } = postgres
  if (url === undefined) return
  await Effect.runPromise(Effect.forEach(toDrop, (database) => Postgres.dropDatabase(url, database)))
})

/** The first call makes it, the others get the same. */
const once = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> => Effect.runSync(Effect.cached(effect))

/** The virtual host of this test file. */
export const amqpUrl: Effect.Effect<string, ServerUnavailable> = once(freshVhost("test"))

/** The database of this test file. */
export const databaseUrl: Effect.Effect<string, ServerUnavailable> = once(freshDatabase("test"))
