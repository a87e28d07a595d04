import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { describe } from "./dialect.ts"

/** What a client of PostgreSQL has beside what every client has. */
interface Listener {
  readonly listen: (
    channel: string
  ) => Effect.Effect<Queue.Dequeue<{ readonly payload: string }, SqlError>, SqlError, Scope.Scope>
}

const isListener = (client: unknown): client is Listener =>
  Predicate.hasProperty(client, "listen") && typeof client.listen === "function"

const firstPause = 1000
const longestPause = 30_000
/** How long a statement may wait for another connection than the one that listens. */
const patience = Duration.seconds(5)

export interface Listening {
  /** Whether notifications come in now. */
  isOn: boolean
  readonly run: Effect.Effect<void>
}

/**
 * Listens to a channel of notifications until interrupted, and again when the connection is lost. `undefined` stands for
 * notifications that may have been missed.
 *
 * It holds a connection of the client. Where that is the only one, or a pooler has none of its own for it, it gives up,
 * and polling must do.
 */
export const make = (
  client: SqlClient.SqlClient,
  channel: string,
  heard: (payload: string | undefined) => void
): Listening => {
  if (!isListener(client)) return { isOn: false, run: Effect.void }
  const self = { isOn: false, run: Effect.void as Effect.Effect<void> }
  let failures = 0
  const once = Effect.gen(function* () {
    const queue = yield* client.listen(channel)
    // Not interrupted, since on the only connection nobody would answer that either.
    const asked = yield* Effect.forkDetach(client`SELECT 1`)
    const another = yield* Effect.timeoutOption(Fiber.join(asked), patience)
    if (another._tag === "None") return "only"
    failures = 0
    self.isOn = true
    heard(undefined)
    for (;;) for (const { payload } of yield* Queue.takeAll(queue)) heard(payload)
  }).pipe(
    Effect.scoped,
    Effect.ensuring(
      Effect.sync(() => {
        self.isOn = false
      })
    )
  )
  const again = (error: SqlError): Effect.Effect<void> => {
    const pause = Math.min(firstPause * 2 ** failures++, longestPause)
    const text = `outbox: notifications are not heard, so the table is polled: ${describe(error)}`
    return Effect.logDebug(text).pipe(Effect.andThen(Effect.sleep(pause)), Effect.andThen(self.run))
  }
  self.run = Effect.suspend(() =>
    Effect.matchEffect(once, {
      onSuccess: () =>
        Effect.logWarning("outbox: the client has no connection to spare for LISTEN, so the table is polled"),
      onFailure: again
    })
  )
  return self
}
