import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"

/** What authorizes one attempt. */
export interface Credential {
  readonly header: string
  readonly value: Redacted.Redacted
}

/** Credentials at run time. */
export interface Authenticator<out E> {
  readonly credential: Effect.Effect<Credential, E>
  /** The provider refused a credential (401). Says whether there is, or may be, another. */
  readonly refused: (credential: Credential) => Effect.Effect<boolean>
}
