/**
 * Where the provider keeps what it answered under an idempotency key.
 *
 * **Details**
 *
 * A key is claimed by one request at a time under a lease. The owner that holds the lease renews it, and completes the
 * key with its response or releases it; an owner whose lease has ended and was taken by another can do neither (a fencing
 * token). So a crash leaves a key that can be claimed again when the lease ends.
 *
 * **Gotchas**
 *
 * `layerMemory` is of one process, and forgets when it ends.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { monotonicMillis } from "../internal/monotonic.ts"

/**
 * The store could not be asked. Nothing is known about the key.
 *
 * @category errors
 * @since 0.1.0
 */
export class IdempotencyStoreError extends Data.TaggedError("IdempotencyStoreError")<{
  readonly operation: "claim" | "renew" | "complete" | "release" | "purge"
  readonly cause: unknown
}> {
  override get message(): string {
    return `the idempotency store could not ${this.operation} a key`
  }
}

/**
 * A response as it is kept: what a later request with the same key is answered.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Values of Set-Cookie, which may come several times. */
  readonly cookies: ReadonlyArray<string>
  readonly body: Uint8Array
}

/**
 * What became of a claim: `Claimed` (the caller must complete or release it), `Running` (another request is under way),
 * `Completed` (its response is given), `Mismatch` (the key was used for another request).
 *
 * @category models
 * @since 0.1.0
 */
export type Claim = Data.TaggedEnum<{
  Claimed: {}
  Running: {}
  Completed: { readonly response: StoredResponse }
  Mismatch: {}
}>
/** @category constructors @since 0.1.0 */
export const Claim = Data.taggedEnum<Claim>()

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class IdempotencyStore extends Context.Service<
  IdempotencyStore,
  {
    /** Takes the key for `lease`, or says who has it. `fingerprint` identifies the request, `owner` the attempt. */
    readonly claim: (options: {
      readonly key: string
      readonly fingerprint: string
      readonly owner: string
      readonly lease: Duration.Duration
    }) => Effect.Effect<Claim, IdempotencyStoreError>
    /** Prolongs the lease from now; false where it is no longer the owner's. */
    readonly renew: (options: {
      readonly key: string
      readonly owner: string
      readonly lease: Duration.Duration
    }) => Effect.Effect<boolean, IdempotencyStoreError>
    /** Keeps the response for `timeToLive`; false where the lease is no longer the owner's. */
    readonly complete: (options: {
      readonly key: string
      readonly owner: string
      readonly response: StoredResponse
      readonly timeToLive: Duration.Duration
    }) => Effect.Effect<boolean, IdempotencyStoreError>
    /** Gives the key back, as if it had never been used; nothing where the lease is no longer the owner's. */
    readonly release: (options: {
      readonly key: string
      readonly owner: string
    }) => Effect.Effect<void, IdempotencyStoreError>
    /** Removes what has expired; says how many keys. */
    readonly purge: Effect.Effect<number, IdempotencyStoreError>
  }
>()("effect-integration/http/IdempotencyStore") {}

interface Entry {
  readonly fingerprint: string
  readonly owner: string
  readonly endsAt: number
  readonly response: StoredResponse | undefined
}

/** How many claims between two purges. */
const purgeEvery = 1000

/**
 * A store in the memory of this process, purged as it is used.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<IdempotencyStore> = Layer.sync(IdempotencyStore, () => {
  const entries = new Map<string, Entry>()
  let claims = 0
  const now = Effect.clockWith((clock: Clock.Clock) => Effect.sync(() => monotonicMillis(clock)))
  const purgeUnsafe = (at: number): number => {
    let purged = 0
    for (const [key, entry] of entries) if (entry.endsAt <= at && entries.delete(key)) purged++
    return purged
  }
  const owned = (key: string, owner: string, at: number): Entry | undefined => {
    const entry = entries.get(key)
    return entry?.owner === owner && entry.response === undefined && entry.endsAt > at ? entry : undefined
  }
  return IdempotencyStore.of({
    claim: ({ fingerprint, key, lease, owner }) =>
      Effect.map(now, (at) => {
        if (++claims % purgeEvery === 0) purgeUnsafe(at)
        const entry = entries.get(key)
        if (entry !== undefined && entry.endsAt > at) {
          if (entry.fingerprint !== fingerprint) return Claim.Mismatch()
          return entry.response === undefined ? Claim.Running() : Claim.Completed({ response: entry.response })
        }
        entries.set(key, { fingerprint, owner, endsAt: at + Duration.toMillis(lease), response: undefined })
        return Claim.Claimed()
      }),
    renew: ({ key, lease, owner }) =>
      Effect.map(now, (at) => {
        const entry = owned(key, owner, at)
        if (entry === undefined) return false
        entries.set(key, { ...entry, endsAt: at + Duration.toMillis(lease) })
        return true
      }),
    complete: ({ key, owner, response, timeToLive }) =>
      Effect.map(now, (at) => {
        const entry = owned(key, owner, at)
        if (entry === undefined) return false
        entries.set(key, { ...entry, endsAt: at + Duration.toMillis(timeToLive), response })
        return true
      }),
    release: ({ key, owner }) =>
      Effect.map(now, (at) => {
        if (owned(key, owner, at) !== undefined) entries.delete(key)
      }),
    purge: Effect.map(now, purgeUnsafe)
  })
})
