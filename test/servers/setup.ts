/**
 * Starts one RabbitMQ and one PostgreSQL for a run of the integration tests.
 *
 * `AMQP_URL` and `DATABASE_URL` name servers to use instead. What is neither named nor installed, nor can be, is warned
 * about and its tests are skipped, except with `CI=true`, where it is a failure.
 */
import { Effect, Exit, Scope } from "effect"
import type { TestProject } from "vitest/node"
import * as Installed from "./Installed.ts"
import * as Postgres from "./Postgres.ts"
import * as RabbitMq from "./RabbitMq.ts"
import type { ServerUnavailable } from "./Supervised.ts"

/** What tests may use of a server. */
export interface Offer {
  /** The shared instance. */
  readonly url: string | undefined
  /** Whether tests can start instances of their own. */
  readonly startable: boolean
}

declare module "vitest" {
  export interface ProvidedContext {
    rabbitmq: Offer & { readonly control: RabbitMq.Control | undefined }
    postgres: Offer
  }
}

const startable = (wanted: Installed.Package): boolean => wanted.find() !== undefined || Installed.canInstall()

const unlessUnavailable = <A, R>(
  what: string,
  server: Effect.Effect<A, ServerUnavailable, R>
): Effect.Effect<A | undefined, ServerUnavailable, R> =>
  Effect.catch(server, (error) =>
    process.env["CI"] === "true"
      ? Effect.fail(error)
      : Effect.sync(() => console.warn(`\nSKIPPED: the tests that need ${what}. ${error.message}\n`))
  ) as Effect.Effect<A | undefined, ServerUnavailable, R>

const serve = Effect.fnUntraced(function* (project: TestProject) {
  const { AMQP_URL: amqpUrl, DATABASE_URL: databaseUrl } = process.env
  const [rabbitmq, postgres] = yield* Effect.all(
    [
      amqpUrl === undefined
        ? unlessUnavailable("RabbitMQ, installed or by AMQP_URL", RabbitMq.make())
        : Effect.undefined,
      databaseUrl === undefined
        ? unlessUnavailable("PostgreSQL, installed or by DATABASE_URL", Postgres.make())
        : Effect.undefined
    ],
    { concurrency: 2 }
  )
  project.provide("rabbitmq", {
    url: amqpUrl ?? rabbitmq?.url,
    control: rabbitmq?.control,
    startable: amqpUrl === undefined ? rabbitmq !== undefined : startable(Installed.rabbitmq)
  })
  project.provide("postgres", {
    url: databaseUrl ?? postgres?.url,
    startable: databaseUrl === undefined ? postgres !== undefined : startable(Installed.postgres)
  })
})

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const scope = Scope.makeUnsafe()
  const close = () => Effect.runPromise(Scope.close(scope, Exit.void))
  await Effect.runPromise(Scope.provide(serve(project), scope)).catch(async (error: unknown) => {
    await close()
    throw error
  })
  return close
}
